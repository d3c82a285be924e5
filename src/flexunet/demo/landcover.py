"""What grows, flows and is built on the ground, and every bare thing that is no landslide."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import Field, blur, fractal, ramp
from .terrain import Terrain

Colour = tuple[float, float, float]

SOILS: tuple[Colour, ...] = ((168, 134, 96), (158, 110, 80), (164, 150, 128), (184, 168, 140), (146, 122, 98))
FORESTS: tuple[Colour, ...] = ((40, 58, 36), (48, 68, 38), (58, 76, 44), (44, 60, 46))
MEADOWS: tuple[Colour, ...] = ((104, 118, 66), (126, 126, 78), (92, 110, 58), (146, 134, 92))
WATERS: tuple[Colour, ...] = ((74, 92, 84), (112, 112, 90), (56, 76, 76), (128, 120, 98))


@dataclass(frozen=True)
class Land:
    """The ground's colour and what stands on it; fields are (size, size), the colour (size, size, 3)."""

    colour: NDArray[np.float32]
    """RGB as a sensor would see it in flat light, 0 to 255."""
    canopy_m: Field
    """Height of trees and houses."""
    water: Field
    """Share of water in a pixel."""


@dataclass(frozen=True)
class Season:
    """The colours of one scene."""

    soil: NDArray[np.float32]
    forest: NDArray[np.float32]
    meadow: NDArray[np.float32]
    water: NDArray[np.float32]
    rock: NDArray[np.float32]

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Season:
        """One of each palette, a little shifted."""

        def pick(palette: tuple[Colour, ...]) -> NDArray[np.float32]:
            shift = generator.normal(0, 5) + generator.normal(0, 2.5, 3)
            return (np.array(palette[int(generator.integers(len(palette)))]) + shift).astype(np.float32)

        soil = pick(SOILS)
        grey = np.full(3, soil.mean() - 4, np.float32)
        return cls(soil, pick(FORESTS), pick(MEADOWS), pick(WATERS), 0.35 * soil + 0.65 * grey)


def cover_land(terrain: Terrain, season: Season, generator: np.random.Generator) -> Land:
    """Paints the ground from the lowest layer up: meadow, forest, fields, rock, bare soil, water, roads, houses."""
    size = terrain.height_m.shape[0]
    canvas = _Canvas(size)
    slope = terrain.slope_deg
    wet = _moisture(terrain, generator)

    _paint_meadow(canvas, season, wet, generator)
    _paint_forest(canvas, season, slope, wet, generator)
    fields = _paint_fields(canvas, season, terrain, generator)
    _paint_rock(canvas, season, terrain, generator)
    _paint_bare_soil(canvas, season, slope, generator)
    water = _paint_river(canvas, season, terrain, generator)
    _paint_roads_and_houses(canvas, season, terrain, fields, water, generator)
    canvas.canopy *= 1 - water
    return Land(canvas.colour, canvas.canopy, water)


