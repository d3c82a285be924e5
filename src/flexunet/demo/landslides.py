"""Landslides: they start on steep slopes, run down the fall line, and leave a scar, a track and a fan."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import Field, blur, fractal, ramp
from .terrain import Terrain

_EDGE_PX = 14
_GENTLE_DEG = 11.0


@dataclass(frozen=True)
class Landslides:
    """What the landslides of a scene leave; every field is (size, size)."""

    mask: NDArray[np.bool_]
    height_m: Field
    """The ground with scars cut in and fans laid on."""
    along: Field
    """0 at the crown, 1 at the toe."""
    streak: Field
    """About -1 to 1, drawn out along the flow."""
    regrowth: Field
    """0 bare to 1 overgrown."""


def add_landslides(terrain: Terrain, count: int, generator: np.random.Generator) -> Landslides:
    """`count` landslides, or as many as the slopes have room for."""
    size = terrain.height_m.shape[0]
    mask = np.zeros((size, size), bool)
    along, streak, regrowth = (np.zeros((size, size), np.float32) for _ in range(3))
    relief = np.zeros((size, size), np.float32)
    for path, radius_px in _choose_paths(terrain, count, generator):
        shape = _Shape.of(path, radius_px, size, generator)
        new = shape.inside & ~mask
        along[new], streak[new] = shape.along[new], _streaks(shape, generator)[new]
        age = float(generator.choice([0.0, 0.1, 0.2, 0.3], p=[0.45, 0.25, 0.2, 0.1]))
        patches = fractal(size, generator, largest=9, octaves=3)
        regrowth[new] = (age * 1.5 * ramp(patches, 0.2, 1.2))[new]
        relief[new] += _relief(shape, radius_px * terrain.pixel_size_m, generator)[new]
        mask |= new
    height = terrain.height_m + blur(relief, 1.1)
    return Landslides(mask, height, along, streak, regrowth)


# ---------------------------------------------------------------------------------------------------- paths


def _choose_paths(
    terrain: Terrain, count: int, generator: np.random.Generator
) -> list[tuple[NDArray[np.float64], float]]:
    """Paths (n, 2) in pixels (y, x) with the radius of their scar, crowns well apart."""
    slope = terrain.slope_deg
    inner = np.zeros_like(slope, dtype=bool)
    inner[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX] = True
    dy, dx = (
        np.asarray(part, np.float32)
        for part in np.gradient(blur(terrain.height_m, 4.0), terrain.pixel_size_m)
    )
    steep = np.where(inner, np.clip(slope - 26, 0, 14), 0).ravel().astype(np.float64)
    paths: list[tuple[NDArray[np.float64], float]] = []
    if steep.sum() == 0:
        return paths
    crowns = generator.choice(steep.size, 60, p=steep / steep.sum())
    taken = np.zeros((0, 2))
    for crown in crowns:
        if len(paths) == count:
            break
        start = np.array(divmod(int(crown), slope.shape[1]), np.float64)
        radius = float(np.clip(generator.lognormal(np.log(13), 0.33), 7.0, 22))
        if len(taken) and np.hypot(*(taken - start).T).min() < 3.5 * radius:
            continue
        longest = radius * generator.uniform(3.5, 11)
        path = _run_down(start, dy, dx, slope, longest, generator)
        if len(path) >= max(16, 2.2 * radius):
            paths.append((path, radius))
            taken = np.vstack([taken, path[::4]])
    return paths


def _run_down(
    start: NDArray[np.float64],
    dy: Field,
    dx: Field,
    slope: Field,
    longest: float,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """The fall line from `start` with some inertia, until the ground stays gentle or it is `longest`."""
    points = [start]
    heading = np.zeros(2)
    gentle = 0
    while len(points) < longest and gentle < 7:
        row, column = (round(value) for value in points[-1])
        fall = -np.array([dy[row, column], dx[row, column]], np.float64)
        fall /= max(float(np.hypot(*fall)), 1e-6)
        heading = (
            0.82 * heading + 0.18 * (fall + 0.25 * generator.standard_normal(2)) if len(points) > 1 else fall
        )
        heading /= max(float(np.hypot(*heading)), 1e-6)
        point = points[-1] + heading
        if not (1 <= point[0] < slope.shape[0] - 2 and 1 <= point[1] < slope.shape[1] - 2):
            break
        points.append(point)
        gentle = gentle + 1 if slope[row, column] < _GENTLE_DEG else 0
    return np.array(points)


# ----------------------------------------------------------------------------------------------------- shape


@dataclass(frozen=True)
class _Shape:
    """One landslide on the scene's grid."""

    inside: NDArray[np.bool_]
    along: Field
    along_px: Field
    lateral_px: Field
    depth: Field
    """0 at the outline to 1 in the middle."""

    @classmethod
    def of(
        cls, path: NDArray[np.float64], radius: float, size: int, generator: np.random.Generator
    ) -> _Shape:
        share = np.linspace(0, 1, len(path))
        radii = radius * _profile(share, generator)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        margin = 2.2 * radius
        top, left = np.maximum(path.min(0) - margin, 0).astype(int)
        bottom, right = np.minimum(path.max(0) + margin, size).astype(int)
        box = np.s_[top:bottom, left:right]
        offset = np.stack([ys[box], xs[box]], -1)[:, :, None] - path[None, None].astype(np.float32)
        closeness = radii.astype(np.float32) - np.hypot(offset[..., 0], offset[..., 1])  # (h, w, points)
        nearest = closeness.argmax(-1)
        heading = np.gradient(path, axis=0)
        heading /= np.maximum(np.hypot(*heading.T), 1e-6)[:, None]
        rows, columns = np.indices(nearest.shape)
        vector = offset[rows, columns, nearest]
        lateral = vector[..., 1] * heading[nearest, 0] - vector[..., 0] * heading[nearest, 1]

        ragged = 0.24 * fractal(size, generator, largest=15, octaves=3)
        ragged += 0.10 * fractal(size, generator, largest=5, octaves=2)
        value = np.full((size, size), -np.inf, np.float32)
        value[box] = closeness.max(-1) + radius * ragged[box]
        along, along_px, lateral_px = (np.zeros((size, size), np.float32) for _ in range(3))
        along[box], along_px[box], lateral_px[box] = share[nearest], nearest, lateral
        inside = _main_part(value > 0)
        return cls(inside, along, along_px, lateral_px, np.clip(value / radius, 0, 1))


