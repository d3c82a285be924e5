"""What grows, flows and is built on the ground, and every bare thing that is no landslide."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Season, textured
from .noise import Field, blur, fractal, ramp
from .settlement import paint_roads_and_houses
from .terrain import Terrain


@dataclass(frozen=True)
class Land:
    """The ground's colour and what stands on it; fields are (size, size), the colour (size, size, 3)."""

    colour: NDArray[np.float32]
    """RGB as a sensor would see it in flat light, 0 to 255."""
    canopy_m: Field
    """Height of trees and houses."""
    water: Field
    """Share of water in a pixel."""


def cover_land(terrain: Terrain, season: Season, generator: np.random.Generator) -> Land:
    """Paints the ground layer by layer: meadow, forest, fields, rock, bare soil, water, roads, houses."""
    size = terrain.height_m.shape[0]
    canvas = Canvas(size)
    slope = terrain.slope_deg
    wet = _moisture(terrain, generator)

    _paint_meadow(canvas, season, wet, generator)
    _paint_forest(canvas, season, slope, wet, generator)
    _paint_fields(canvas, season, terrain, generator)
    _paint_rock(canvas, season, terrain, generator)
    _paint_bare_soil(canvas, season, slope, generator)
    water = _paint_river(canvas, season, terrain, generator)
    paint_roads_and_houses(canvas, season, terrain, water, generator)
    canvas.canopy *= 1 - water
    return Land(canvas.colour, canvas.canopy, water)


def _moisture(terrain: Terrain, generator: np.random.Generator) -> Field:
    """About -2 to 2: wetter in hollows and along streams, drier on ridges and towards the south."""
    hollow = (blur(terrain.height_m, 12) - terrain.height_m) / 8
    dy, _ = terrain.gradient
    patches = fractal(terrain.height_m.shape[0], generator, largest=80, octaves=5, gain=0.6)
    return np.asarray(np.clip(hollow, -1.5, 1.5) + 0.8 * np.clip(dy * 1.5, -1, 1) + 0.9 * patches, np.float32)


# ------------------------------------------------------------------------------------------------ vegetation


def _paint_meadow(canvas: Canvas, season: Season, wet: Field, generator: np.random.Generator) -> None:
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
    canvas: Canvas, season: Season, slope: Field, wet: Field, generator: np.random.Generator
) -> None:
    love = wet + float(generator.normal(0.25, 0.55)) - 0.4 * ramp(slope, 40, 52)
    love += 0.35 * fractal(canvas.size, generator, largest=10, octaves=4, gain=0.7)
    share = ramp(love, -0.15, 0.15)
    crowns = fractal(canvas.size, generator, largest=3.4, octaves=2, gain=0.7)
    stands = fractal(canvas.size, generator, largest=45, octaves=4)
    light = season.forest + np.array([16, 18, 6], np.float32)
    colour = season.forest + ramp(stands, -0.4, 1.2)[..., None] * (light - season.forest)
    colour = textured(colour.astype(np.float32), np.clip(crowns, -2, 2), 0.16)
    height = np.clip(6 + 2.6 * crowns + 1.2 * stands, 1.5, 15)
    canvas.paint(share, colour, height)


# -------------------------------------------------------------------------------------------- fields and bare