class _Canvas:
    """A picture that layers are blended onto."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.colour = np.zeros((size, size, 3), np.float32)
        self.canopy = np.zeros((size, size), np.float32)

    def paint(self, share: Field, colour: NDArray[np.float32], canopy: Field | float = 0.0) -> None:
        """Blends `colour` ((3,) or (size, size, 3)) over what is there; the canopy beneath goes with it."""
        self.colour += share[..., None] * (colour - self.colour)
        self.canopy += share * (canopy - self.canopy)


def _textured(colour: NDArray[np.float32], texture: Field, strength: float) -> NDArray[np.float32]:
    return (colour * (1 + strength * texture)[..., None]).astype(np.float32)


def _moisture(terrain: Terrain, generator: np.random.Generator) -> Field:
    """About -2 to 2: wetter in hollows and along streams, drier on ridges and towards the south."""
    hollow = (blur(terrain.height_m, 12) - terrain.height_m) / 8
    dy, _ = terrain.gradient
    patches = fractal(terrain.height_m.shape[0], generator, largest=80, octaves=5, gain=0.6)
    return (np.clip(hollow, -1.5, 1.5) + 0.8 * np.clip(dy * 1.5, -1, 1) + 0.9 * patches).astype(np.float32)


# ------------------------------------------------------------------------------------------------ vegetation


def _paint_meadow(canvas: _Canvas, season: Season, wet: Field, generator: np.random.Generator) -> None:
    dry = 0.55 * season.meadow + 0.45 * season.soil
    share = ramp(wet + 0.5 * fractal(canvas.size, generator, largest=16), 0.6, -1.6)
    canvas.paint(np.ones_like(share), season.meadow)
    canvas.paint(0.8 * share, dry)
    for wave, strength in ((30, 0.05), (6, 0.05), (1.5, 0.045)):
        canvas.colour *= (1 + strength * fractal(canvas.size, generator, largest=wave, octaves=3))[..., None]
    bushes = ramp(fractal(canvas.size, generator, largest=3.2, octaves=2), 1.1, 1.8)
    bushes *= ramp(fractal(canvas.size, generator, largest=40, octaves=3) + 0.4 * wet, -0.6, 1.2)
    canvas.paint(0.85 * bushes, 0.5 * (season.forest + season.meadow) * 0.85, 2.5)


def _paint_forest(
    canvas: _Canvas, season: Season, slope: Field, wet: Field, generator: np.random.Generator
) -> None:
    love = wet + float(generator.normal(0.25, 0.55)) - 0.4 * ramp(slope, 40, 52)
    love += 0.35 * fractal(canvas.size, generator, largest=10, octaves=4, gain=0.7)
    share = ramp(love, -0.15, 0.15)
    crowns = fractal(canvas.size, generator, largest=3.4, octaves=2, gain=0.7)
    stands = fractal(canvas.size, generator, largest=45, octaves=4)
    light = season.forest + np.float32([16, 18, 6])
    colour = season.forest + ramp(stands, -0.4, 1.2)[..., None] * (light - season.forest)
    colour = _textured(colour.astype(np.float32), np.clip(crowns, -2, 2), 0.16)
    height = np.clip(6 + 2.6 * crowns + 1.2 * stands, 1.5, 15)
    canvas.paint(share, colour, height)


# ---------------------------------------------------------------------------------------------- fields and bare


def _paint_fields(canvas: _Canvas, season: Season, terrain: Terrain, generator: np.random.Generator) -> Field:
    """Parcels on gentle ground; on slopes they follow the contours as terraces do."""
    size = canvas.size
    steepest = float(generator.choice([9, 15, 22], p=[0.4, 0.35, 0.25]))
    share = ramp(blur(terrain.slope_deg, 3), steepest + 3, steepest - 3)
    share *= (
        ramp(fractal(size, generator, largest=120, octaves=3), float(generator.uniform(-0.9, 0.5)), 1.0) > 0.5
    )
    angle = generator.uniform(0, np.pi)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    bend = 3 * fractal(size, generator, largest=60, octaves=2)
    across = np.cos(angle) * xs + np.sin(angle) * ys + bend
    along = np.cos(angle) * ys - np.sin(angle) * xs
    width, length = generator.uniform(9, 17), generator.uniform(16, 40)
    rows = across / width + blur(terrain.height_m, 4) / generator.uniform(4, 8)
    row = np.floor(rows).astype(np.int64)
    column = np.floor(along / length + _hashed(row, 7)).astype(np.int64)
    parcel = row * 8191 + column

    palette = np.array(
        [season.soil, season.soil * 0.92, season.soil * 1.06, season.meadow, season.meadow * 0.86,
         season.meadow + np.float32([34, 24, 4]), season.forest + np.float32([34, 44, 14]),
         season.soil * 0.6 + season.meadow * 0.4],
        np.float32,
    )  # fmt: skip
    bareness = generator.dirichlet(np.array([1.2, 1.0, 0.7, 1.5, 1.2, 0.9, 1.2, 1.0]))
    chosen = np.searchsorted(bareness.cumsum()[:-1], _hashed(parcel, 11))
    colour = palette[chosen] * (0.92 + 0.16 * _hashed(parcel, 13))[..., None]
    furrows = np.sin(rows * 2 * np.pi * generator.uniform(3, 6)) * (_hashed(parcel, 17) > 0.4)
    grain = fractal(size, generator, largest=8, octaves=4, gain=0.6)
    colour = _textured(colour.astype(np.float32), 0.03 * furrows.astype(np.float32) + 0.045 * grain, 1.0)
    canvas.paint(share.astype(np.float32), colour)
    edge = np.zeros((size, size), np.float32)
    edge[:, 1:] = parcel[:, 1:] != parcel[:, :-1]
    edge[1:] = np.maximum(edge[1:], parcel[1:] != parcel[:-1])
    hedge = blur(edge, 0.6) * share * (_hashed(parcel, 19) > 0.3)
    canvas.paint((0.65 * hedge).astype(np.float32), 0.4 * season.forest + 0.6 * season.meadow, 0.8)
    return share.astype(np.float32)


def _hashed(numbers: NDArray[np.int64], salt: int) -> NDArray[np.float64]:
    """A fixed pseudo-random value from 0 to 1 for every integer."""
    mixed = (numbers.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(40)).astype(np.float64) / 2**24


def _paint_rock(canvas: _Canvas, season: Season, terrain: Terrain, generator: np.random.Generator) -> None:
    """Cliffs and outcrops: on the steepest and most convex ground, in bands, with a blocky texture."""
    convex = (terrain.height_m - blur(terrain.height_m, 5)) / 2
    love = (terrain.slope_deg - float(generator.uniform(43, 54))) / 6 + 0.5 * np.clip(convex, -1, 1)
    love += 0.8 * fractal(canvas.size, generator, largest=14, octaves=4, gain=0.7)
    bands = np.sin(
        terrain.height_m / generator.uniform(2.0, 3.5) + fractal(canvas.size, generator, largest=30)
    )
    texture = 0.09 * bands + 0.12 * fractal(canvas.size, generator, largest=4, octaves=3, gain=0.7)
    canvas.paint(ramp(love, 0.7, 1.0), _textured(season.rock, texture.astype(np.float32), 1.0))


def _paint_bare_soil(canvas: _Canvas, season: Season, slope: Field, generator: np.random.Generator) -> None:
    """Clearings, worn pasture and building ground: patches of the soil that landslides lay open too."""
    size = canvas.size
    blobs = fractal(size, generator, largest=float(generator.uniform(22, 45)), octaves=4, gain=0.45)
    gentle = ramp(slope, 24, 14)
    limit = float(generator.uniform(1.1, 1.7))
    grain = fractal(size, generator, largest=10, octaves=5, gain=0.7)
    colour = _textured(season.soil * float(generator.uniform(0.92, 1.08)), grain, 0.05)
    canvas.paint(ramp(blobs, limit, limit + 0.12) * gentle, colour)
    worn = fractal(size, generator, largest=9, octaves=3) + 0.7 * fractal(
        size, generator, largest=60, octaves=2
    )
    canvas.paint(0.75 * ramp(worn, 1.7, 2.2), _textured(season.soil, grain, 0.06))


# ------------------------------------------------------------------------------------- rivers, roads and houses


def _paint_river(canvas: _Canvas, season: Season, terrain: Terrain, generator: np.random.Generator) -> Field:
    """Water along the flow lines, and gravel as bright as any scar on the bars beside it."""
    size = canvas.size
    least = float(np.exp(generator.uniform(np.log(150), np.log(1500))))
    width = float(generator.uniform(0.06, 0.2))
    channel = np.zeros((size * 4, size * 4), np.uint8)
    for (start, end), cells in zip(terrain.streams, terrain.flow, strict=True):
        if cells >= least:
            points = [
                tuple(int(value) for value in np.round((point[::-1] + 0.5) * 4)) for point in (start, end)
            ]
            cv2.line(
                channel,
                points[0],
                points[1],
                255,
                max(2, round(4 * width * float(cells - 0.9 * least) ** 0.5)),
                cv2.LINE_AA,
            )
    water = cv2.resize(channel, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    bars = np.clip(0.25 + 0.9 * fractal(size, generator, largest=30, octaves=4), -0.5, 2)
    reach = cv2.distanceTransform((channel == 0).astype(np.uint8), cv2.DIST_L2, 5)[::4, ::4] / 4
    gravel = ramp(reach - float(generator.uniform(1.5, 6)) * bars, 0.8, -0.8) * ramp(
        terrain.slope_deg, 34, 20
    )
    if not channel.any():
        gravel[:] = 0
    stones = fractal(canvas.size, generator, largest=3, octaves=3, gain=0.8)
    pale = 0.45 * season.rock + 0.2 * season.soil + 0.35 * np.float32([178, 174, 164])
    canvas.paint(gravel, _textured(pale, stones, 0.06))
    canvas.paint(water, _textured(season.water, fractal(canvas.size, generator, largest=20), 0.04))
    return water


def _paint_roads_and_houses(
    canvas: _Canvas,
    season: Season,
    terrain: Terrain,
    fields: Field,
    water: Field,
    generator: np.random.Generator,
) -> None:
    paved = np.float32([178, 176, 170])
    for _ in range(int(generator.integers(0, 3))):
        line = _lay_road(terrain, generator)
        is_paved = generator.random() < 0.45
        width = float(generator.uniform(1.6, 3.0) if is_paved else generator.uniform(1.0, 1.9))
        road = _draw_line(line, width, canvas.size)
        # Cut slopes: soil laid open on the uphill side, where the ground is steep enough to need a cut.
        wide = _draw_line(line, width + float(generator.uniform(3, 7)), canvas.size)
        level = blur(terrain.height_m * (road > 0.5), 4) / np.maximum(
            blur((road > 0.5).astype(np.float32), 4), 1e-3
        )
        uphill = ramp(terrain.height_m - level, 0.2, 1.5) * ramp(terrain.slope_deg, 16, 26)
        ragged = ramp(fractal(canvas.size, generator, largest=12, octaves=3), -0.6, 0.4)
        canvas.paint(wide * uphill * ragged * 0.85, season.soil * 0.97)
        canvas.paint(road, paved if is_paved else season.soil * 1.05)
        if is_paved or generator.random() < 0.5:
            _build_houses(canvas, line, terrain, water, generator)


def _lay_road(terrain: Terrain, generator: np.random.Generator, cell: int = 8) -> NDArray[np.float64]:
    """(n, 2) points (y, x) of the cheapest way between two edges of the scene, where climbing is dear (Dijkstra)."""
    height = terrain.height_m[::cell, ::cell]
    count = height.shape[0]
    sides = generator.permutation(4)[:2]
    ends = []
    for side in sides:
        place = int(generator.integers(2, count - 2))
        ends.append([(0, place), (place, 0), (count - 1, place), (place, count - 1)][int(side)])
    toll = 1 + 0.25 * np.exp(generator.standard_normal((count, count)))
    cost = {ends[0]: 0.0}
    came: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(0.0, ends[0])]
    levels, tolls = height.tolist(), toll.tolist()
    neighbours = [(a, b, (a * a + b * b) ** 0.5) for a in range(-2, 3) for b in range(-2, 3) if a or b]
    while queue:
        spent, here = heapq.heappop(queue)
        if here == ends[1]:
            break
        if spent > cost[here]:
            continue
        for dy, dx, distance in neighbours:
            row, column = here[0] + dy, here[1] + dx
            if 0 <= row < count and 0 <= column < count:
                run = distance * cell * terrain.pixel_size_m
                grade = (levels[row][column] - levels[here[0]][here[1]]) / run
                price = spent + distance * tolls[row][column] * (1 + (grade / 0.09) ** 2)
                if price < cost.get((row, column), np.inf):
                    cost[row, column], came[row, column] = price, here
                    heapq.heappush(queue, (price, (row, column)))
    cells = [ends[1]]
    while cells[-1] != ends[0]:
        cells.append(came[cells[-1]])
    line = np.array(cells, np.float64) * cell
    for _ in range(3):  # Chaikin's corner cutting
        line = np.concatenate(
            [
                line[:1],
                np.stack([0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]], 1).reshape(
                    -1, 2
                ),
                line[-1:],
            ]
        )
    return line


def _draw_line(line: NDArray[np.float64], width: float, size: int, scale: int = 4) -> Field:
    """Share of each pixel that a line of `width` pixels covers."""
    large = np.zeros((size * scale, size * scale), np.uint8)
    points = np.round((line[:, ::-1] + 0.5) * scale).astype(np.int32)
    cv2.polylines(large, [points], False, 255, max(1, round(width * scale)))
    return (cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) / 255).astype(np.float32)


def _build_houses(
    canvas: _Canvas, line: NDArray[np.float64], terrain: Terrain, water: Field, generator: np.random.Generator
) -> None:
    roofs = np.array(
        [[196, 196, 198], [150, 98, 84], [120, 130, 152], [168, 160, 150], [98, 92, 90]], np.float32
    )
    slope = terrain.slope_deg
    centre = line[int(generator.integers(len(line)))]
    for _ in range(int(generator.integers(3, 22))):
        spot = centre + generator.normal(0, 14, 2)
        row, column = (round(value) for value in spot)
        if not (6 <= row < canvas.size - 6 and 6 <= column < canvas.size - 6):
            continue
        if slope[row, column] > 14 or water[row, column] > 0.05:
            continue
        edges = generator.uniform(2.2, 6.5, 2)
        box = cv2.boxPoints(((column * 4.0, row * 4.0), tuple(edges * 4), float(generator.uniform(0, 180))))
        large = np.zeros((canvas.size * 4, canvas.size * 4), np.uint8)
        cv2.fillConvexPoly(large, np.round(box).astype(np.int32), 255)
        share = cv2.resize(large, (canvas.size, canvas.size), interpolation=cv2.INTER_AREA) / np.float32(255)
        roof = roofs[int(generator.integers(len(roofs)))] + np.float32(generator.normal(0, 6))
        canvas.paint(share, roof, 5.0)
