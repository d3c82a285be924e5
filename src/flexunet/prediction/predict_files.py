"""Files in, files out: palette PNGs, overlays and probabilities of pictures; scenes go their own way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..errors import FlexunetError, Problem
from ..files import whole_file
from ..raster import Picture, write_labels_png, write_png
from .framing import Tiling
from .one_picture import Prediction
from .outputs import Outputs, name_outputs, refuse_replacing
from .predictor import Predictor
from .table import TABLE, check_table, is_far, row_of, write_table

if TYPE_CHECKING:
    from .scenes import SceneResult, ScenesReport

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
    """The palette PNGs of pictures and class maps of scenes, in the order of the images."""
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
    needed: Sequence[Path] = (),
    progress: Progress | None = None,
) -> FilesReport:
    """Write the classes of every image to the folder `out`, each file whole or not at all.

    - `out/NAME.png`: palette PNG (H, W) of the image's size, indices are classes, colours the classes'.
      Pixels without data are background.
    - `out/overlays/NAME.png` with `overlay`: the image, its objects tinted and outlined.
    - `out/predictions.csv`, where the model file says how far pictures lie from those of training: a row an
      image with its applicability; rows of earlier images stay.
    - `out/probabilities/` with `probability`: with one foreground class NAME.png, grey 0 to 255 for its
      probability 0 to 1; with more NAME.npz, float16 (K, H, W) under `probabilities`.

    Images with a georeference, and large ones, are scenes (`scenes.is_scene`): they lead to `out/NAME.tif`,
    `NAME_probability.tif` and `NAME_overlay.jpg` by `scenes.predict_scene`.

    An image that cannot be used is reported and the others go on. What is `needed` stays, as the images do,
    even with `overwrite`. Memory: a batch of images, two more that are read ahead, and the strips described
    at `Predictor.predict`.

    Raises:
        DataError, OutputExistsError: a result has the name of an image, of what else is `needed`, of another
            result, or of an earlier one.
        OSError: a result cannot be written.
    """
    from .scenes import is_scene

    scenes: list[Path] = []
    pictures: list[Path] = []
    for image in images:
        (scenes if is_scene(image) else pictures).append(image)
    outputs, notes = name_outputs(pictures, out)
    refuse_replacing(
        outputs,
        overlay=overlay,
        probability=probability,
        overwrite=overwrite,
        needed=[*scenes, *needed],
    )
    written: dict[Path, Path] = {}
    failed: list[Problem] = []
    if scenes:
        asked = {"tiling": tiling, "tta": tta}
        changed = predictor.with_settings(**{key: value for key, value in asked.items() if value is not None})
        report, there = _predict_scenes(
            changed, scenes, out, overlay, probability, overwrite, [*pictures, *needed], progress
        )
        written, failed, notes = there, [*report.failed], [*notes, *report.notes]
    done = _predict_pictures(predictor, outputs, out, tiling, tta, overlay, probability, overwrite, progress)
    written |= dict(zip(done.images, done.report.written, strict=True))
    return FilesReport(
        tuple(written[image] for image in images if image in written),
        (*failed, *done.report.failed),
        (*notes, *done.report.notes),
    )


def _predict_scenes(
    predictor: Predictor,
    scenes: Sequence[Path],
    out: Path,
    overlay: bool,
    probability: bool,
    overwrite: bool,
    needed: Sequence[Path],
    progress: Progress | None,
) -> tuple[ScenesReport, dict[Path, Path]]:
    """The report of the scenes, and the class map of each that came to its end."""
    from .scenes import Products, SceneOptions, make_products, predict_scene, predict_scenes

    wanted = predictor.record.classes.foreground if probability else ()
    options = SceneOptions(
        probability=wanted, applicability=predictor.familiar is not None, overwrite=overwrite
    )
    products = Products(overlay=overlay)
    there: dict[Path, Path] = {}

    def predict_one(scene: Path | str, target: Path) -> SceneResult:
        return predict_scene(predictor, scene, target, options, progress=progress, products_follow=True)

    def finish(scene: Path | str, result: SceneResult) -> tuple[str, ...]:
        there[Path(scene)] = result.class_map
        return make_products(scene, result, predictor.classes, products, progress=progress)

    return predict_scenes(scenes, out, options, predict_one, finish, products, needed), there


@dataclass(frozen=True)
class _Pictures:
    images: tuple[Path, ...]
    """Those that were predicted."""
    report: FilesReport


def _predict_pictures(
    predictor: Predictor,
    outputs: dict[Path, Outputs],
    out: Path,
    tiling: Tiling | None,
    tta: bool | None,
    overlay: bool,
    probability: bool,
    overwrite: bool,
    progress: Progress | None,
) -> _Pictures:
    """The images without a georeference."""
    images, notes = list(outputs), list[str]()
    if predictor.familiar is not None:
        check_table(out / TABLE, predictor.classes, overwrite=overwrite)
    failed: list[Problem] = []
    written: list[Path] = []
    predicted: list[Path] = []
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
                failed.append(Problem.of_file(path, picture))

    def window_done(done: int, total: int) -> None:
        if progress is not None and total >= _MANY:
            progress(f"tiles of {reading[0].name}", done, total)

    try:
        for prediction in predictor.predict(
            pictures(), tiling=tiling, tta=tta, keep_probabilities=probability, progress=window_done
        ):
            image = reading.popleft()
            _write(outputs[image], prediction, predictor.classes, predictor.record.classes, overlay)
            if predictor.familiar is not None:
                far += is_far(prediction)
                rows.append(row_of(image, outputs[image].labels, prediction, predictor.classes))
            written.append(outputs[image].labels)
            predicted.append(image)
            tiled += len(predictor.framing(prediction.labels.shape, tiling).grid) > 1
            if progress is not None:
                progress("predicting", len(written) + len(failed), len(images))
    finally:
        write_table(out / TABLE, rows, overwrite=overwrite)
    if tiled:
        notes.append(f"{tiled} of {len(images)} images were predicted in overlapping tiles.")
    if far:
        notes.append(
            f"{far} of {len(written)} images lie as far from those of training as at most 5 of 100 held-out "
            f"ones do: do not trust their classes without a look (column far of {out / TABLE})."
        )
    return _Pictures(tuple(predicted), FilesReport(tuple(written), tuple(failed), tuple(notes)))


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
        _write_probabilities(outputs, prediction.probabilities, known)
    write_labels_png(outputs.labels, labels, classes.colours)


def _write_probabilities(outputs: Outputs, probabilities: NDArray[np.float32], classes: Classes) -> None:
    foreground = classes.foreground
    if len(foreground) == 1:
        write_png(outputs.probability_png, _as_bytes(probabilities[foreground[0]]))
    else:
        with whole_file(outputs.probability_npz) as beside:
            np.savez_compressed(
                beside, probabilities=probabilities.astype(np.float16), classes=np.asarray(classes.names)
            )


def _as_bytes(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0 to 1 as 0 to 255."""
    scaled: NDArray[np.uint8] = np.rint(probabilities * np.float32(255)).astype(np.uint8)
    return scaled
