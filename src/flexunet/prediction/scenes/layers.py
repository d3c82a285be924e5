"""What is written of a scene: probabilities to classes, shares and confidence, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...classes import IGNORE_INDEX, Classes
from ...raster import Window
from ...raster.cog import Layer, class_layer, create_part, share_layer
from ..decision import Decision
from .options import Confidence, SceneOptions

LayerName = Literal["probability", "confidence", "applicability", "classes"]

_BYTE = np.float32(254)
_NODATA = 255


@dataclass(frozen=True)
class Layers:
    """The rasters that come of a scene, by name; `classes` is the last one: where it is, all are."""

    options: SceneOptions
    classes: Classes
    """Those of the class map."""
    decision: Decision

    @property
    def names(self) -> tuple[LayerName, ...]:
        """In the order in which they are written."""
        names: tuple[LayerName, ...] = ("classes",)
        if self.options.applicability:
            names = ("applicability", *names)
        if self.options.confidence is not None:
            names = ("confidence", *names)
        return ("probability", *names) if self.options.probability else names

    def layer(self, name: LayerName) -> Layer:
        """What the raster of that name holds."""
        if name == "classes":
            return class_layer(self.classes.colours, self.classes.names, IGNORE_INDEX)
        half = self.options.probability_type == "float16"
        if name == "applicability":
            return share_layer(("applicability (share of held-out pictures at least as far)",), half=half)
        if name == "confidence":
            return share_layer((f"confidence ({self.options.confidence})",), half=half)
        described = tuple(f"probability of {self.classes.names[k]}" for k in self.options.probability)
        return share_layer(described, half=half)

    def make(self, planes: NDArray[np.float32], wanted: NDArray[np.bool_]) -> dict[LayerName, NDArray[Any]]:
        """The pixels (C, h, w) of each layer from float32 (K, h, w) or, with the distance, (K + 1, h, w);
        nodata where not `wanted`, (h, w).
        """
        shares = bool(self.options.probability) or self.options.confidence is not None
        decided = self.decision.of(planes, probabilities=shares, applicability=self.options.applicability)
        labels, probabilities = decided.labels, decided.probabilities
        labels[~wanted] = IGNORE_INDEX
        made: dict[LayerName, NDArray[Any]] = {"classes": labels[None]}
        if self.options.applicability:
            assert decided.applicability is not None
            made["applicability"] = self._stored(decided.applicability[None], wanted)
        if probabilities is None:
            return made
        if self.options.probability:
            made["probability"] = self._stored(probabilities[list(self.options.probability)], wanted)
        if self.options.confidence is not None:
            sure = confidence_of(probabilities, self.options.confidence)
            made["confidence"] = self._stored(sure[None], wanted)
        return made

    def _stored(self, shares: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[Any]:
        if self.options.probability_type == "float16":
            # through 16 bits here, so that no GDAL version rounds otherwise
            halves: NDArray[np.float32] = shares.astype(np.float16).astype(np.float32)
            halves[:, ~wanted] = np.nan
            return halves
        stored: NDArray[np.uint8] = np.rint(np.clip(shares, 0, 1) * _BYTE).astype(np.uint8)
        stored[:, ~wanted] = _NODATA
        return stored


def confidence_of(probabilities: NDArray[np.float32], kind: Confidence) -> NDArray[np.float32]:
    """How sure the model is, float32 (h, w) from 0 to 1, for probabilities float32 (K, h, w).

    `entropy`: 1 + sum_k p_k ln p_k / ln K. `margin`: the largest probability less the second largest.
    """
    if kind == "margin":
        ordered = np.partition(probabilities, -2, axis=0)
        margin: NDArray[np.float32] = ordered[-1] - ordered[-2]
        return margin
    total = np.zeros(probabilities.shape[1:], np.float32)
    for share in probabilities:
        total += share * np.log(np.maximum(share, np.float32(1e-12)))
    sure: NDArray[np.float32] = np.clip(1 + total / np.float32(np.log(len(probabilities))), 0, 1)
    return sure


def part_files(folder: Path, index: int, names: Sequence[LayerName]) -> dict[LayerName, Path]:
    """The files of part `index`; all are whole once that of the classes is there."""
    return {name: folder / f"part_{index:05d}_{name}.tif" for name in names}


class PartWriter:
    """Rows in from the top, the files of a run of parts of one panel out, each file whole or not at all."""

    def __init__(
        self,
        layers: Layers,
        folder: Path,
        parts: Sequence[tuple[int, Window]],
        finished: Callable[[int], None] = lambda index: None,
    ) -> None:
        """`finished` gets the index of each part whose files are whole."""
        self._layers, self._folder, self._finished = layers, folder, finished
        self._index = 0
        self._parts = iter(parts)
        self._open: ExitStack | None = None
        self._part: Window | None = None
        self._writers: dict[LayerName, Any] = {}
        self.pixels = 0
        """Written so far."""

    def write(self, row: int, probabilities: NDArray[np.float32], wanted: NDArray[np.bool_]) -> None:
        """Take float32 (K, h, w) whose first row is `row` of the scene."""
        height = probabilities.shape[1]
        for start, stop, part in self._pieces(row, height):
            if wanted[start:stop].any():
                pixels = self._layers.make(probabilities[:, start:stop], wanted[start:stop])
                place = Window(row + start - part.row, 0, stop - start, part.width)
                for name, write in self._writers.items():
                    write(pixels[name], place)
            self.pixels += (stop - start) * part.width
            if row + stop == part.row + part.height:
                self._close()

    def _pieces(self, row: int, height: int) -> Iterator[tuple[int, int, Window]]:
        """The given rows cut where a part ends: first and behind last of them, and the part."""
        start = 0
        while start < height:
            part = self._part or self._next()
            stop = min(height, part.row + part.height - row)
            yield start, stop, part
            start = stop

    def _next(self) -> Window:
        index, part = next(self._parts)
        self._index = index
        self._open = ExitStack()
        files = part_files(self._folder, index, self._layers.names)
        # closed in the opposite order: the classes come last
        for name in reversed(self._layers.names):
            opened = create_part(files[name], self._layers.layer(name), part.shape)
            self._writers[name] = self._open.enter_context(opened)
        self._part = part
        return part

    def _close(self) -> None:
        opened, self._open, self._part, self._writers = self._open, None, None, {}
        if opened is not None:
            opened.close()
            self._finished(self._index)

    def abandon(self) -> None:
        """Remove the half-written files of the part at hand."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.__exit__(*_abandoned())


def _abandoned() -> tuple[type[BaseException], BaseException, None]:
    """Leaves a context as an exception would; nothing is raised by it."""
    return Abandoned, Abandoned(), None


class Abandoned(BaseException):
    """A part that is not finished is thrown away."""
