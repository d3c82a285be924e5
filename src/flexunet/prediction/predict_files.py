"""Files in, files out: classes as palette PNGs and GeoTIFFs, overlays, probabilities."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..errors import FlexunetError, Problem
from ..files import whole_file
from ..raster import Picture, write_labels_png, write_png, write_raster
from .framing import Tiling
from .outputs import Outputs, name_outputs, refuse_replacing
from .predictor import Prediction, Predictor
from .table import TABLE, check_table, is_far, row_of, write_table

Progress = Callable[[str, int, int], None]
"""What is being done, pictures done, pictures in all."""

_AHEAD = 2
"""Pictures that are read ahead of the network."""


_MANY = 200
"""A picture of at least this many tiles has a progress of its own."""


@dataclass(frozen=True)
class FilesReport:
    """What became of every file."""

    written: tuple[Path, ...]
    """The palette PNGs, in the order of the images."""
    failed: tuple[Problem, ...]
    """Images that could not be read or do not suit the model; nothing was written for them."""
    notes: tuple[str, ...]


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    out: Path,
    *,
    tiling: Tiling | None = None,
    tta: bool | None = None,
    overlay: bool = False,
    probability: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FilesReport:
    """Write the classes of every image to the folder `out`, each file whole or not at all.

    - `out/NAME.png`: palette PNG (H, W) of the image's size, indices are classes, colours the classes'.
    Pixels
      without data are background.
    - `out/NAME.tif`, for images with a georeference: the same classes as a band with the image's grid and a
      colour table; pixels without data are 255, declared as nodata.
    - `out/overlays/NAME.png` with `overlay`: the image, its objects tinted and outlined.
    - `out/predictions.csv`, where the model file says how far pictures lie from those of training: a row an
      image with its applicability; rows of earlier images stay.
    - `out/probabilities/` with `probability`: with one foreground class NAME.png, grey 0 to 255 for its
      probability 0 to 1; with more NAME.npz, float16 (K, H, W) under `probabilities`; for images with a
      georeference NAME.tif, a band a foreground class, 0 to 255.

    An image that cannot be used is reported and the others go on. Memory: a batch of images, two more that
    are read ahead, and the strips described at `Predictor.predict`.

    Raises:
        DataError, OutputExistsError: a result has the name of an image or of an earlier result.
        OSError: a result cannot be written.
    """
    outputs, notes = name_outputs(images, out)
    refuse_replacing(outputs, overlay=overlay, probability=probability, overwrite=overwrite)
    if predictor.familiar is not None:
        check_table(out / TABLE, predictor.classes, overwrite=overwrite)
    failed: list[Problem] = []
    written: list[Path] = []
    reading: deque[Path] = deque()
    tiled = far = 0
    rows = []

    def pictures() -> Iterator[Picture]:
        for path, picture in _read_ahead(images, predictor.read):
            if isinstance(picture, Picture):
                reading.append(path)
                notes.extend(f"{path}: {note}" for note in picture.notes)
                yield picture
            else:
                failed.append(problem_of(path, picture))

    def window_done(done: int, total: int) -> None:
        if progress is not None and total >= _MANY:
            progress(f"tiles of {reading[0].name}", done, total)

    for prediction in predictor.predict(
        pictures(), tiling=tiling, tta=tta, keep_probabilities=probability, progress=window_done
    ):
        image = reading.popleft()
        _write(outputs[image], prediction, predictor.classes, predictor.record.classes, overlay)
        if predictor.familiar is not None:
            far += is_far(prediction)
            rows.append(row_of(image, outputs[image].labels, prediction, predictor.classes))
        written.append(outputs[image].labels)
        tiled += len(predictor.framing(prediction.labels.shape, tiling).grid) > 1
        if progress is not None:
            progress("predicting", len(written) + len(failed), len(images))
    if tiled:
        notes.append(f"{tiled} of {len(images)} images were predicted in overlapping tiles.")
    write_table(out / TABLE, rows, overwrite=overwrite)
    if far:
        notes.append(
            f"{far} of {len(written)} images lie as far from those of training as at most 5 of 100 held-out "
            f"ones do: do not trust their classes without a look (column far of {out / TABLE})."
        )
    return FilesReport(tuple(written), tuple(failed), tuple(notes))


def _read_ahead(
    paths: Iterable[Path], read: Callable[[Path], Picture]
) -> Iterator[tuple[Path, Picture | Exception]]:
    """Each path with its picture, or with what is wrong with it; read in a thread while others are
    predicted.
    """
    rest = iter(paths)
    with ThreadPoolExecutor(1) as pool:
        pending: deque[tuple[Path, Future[Picture]]] = deque(
            (path, pool.submit(read, path)) for path in islice(rest, _AHEAD)
        )
        while pending:
            path, future = pending.popleft()
            pending.extend((path, pool.submit(read, path)) for path in islice(rest, 1))
            fault = future.exception()
            if fault is None:
                yield path, future.result()
            elif isinstance(fault, FlexunetError | OSError):
                yield path, fault
            else:
                raise fault


def problem_of(path: Path, fault: Exception) -> Problem:
    """A fault of a file without its name said twice."""
    text = f"{fault.strerror}" if isinstance(fault, OSError) and fault.strerror else str(fault)
    return Problem(text.removeprefix(f"{path}: ").removeprefix(f"{path} "), path)


def _write(outputs: Outputs, prediction: Prediction, classes: Classes, known: Classes, overlay: bool) -> None:
    """Everything of one picture, the palette PNG last. `known`: the classes that have a probability."""
    picture, labels = prediction.picture, prediction.labels
    if overlay:
        from ..views import display_rgb, write_note
        from ..views import overlay as draw_overlay

        rgb = display_rgb(picture.pixels, picture.valid, band_names=picture.band_names or None)
        drawn = draw_overlay(rgb, labels, classes)
        if prediction.applicability is not None:
            write_note(drawn, f"applicability {prediction.applicability:.2f}", warn=is_far(prediction))
        write_png(outputs.overlay, drawn)
    if prediction.probabilities is not None:
        _write_probabilities(outputs, prediction.probabilities, picture, known)
    if picture.grid.is_georeferenced:
        band = labels if picture.valid.all() else np.where(picture.valid, labels, np.uint8(IGNORE_INDEX))
        write_raster(outputs.raster, band, picture.grid, nodata=IGNORE_INDEX, colours=classes.colours)
    write_labels_png(outputs.labels, labels, classes.colours)


def _write_probabilities(
    outputs: Outputs, probabilities: NDArray[np.float32], picture: Picture, classes: Classes
) -> None:
    foreground = classes.foreground
    if len(foreground) == 1:
        write_png(outputs.probability_png, _as_bytes(probabilities[foreground[0]]))
    else:
        with whole_file(outputs.probability_npz) as beside:
            np.savez_compressed(
                beside, probabilities=probabilities.astype(np.float16), classes=np.asarray(classes.names)
            )
    if picture.grid.is_georeferenced:
        write_raster(outputs.probability_raster, _as_bytes(probabilities[list(foreground)]), picture.grid)


def _as_bytes(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0 to 1 as 0 to 255."""
    scaled: NDArray[np.uint8] = np.rint(probabilities * np.float32(255)).astype(np.uint8)
    return scaled
