"""Terrain that water has carved: uplift and stream-power erosion on ridged fractal relief.

The erosion is the implicit scheme of Braun & Willett (2013), "A very efficient O(n), implicit and parallel
method to solve the stream power equation", Geomorphology 180-181: dz/dt = U - K A^m S.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import Field, blur, fractal, ridged

CELL_PX = 5
"""Image pixels to a cell of the eroded grid."""
_DOMAIN_CELLS = 108
_STEPS_YX = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Terrain:
    """Ground of one scene; the fields are (size, size) at the image's resolution."""

    pixel_size_m: float
    height_m: Field
    streams: NDArray[np.float32]
    """Stretches of flowing water (n, 2, 2): from (y, x) to (y, x), in pixels."""
    flow: NDArray[np.float32]
    """Cells that drain through each stretch (n,)."""

    @property
    def gradient(self) -> tuple[Field, Field]:
        """dz/dy and dz/dx, metres a metre, over some pixels."""
        dy, dx = np.gradient(blur(self.height_m, 2.5), self.pixel_size_m)
        return np.asarray(dy, np.float32), np.asarray(dx, np.float32)

    @property
    def slope_deg(self) -> Field:
        """Slope in degrees, over some pixels."""
        return np.rad2deg(np.arctan(np.hypot(*self.gradient))).astype(np.float32)


def make_terrain(size: int, pixel_size_m: float, generator: np.random.Generator) -> Terrain:
    """Ground of `size` x `size` pixels, cut from a larger domain so that valleys come from somewhere."""
    height = _erode(generator)
    receivers, area = _drain(height)
    view = _View.draw(size, generator)
    cell_m = pixel_size_m * CELL_PX
    channel = (np.log10(area) > np.quantile(np.log10(area), 0.985)).astype(np.float32)
    height = _flatten_valleys(height, channel > 0, cell_m, float(generator.uniform(1.5, 5)))
    fine = blur(view.cut(blur(height, 0.6)), 1.6)
    fine = _scale_relief(fine, pixel_size_m, steep_deg=float(generator.uniform(31, 38)))
    slope = np.hypot(*np.gradient(blur(fine, 3), pixel_size_m)).astype(np.float32)
    gullies = ridged(size, generator, largest=28, octaves=4)
    fine += np.clip(slope - 0.15, 0, 0.8) * 1.6 * gullies
    fine += (0.15 + np.clip(slope, 0, 1)) * 0.7 * fractal(size, generator, largest=12, octaves=4, gain=0.6)
    streams, flow = _trace_streams(area, receivers, view)
    return Terrain(pixel_size_m, fine - fine.min(), streams, flow)