def _paint_fields(canvas: Canvas, season: Season, terrain: Terrain, generator: np.random.Generator) -> None:
    """Parcels on gentle ground; on slopes they follow the contours as terraces do."""
    size = canvas.size
    steepest = float(generator.choice([9, 15, 22], p=[0.4, 0.35, 0.25]))
    share = ramp(blur(terrain.slope_deg, 3), steepest + 3, steepest - 3)
    share *= (
        ramp(fractal(size, generator, largest=120, octaves=3), float(generator.uniform(-1.3, 0.2)), 1.0) > 0.5
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

    straw, crop = np.array([[34, 24, 4], [34, 44, 14]], np.float32)
    palette = np.array(
        [season.soil, season.soil * 0.92, season.soil * 1.06, season.meadow, season.meadow * 0.86,
         season.meadow + straw, season.forest + crop,
         season.soil * 0.6 + season.meadow * 0.4],
        np.float32,
    )  # fmt: skip
    bareness = generator.dirichlet(np.array([1.8, 1.4, 1.2, 1.2, 1.0, 0.8, 1.0, 1.0]))
    chosen = np.searchsorted(bareness.cumsum()[:-1], _hashed(parcel, 11))
    tone = palette[chosen] * (0.92 + 0.16 * _hashed(parcel, 13))[..., None]
    furrows = np.sin(rows * 2 * np.pi * generator.uniform(3, 6)) * (_hashed(parcel, 17) > 0.4)
    grain = fractal(size, generator, largest=8, octaves=4, gain=0.6)
    colour = textured(tone.astype(np.float32), 0.03 * furrows + 0.045 * grain, 1.0)
    canvas.paint(share, colour)
    edge = np.zeros((size, size), np.float32)
    edge[:, 1:] = parcel[:, 1:] != parcel[:, :-1]
    edge[1:] = np.maximum(edge[1:], parcel[1:] != parcel[:-1])
    hedge = blur(edge, 0.6) * share * (_hashed(parcel, 19) > 0.3)
    canvas.paint((0.65 * hedge).astype(np.float32), 0.4 * season.forest + 0.6 * season.meadow, 0.8)


def _hashed(numbers: NDArray[np.int64], salt: int) -> NDArray[np.float64]:
    """A fixed pseudo-random value from 0 to 1 for every integer."""
    mixed = (numbers.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(40)).astype(np.float64) / 2**24


def _paint_rock(canvas: Canvas, season: Season, terrain: Terrain, generator: np.random.Generator) -> None:
    """Cliffs and outcrops: on the steepest and most convex ground, in bands, with a blocky texture."""
    convex = (terrain.height_m - blur(terrain.height_m, 5)) / 2
    love = (terrain.slope_deg - float(generator.uniform(43, 54))) / 6 + 0.5 * np.clip(convex, -1, 1)
    love += 0.8 * fractal(canvas.size, generator, largest=14, octaves=4, gain=0.7)
    bands = np.sin(
        terrain.height_m / generator.uniform(2.0, 3.5) + fractal(canvas.size, generator, largest=30)
    )
    texture = 0.09 * bands + 0.12 * fractal(canvas.size, generator, largest=4, octaves=3, gain=0.7)
    canvas.paint(ramp(love, 0.7, 1.0), textured(season.rock, texture.astype(np.float32), 1.0))


def _paint_bare_soil(canvas: Canvas, season: Season, slope: Field, generator: np.random.Generator) -> None:
    """Clearings, worn pasture and building ground: patches of the soil that landslides lay open too."""
    size = canvas.size
    blobs = fractal(size, generator, largest=float(generator.uniform(22, 45)), octaves=4, gain=0.45)
    gentle = ramp(blur(slope, 3), 19, 12)
    limit = float(generator.uniform(1.2, 1.8))
    grain = fractal(size, generator, largest=10, octaves=5, gain=0.7)
    colour = textured(season.soil * float(generator.uniform(0.92, 1.08)), grain, 0.05)
    canvas.paint(ramp(blobs, limit, limit + 0.12) * gentle, colour)
    worn = fractal(size, generator, largest=9, octaves=3) + 0.7 * fractal(
        size, generator, largest=60, octaves=2
    )
    canvas.paint(0.6 * ramp(worn, 1.9, 2.4) * gentle, textured(season.soil, grain, 0.05))


# ----------------------------------------------------------------------------------------------------- rivers


def _paint_river(canvas: Canvas, season: Season, terrain: Terrain, generator: np.random.Generator) -> Field:
    """Water along the flow lines, and gravel as bright as any scar on the bars beside it."""
    size = canvas.size
    least = float(np.exp(generator.uniform(np.log(150), np.log(1500))))
    channel = _draw_channels(terrain, least, float(generator.uniform(0.06, 0.2)), size * _FINER)
    water = cv2.resize(channel, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    bars = np.clip(0.25 + 0.9 * fractal(size, generator, largest=30, octaves=4), -0.5, 2)
    away_px = (
        cv2.distanceTransform((channel == 0).astype(np.uint8), cv2.DIST_L2, 5)[::_FINER, ::_FINER] / _FINER
    )
    gravel = ramp(away_px - float(generator.uniform(1.0, 4.0)) * bars, 0.8, -0.8)
    gravel *= ramp(terrain.slope_deg, 34, 20) * float(channel.any())
    stones = fractal(canvas.size, generator, largest=3, octaves=3, gain=0.8)
    pale = 0.45 * season.rock + 0.2 * season.soil + 0.35 * np.array([178, 174, 164], np.float32)
    canvas.paint(gravel, textured(pale, stones, 0.06))
    canvas.paint(water, textured(season.water, fractal(canvas.size, generator, largest=20), 0.04))
    return np.asarray(water, np.float32)


_FINER = 4
"""Lines are drawn this many times finer than the image, for smooth edges."""


def _draw_channels(terrain: Terrain, least: float, width_px: float, size: int) -> NDArray[np.uint8]:
    """0 to 255 (size, size): streams that drain more than `least` cells, wider the more they drain."""
    channel = np.zeros((size, size), np.uint8)
    for ends, cells in zip(terrain.streams, terrain.flow.tolist(), strict=True):
        if cells >= least:
            (start_y, start_x), (end_y, end_x) = np.round((ends + 0.5) * _FINER).astype(int).tolist()
            thick = max(2, round(_FINER * width_px * (cells - 0.9 * least) ** 0.5))
            cv2.line(channel, (start_x, start_y), (end_x, end_y), 255, thick, cv2.LINE_AA)
    return channel
