"""A scene and a model put together: everything that decides the numbers, before anything is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...classes import Classes
from ...files import layer_of
from ...raster import Grid, Window
from ...raster.cog import BLOCK
from ...raster.names import file_of_address, is_address
from ..decision import Decision
from ..framing import Framing, frame
from ..predictor import Predictor
from .collar import Collar
from .ground import network_shape, pixel_size_m
from .lanes import MOST_LANES
from .layers import Layers
from .memory import FLOAT, Sizes, fit_memory, network_bytes
from .options import SceneOptions
from .plan import ScenePlan, cut_parts
from .source import SceneSource, refuse_by_position
from .stream import Aoi

PART_PIXELS = 8_000_000
"""Pixels that a part has at least, where the scene is that large."""
PART_ROWS = 2
"""Rows of tiles that it has at least: after an interruption one row is computed twice."""


@dataclass(frozen=True)
class SceneJob:
    """What is to be computed. A plain value that can be sent to another process."""

    scene: str | Path
    plan: ScenePlan
    framing: Framing
    options: SceneOptions
    classes: Classes
    """Of the class map: the model's, and `unsure` where that is asked for."""
    decision: Decision
    grid: Grid
    collar: Collar | None
    """Where black is no data; found once."""
    batch_size: int
    tta: bool
    cache: int
    """GDAL's block cache in bytes."""
    expected_bytes: int
    """Peak memory of the process."""
    fingerprint: dict[str, Any]
    """What must be the same for parts of an earlier attempt to be of use; JSON values."""
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the scene is called."""
        return str(self.scene)

    @property
    def layers(self) -> Layers:
        """What is written."""
        return Layers(self.options, self.classes, self.decision)

    @property
    def megapixels(self) -> float:
        """Size of the scene."""
        return self.plan.shape[0] * self.plan.shape[1] / 1e6

    @property
    def disk_bytes(self) -> int:
        """What parts, results and the levels these are made of take together at most, uncompressed."""
        shares = _shares(self.options)
        each = 2 if self.options.probability_type == "float16" else 1
        return int(self.megapixels * 1e6 * (1 + shares * each) * (1 + 4 / 3 + 4 / 3))

    def with_parts(self, parts: Sequence[Window]) -> SceneJob:
        """The same, written in other parts; no number changes."""
        return replace(self, plan=replace(self.plan, parts=tuple(parts)))


def plan_scene(predictor: Predictor, scene: str | Path, options: SceneOptions) -> SceneJob:
    """The job of predicting `scene`; reads its header, and a reduced picture where it may have a collar.

    Raises:
        RasterError: the scene cannot be opened.
        DataError: it does not suit the model, or `strict` forbids what it would take; or the area of
            interest cannot be read or lies elsewhere.
        ConfigError: the memory allowed is too little, or applicability is asked for that the model file does
            not know.
    """
    record, settings = predictor.record, predictor.settings
    decision = _decision(predictor, options)
    with SceneSource(scene, record, black_is_data=options.black_is_data) as source:
        if options.strict and source.by_position:
            refuse_by_position(source)
        shape, grid, collar = source.shape, source.grid, source.collar
        _aoi_of(options, grid, shape)
        seen, note = network_shape(
            shape,
            pixel_size_m(grid, shape),
            options.resolution or record.data.ground_resolution,
            name=source.name,
            strict=options.strict,
        )
        notes = source.notes + ((note,) if note is not None else ())
        tiling = "tiled" if seen != shape and settings.tiling == "auto" else settings.tiling
        framing = frame(seen, record, settings, tiling, predictor.inputs)
        notes += _squeezing(seen, framing)
        network_input = framing.squeezed[0] if framing.squeezed else _first(framing)
        sizes = Sizes(
            grid=framing.grid,
            shape=shape,
            channels=len(record.bands),
            inputs=sum(len(bands) for bands in framing.inputs),
            itemsize=max(source.dtype.itemsize, FLOAT if seen != shape else 1),
            classes=decision.planes,
            shares=_shares(options),
            block_shape=source.block_shape,
            tile_input=network_input,
        )
        decoded = source.decoded_bytes
    gpu = predictor.compute.device.type != "cpu"
    most = settings.batch_size if gpu else MOST_LANES

    def network(batch: int) -> int:
        return decoded + network_bytes(record, network_input, most if gpu else batch)

    budget = fit_memory(sizes, network, most, options.max_memory)
    rows = options.part_rows or _rows_of_parts(framing, shape)
    return SceneJob(
        scene=scene,
        plan=ScenePlan(shape, framing.grid, cut_parts(framing.grid, shape, rows, budget.tile_cols)),
        framing=framing,
        options=options,
        classes=predictor.classes,
        decision=decision,
        grid=grid,
        collar=collar,
        batch_size=budget.batch_size,
        tta=settings.tta,
        cache=budget.cache,
        expected_bytes=budget.expected,
        fingerprint=_fingerprint(predictor, scene, options, framing),
        notes=notes,
    )


def _decision(predictor: Predictor, options: SceneOptions) -> Decision:
    """How classes are made; without the distance where nothing hangs on it."""
    if options.applicability:
        predictor.require_familiar()
    needed = options.applicability or (predictor.unsure is not None and predictor.unsure.applicability > 0)
    return predictor.decision if needed else replace(predictor.decision, familiar=None)


def _shares(options: SceneOptions) -> int:
    """Bands of probability, confidence and applicability that are written."""
    return len(options.probability) + (options.confidence is not None) + options.applicability


def open_aoi(job: SceneJob) -> Aoi | None:
    """The mask of the area of interest, where there is one.

    Raises:
        DataError: the polygons cannot be read, or none meets the scene.
        MissingExtraError: the vector libraries are not installed.
    """
    return _aoi_of(job.options, job.grid, job.plan.shape)


def _aoi_of(options: SceneOptions, grid: Grid, shape: tuple[int, int]) -> Aoi | None:
    if options.aoi is None:
        return None
    from ...vector.aoi import AreaOfInterest

    mask: Callable[[Window], Any] = AreaOfInterest.from_file(options.aoi, grid, shape).mask
    return mask


def _squeezing(seen: tuple[int, int], framing: Framing) -> tuple[str, ...]:
    """What to say where the network sees fewer pixels than the scene of `seen` (height, width) has."""
    if framing.squeezed is None:
        return ()
    (height, width), _ = framing.squeezed
    if seen[0] <= height and seen[1] <= width:
        return ()
    return (
        f"is seen in one piece of {height} x {width} pixels, as pictures were in training; --tiled sees all "
        f"of its {seen[0]} x {seen[1]}",
    )


def _first(framing: Framing) -> tuple[int, int]:
    return framing.grid.rows[0].length, framing.grid.cols[0].length


def _rows_of_parts(framing: Framing, shape: tuple[int, int]) -> int:
    """Rows of tiles of a part."""
    height = max(PART_PIXELS / shape[1], BLOCK)
    stride = shape[0] / len(framing.grid.rows)
    return max(PART_ROWS, round(height / stride))


def _fingerprint(
    predictor: Predictor, scene: str | Path, options: SceneOptions, framing: Framing
) -> dict[str, Any]:
    chosen = {
        key: value
        for key, value in asdict(options).items()
        if key not in ("max_memory", "overwrite", "strict", "aoi", "part_rows")
    }
    grid = json.dumps([asdict(framing.grid), framing.squeezed])
    made: dict[str, Any] = {
        "format": 1,
        "model": predictor.fingerprint,
        "scene": _identity(scene),
        "aoi": _identity(options.aoi) if options.aoi is not None else None,
        "tiles": hashlib.sha256(grid.encode()).hexdigest(),
        "tta": predictor.settings.tta,
        "unsure": asdict(predictor.unsure) if predictor.unsure is not None else None,
        "familiar": _of_familiar(predictor) if _decision(predictor, options).familiar is not None else None,
        "options": chosen,
    }
    same: dict[str, Any] = json.loads(json.dumps(made))
    return same


def _of_familiar(predictor: Predictor) -> str:
    known = predictor.record.applicability
    assert known is not None
    return hashlib.sha256(known.model_dump_json().encode()).hexdigest()


def _identity(path: str | Path) -> list[Any]:
    """Name, size and time of a file; the address of what is no file, or lies within one."""
    file, named = layer_of(Path(path))[0], Path(path).name
    if is_address(path):
        within, named = file_of_address(str(path)), str(path)
        if within is None:
            return [named]
        file = within
    found = file.stat()
    return [named, found.st_size, found.st_mtime_ns]
