"""One scene: ground, cover, landslides, light and haze, seen by a satellite."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Season
from .landcover import Land, cover_land
from .landslides import Landslides, add_landslides
from .noise import Field, blur, fractal, ramp
from .terrain import make_terrain

PIXEL_SIZE_M = 2.5
_MARGIN_PX = 20


@dataclass(frozen=True)
class Scene:
    """What the satellite delivers, and the truth."""

    image: NDArray[np.uint8]
    """RGB (size, size, 3)."""
    mask: NDArray[np.uint8]
    """(size, size), 1 = landslide."""
    height_m: NDArray[np.float32]
    """Elevation after the landslides (size, size), in metres."""


def make_scene(seed: int, index: int, size: int = 256) -> Scene:
    """Scene `index` of the landscape of `seed`: the same bytes on every call, whatever was made before."""
    generator = np.random.default_rng((seed, index))
    work = size + 2 * _MARGIN_PX
    terrain = make_terrain(work, PIXEL_SIZE_M, generator)
    season = Season.draw(generator)
    land = cover_land(terrain, season, generator)
    slides = add_landslides(terrain, int(generator.integers(3, 8)), generator)
    mask = slides.mask & (land.water < 0.5)
    colour, canopy = _lay_open(land, slides, season, mask, generator)
    light = _light(slides.height_m, canopy, generator)
    picture = _observe(colour * light[..., None], generator)
    inner = np.s_[_MARGIN_PX : _MARGIN_PX + size, _MARGIN_PX : _MARGIN_PX + size]
    height = slides.height_m[inner] + np.float32(generator.uniform(600, 1900))
    return Scene(picture[inner], mask[inner].astype(np.uint8), height)


def _lay_open(
    land: Land, slides: Landslides, season: Season, mask: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[NDArray[np.float32], Field]:
    """Colour and canopy with the landslides' bare ground in them."""
    size = mask.shape[0]
    rough = fractal(size, generator, largest=3.5, octaves=3, gain=0.8)
    patches = fractal(size, generator, largest=20, octaves=3)
    fresh = (0.72 * season.soil + 0.28 * season.rock) * float(generator.uniform(0.96, 1.1)) + 3.0
    fan = 0.62 * season.soil + 0.26 * season.rock + 0.06 * season.forest
    bare = fresh + ramp(slides.along + 0.12 * patches, 0.45, 0.85)[..., None] * (fan - fresh)
    bare = bare * np.clip(1 + 0.12 * slides.streak + 0.08 * rough + 0.03 * patches, 0.5, 1.5)[..., None]
    share = blur(mask.astype(np.float32), 0.6) * (1 - np.clip(slides.regrowth, 0, 0.85))
    share *= 1 - land.water
    colour = land.colour + share[..., None] * (bare - land.colour)
    canopy = land.canopy_m * (1 - blur(mask.astype(np.float32), 0.5)) + 1.2 * slides.regrowth * mask
    return colour.astype(np.float32), canopy.astype(np.float32)


def _light(height: Field, canopy: Field, generator: np.random.Generator) -> Field:
    """Sunlight and skylight on every pixel, 1 on open flat ground."""
    azimuth = np.deg2rad(float(generator.uniform(105, 175)))
    elevation = np.deg2rad(float(generator.uniform(36, 64)))
    east, north = np.sin(azimuth), np.cos(azimuth)
    surface = height + 0.45 * canopy
    dy, dx = np.gradient(surface, PIXEL_SIZE_M)
    steepness = np.sqrt(1 + dx**2 + dy**2)
    facing = (np.sin(elevation) + np.cos(elevation) * (-dx * east + dy * north)) / steepness
    shadow = _cast_shadow(height + canopy, east, north, np.tan(elevation))
    sky = np.clip(1 - 0.012 * np.clip(blur(height, 10) - height, 0, 20), 0.7, 1) / steepness**0.3
    ambient = float(generator.uniform(0.42, 0.54))
    direct = np.clip(facing, 0, None) / np.sin(elevation) * (1 - 0.85 * shadow)
    return np.asarray((1 - ambient) * direct + ambient * sky, np.float32)


def _cast_shadow(surface: Field, east: float, north: float, tangent: float) -> Field:
    """0 in the sun to 1 in shadow: whether something stands higher than the ray towards the sun."""
    size = surface.shape[0]
    excess = np.full_like(surface, -10)
    for distance in (1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36):
        shift = np.array([[1, 0, distance * east], [0, 1, -distance * north]], np.float32)
        towards = cv2.warpAffine(
            surface,
            shift,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        excess = np.maximum(excess, towards - surface - distance * PIXEL_SIZE_M * tangent)
    return ramp(excess, -0.5, 1.5)


def _observe(radiance: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.uint8]:
    """What reaches the file: cloud shadows, haze, blur, noise, and someone's contrast stretch."""
    size = radiance.shape[0]
    if generator.random() < 0.3:
        cover = ramp(fractal(size, generator, largest=130, octaves=3, gain=0.4), 0.4, 1.0)
        radiance = radiance * (1 - float(generator.uniform(0.15, 0.35)) * cover)[..., None]
    haze = float(generator.beta(1.3, 4.0)) * 0.45
    veil = haze * (1 + 0.35 * fractal(size, generator, largest=150, octaves=3))
    veil = np.clip(veil, 0, 0.7)[..., None]
    radiance = radiance * (1 - veil) + np.array([176, 184, 194], np.float32) * veil
    balance = 1 + generator.normal(0, [0.02, 0.012, 0.025])
    gain = float(generator.uniform(0.88, 1.12))
    radiance = blur(radiance, float(generator.uniform(0.45, 0.75)))
    noise = generator.standard_normal(radiance.shape, np.float32) * float(generator.uniform(1.0, 2.6))
    radiance = (radiance * balance).astype(np.float32)
    # Half way to a stretch between the dark and the bright end, as most published pictures have it.
    dark, bright = np.quantile(radiance[::4, ::4], (0.01, 0.995))
    stretch = float(generator.uniform(0.25, 0.8))
    low, high = stretch * (dark - 18), 255 + stretch * (bright * 1.06 - 255)
    stretched = 255 * np.clip((radiance - low) / (high - low) * gain, 0, 1) ** float(
        generator.uniform(0.9, 1.1)
    )
    return np.asarray(np.clip(np.round(stretched + noise), 0, 255), np.uint8)