def _profile(share: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Half-width along the path in units of the scar's radius: a rounded scar, a narrower track, a fan."""
    narrow, fan = generator.uniform(0.4, 0.85), generator.uniform(0.7, 1.5)
    return np.interp(
        share, [0, 0.12, 0.3, 0.6, 0.85, 1], [0.7, 1.0, 0.9, narrow, (narrow + fan) / 2, fan * 0.9]
    )


def _main_part(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part without its small holes."""
    closed = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=4)
    if count < 2:
        return inside
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _streaks(shape: _Shape, generator: np.random.Generator) -> Field:
    """Noise that varies across the flow and hardly along it."""
    size = shape.along.shape[0]
    fine, broad = (fractal(size, generator, largest=wave, octaves=3) for wave in (4, 12))
    map_x = (shape.lateral_px * 1.3 + size / 2).astype(np.float32)
    map_y = (shape.along_px * 0.22 + 10).astype(np.float32)
    mixed = 0.6 * fine + 0.5 * broad
    return cv2.remap(mixed, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).astype(np.float32)


def _relief(shape: _Shape, radius_m: float, generator: np.random.Generator) -> Field:
    """Metres that the slide takes away at the scar and along the track, and lays down at the fan."""
    size = shape.along.shape[0]
    scar = ramp(shape.along, 0.5, 0.12) * ramp(shape.depth, 0.0, 0.35)
    track = ramp(shape.depth, 0.0, 0.8) * (1 - scar)
    fan = ramp(shape.along, 0.68, 0.9) * ramp(shape.depth, 0.0, 0.6)
    hummocks = 1 + 0.5 * fractal(size, generator, largest=5, octaves=2)
    return (-0.36 * radius_m * scar - 0.14 * radius_m * track + 0.20 * radius_m * fan * hummocks).astype(
        np.float32
    )