@dataclass(frozen=True)
class _View:
    """Where the scene lies in the domain: turned, and bent a little to hide the grid's eight directions."""

    centre_yx: NDArray[np.float64]
    angle: float
    bend_yx: NDArray[np.float32]
    """(2, size, size), in cells."""

    @classmethod
    def draw(cls, size: int, generator: np.random.Generator) -> _View:
        """A random place and direction that keep the scene inside the domain."""
        reach = 1.3 * size / CELL_PX / 2
        centre = _DOMAIN_CELLS / 2 + generator.uniform(-1, 1, 2) * max(_DOMAIN_CELLS / 2 - 4 - reach, 0)
        bend = np.stack([1.3 * fractal(size, generator, largest=110, octaves=3, gain=0.4) for _ in range(2)])
        return cls(centre, float(generator.uniform(0, 2 * np.pi)), bend)

    @property
    def _turn(self) -> NDArray[np.float64]:
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(np.array([[cosine, sine], [-sine, cosine]]) / CELL_PX)

    def cut(self, field: Field) -> Field:
        """The domain's field at every pixel; enlarged first, because OpenCV interpolates in steps of 1/32."""
        size = self.bend_yx.shape[1]
        axis = np.arange(size) - size / 2
        pixels = np.stack(np.meshgrid(axis, axis, indexing="ij"))
        cells = np.tensordot(self._turn, pixels, 1) + self.centre_yx[:, None, None] + self.bend_yx
        edge = field.shape[0] * CELL_PX
        fine = cv2.resize(field, (edge, edge), interpolation=cv2.INTER_CUBIC)
        map_y, map_x = (cells * CELL_PX + (CELL_PX - 1) / 2).astype(np.float32)
        return cv2.remap(fine, map_x, map_y, cv2.INTER_CUBIC).astype(np.float32)

    def pixels_of(self, cells_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels (n, 2) where cells (n, 2) lie: turn and bend undone, by fixed-point iteration."""
        size = self.bend_yx.shape[1]
        inverse = np.linalg.inv(self._turn)
        bend = np.zeros_like(cells_yx)
        for _ in range(6):
            pixels = (cells_yx - self.centre_yx - bend) @ inverse.T + size / 2
            row, column = np.clip(np.round(pixels), 0, size - 1).astype(int).T
            bend = self.bend_yx[:, row, column].T.astype(np.float64)
        return np.asarray(pixels)


def _trace_streams(
    area: Field, receivers: NDArray[np.int32], view: _View, least_cells: float = 25
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stretches from each stream cell to the next one downstream, smoothed along the stream."""
    flat = area.ravel()
    own = np.arange(flat.size)
    upstream = own.copy()  # of every cell its largest tributary
    for cell in np.argsort(flat, kind="stable").tolist():
        if receivers[cell] != cell:
            upstream[receivers[cell]] = cell
    places = np.stack(np.unravel_index(own, area.shape), 1).astype(np.float64)
    for _ in range(4):
        places = 0.25 * places[upstream] + 0.5 * places + 0.25 * places[receivers]
    stream = (flat >= least_cells) & (receivers != own)
    pixels = view.pixels_of(places)
    ends = np.stack([pixels[stream], pixels[receivers[stream]]], 1)
    size = view.bend_yx.shape[1]
    near = ((ends > -20) & (ends < size + 20)).all((1, 2))
    return ends[near].astype(np.float32), flat[stream][near]


def _scale_relief(height: Field, pixel_size_m: float, steep_deg: float) -> Field:
    """Scaled so that a fifth of the ground is steeper than `steep_deg`."""
    slope = np.hypot(*np.gradient(height, pixel_size_m))
    return np.asarray(height * np.tan(np.deg2rad(steep_deg)) / np.quantile(slope, 0.8), np.float32)


def _flatten_valleys(height: Field, channel: NDArray[np.bool_], cell_m: float, width_cells: float) -> Field:
    """Valley floors along the larger streams: gently rising from the nearest stream cell."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~channel).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(labels.max() + 1, np.float32)
    of_label[labels[channel]] = height[channel]
    floor = of_label[labels] + distance * 0.15
    near = distance < width_cells
    return blur(np.where(near, np.minimum(height, floor), height).astype(np.float32), 0.8)


# -------------------------------------------------------------------------------------------------- erosion


def _erode(generator: np.random.Generator) -> Field:
    """Height of the whole domain in any unit; coarse first, then in full resolution."""
    edge = _DOMAIN_CELLS
    relief = ridged(edge, generator, largest=edge / 2) + 0.7 * fractal(edge, generator, largest=edge / 1.5)
    tilt = np.linspace(-1, 1, edge, dtype=np.float32) * np.float32(generator.uniform(0.4, 1.4))
    relief = (relief + (tilt[:, None] if generator.random() < 0.5 else tilt)).astype(np.float32)
    height = _resized((relief - relief.min()) * 3, edge // 2)
    uplift = 1 + 0.35 * fractal(edge // 2, generator, largest=edge / 4, octaves=2)
    erodibility = float(generator.uniform(0.25, 0.5))
    height = _uplift_and_erode(height, uplift, erodibility, steps=20)
    height = 2 * _resized(height, edge) + 0.5 * generator.standard_normal((edge, edge), np.float32)
    return _uplift_and_erode(height, _resized(uplift, edge), erodibility, steps=7)


def _resized(field: Field, edge: int) -> Field:
    return np.asarray(cv2.resize(field, (edge, edge), interpolation=cv2.INTER_CUBIC), np.float32)


def _uplift_and_erode(height: Field, uplift: Field, erodibility: float, steps: int) -> Field:
    inside = np.zeros(height.shape, bool)
    inside[1:-1, 1:-1] = True
    for _ in range(steps):
        height = np.where(inside, height + uplift, height).astype(np.float32)
        receivers = _find_receivers(height)
        order = np.argsort(height, axis=None)
        area = _accumulate(receivers, order, height.shape)
        height = _lower(height, receivers, order, erodibility * area**0.3)
        height = np.where(inside, 0.6 * height + 0.4 * blur(height, 0.8), height).astype(np.float32)
    return height


def _find_receivers(height: Field) -> NDArray[np.int32]:
    """Flat index of the steepest lower neighbour of every cell; itself for pits and the edge."""
    rows, columns = height.shape
    own = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    receivers = own.copy()
    steepest = np.zeros((rows - 2, columns - 2), np.float32)
    centre = height[1:-1, 1:-1]
    for dy, dx in _STEPS_YX:
        window = np.s_[1 + dy : rows - 1 + dy, 1 + dx : columns - 1 + dx]
        drop = (centre - height[window]) / np.float32(np.hypot(dy, dx))
        better = drop > steepest
        steepest[better] = drop[better]
        receivers[1:-1, 1:-1][better] = own[window][better]
    return receivers.ravel()


def _drain(height: Field) -> tuple[NDArray[np.int32], Field]:
    """Downstream neighbour and drainage area of every cell, basins spilling over their lowest rim.

    The priority flood of Barnes, Lehman & Mulla (2014), Computers & Geosciences 62.
    """
    rows, columns = height.shape
    levels = height.ravel().tolist()
    border = np.ones(height.shape, bool)
    border[1:-1, 1:-1] = False
    receivers = np.arange(height.size, dtype=np.int32).tolist()
    queue = [(levels[cell], cell) for cell in np.flatnonzero(border).tolist()]
    heapq.heapify(queue)
    reached = border.ravel().tolist()
    order = []
    offsets = [dy * columns + dx for dy, dx in _STEPS_YX]
    inside = (~border).ravel().tolist()
    while queue:
        level, cell = heapq.heappop(queue)
        order.append(cell)
        for offset in offsets if inside[cell] else _inward(cell, rows, columns):
            neighbour = cell + offset
            if not reached[neighbour]:
                reached[neighbour] = True
                receivers[neighbour] = cell
                heapq.heappush(queue, (max(levels[neighbour], level), neighbour))
    drained = np.asarray(receivers, np.int32)
    return drained, _accumulate(drained, np.asarray(order), height.shape)


def _inward(cell: int, rows: int, columns: int) -> list[int]:
    row, column = divmod(cell, columns)
    return [dy * columns + dx for dy, dx in _STEPS_YX if 0 <= row + dy < rows and 0 <= column + dx < columns]


def _accumulate(receivers: NDArray[np.int32], order: NDArray[np.intp], shape: tuple[int, ...]) -> Field:
    """Cells that drain through each cell, itself included."""
    area = [1.0] * len(receivers)
    downstream = receivers.tolist()
    for cell in reversed(order.tolist()):
        receiver = downstream[cell]
        if receiver != cell:
            area[receiver] += area[cell]
    return np.asarray(area, np.float32).reshape(shape)


def _lower(height: Field, receivers: NDArray[np.int32], order: NDArray[np.intp], factor: Field) -> Field:
    """One implicit step of stream-power erosion, from the lowest cell up."""
    levels, factors, downstream = height.ravel().tolist(), factor.ravel().tolist(), receivers.tolist()
    for cell in order.tolist():
        receiver = downstream[cell]
        if receiver != cell:
            share = factors[cell]
            levels[cell] = (levels[cell] + share * levels[receiver]) / (1 + share)
    return np.asarray(levels, np.float32).reshape(height.shape)
