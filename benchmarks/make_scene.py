"""A large georeferenced scene to measure on: procedural landscapes, a nodata collar, written as a COG.

    python benchmarks/make_scene.py scene.tif --width 40000 --height 40000

Every 512 x 512 cell is one of a few scenes of `flexunet.demo`, turned, mirrored and lit by chance, so that
no two neighbourhoods are alike and the bytes compress like a photograph's. The footprint is a rectangle
turned by some degrees, as aerial blocks are; what lies outside is no data (an internal mask with JPEG, the
nodata value 0 with the lossless ones). Memory: one row of cells and GDAL's cache, whatever the size.
The same size and seed give the same pixels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from flexunet.demo.scene import PIXEL_SIZE_M, make_scene
from flexunet.files import whole_file

CELL_PX = 512
SCENES = 12
CACHE_MB = 192
TURN = 0.02
"""Tangent of the angle by which the footprint is turned."""
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "jpeg": {"compress": "JPEG", "quality": 85},
    "deflate": {"compress": "DEFLATE", "predictor": 2},
    "zstd": {"compress": "ZSTD", "predictor": 2},
}


def main() -> None:
    """Write the scene, say how long it took and how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=40_000)
    parser.add_argument("--height", type=int, default=40_000)
    parser.add_argument("--compress", choices=COMPRESSIONS, default="jpeg")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-collar", action="store_true", help="data everywhere")
    options = parser.parse_args()
    started = time.monotonic()
    write_scene(
        options.out,
        (options.height, options.width),
        compress=options.compress,
        seed=options.seed,
        collar=not options.no_collar,
    )
    size_gb = options.out.stat().st_size / 1e9
    print(f"{options.out}: {options.height} x {options.width}, {size_gb:.2f} GB", end="")
    print(f" in {time.monotonic() - started:.0f} s")


def write_scene(
    out: Path, size_hw: tuple[int, int], *, compress: str = "jpeg", seed: int = 0, collar: bool = True
) -> None:
    """Write the scene of `size_hw` to `out`, whole or not at all."""
    height, width = size_hw
    profile = {
        "driver": "GTiff", "count": 3, "dtype": "uint8", "height": height, "width": width,
        "crs": "EPSG:32648", "transform": from_origin(400_000, 3_400_000, PIXEL_SIZE_M, PIXEL_SIZE_M),
        "tiled": True, "blockxsize": CELL_PX, "blockysize": CELL_PX, "BIGTIFF": "IF_SAFER",
        "nodata": 0 if collar and compress != "jpeg" else None,
    }  # fmt: skip
    masked = collar and compress == "jpeg"
    settings = {"GDAL_CACHEMAX": CACHE_MB, "GDAL_TIFF_INTERNAL_MASK": True, "GDAL_NUM_THREADS": "ALL_CPUS"}
    with rasterio.Env(**settings), whole_file(out) as beside:
        flat = beside.with_suffix(".flat.tif")
        try:
            with rasterio.open(flat, "w", **profile) as target:
                target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
                for row, pixels, inside in strips(size_hw, seed, collar):
                    window = rasterio.windows.Window(0, row, width, len(inside))
                    target.write(pixels, window=window)
                    if masked:
                        target.write_mask(inside, window=window)
            form = {
                "blocksize": CELL_PX,
                "overviews": "AUTO",
                "num_threads": "ALL_CPUS",
                "bigtiff": "IF_SAFER",
            }
            rasterio.shutil.copy(flat, beside, driver="COG", **form, **COMPRESSIONS[compress])
        finally:
            flat.unlink(missing_ok=True)


def strips(
    size_hw: tuple[int, int], seed: int, collar: bool
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.bool_]]]:
    """First row, pixels uint8 (3, h, W) and which of them are inside the footprint, from the top."""
    height, width = size_hw
    cells = library(seed)
    across = -(-width // CELL_PX)
    for number, row in enumerate(range(0, height, CELL_PX)):
        generator = np.random.default_rng((seed, number))
        chosen = generator.integers(0, len(cells), across)
        light = generator.integers(200, 281, across, dtype=np.uint16)  # in 256ths
        pixels = np.empty((3, CELL_PX, across * CELL_PX), np.uint8)
        for col, (which, gain) in enumerate(zip(chosen, light, strict=True)):
            lit = np.clip((cells[which] * gain) >> 8, 1, 255)  # 0 is nodata
            pixels[:, :, col * CELL_PX : (col + 1) * CELL_PX] = lit
        rows = min(CELL_PX, height - row)
        pixels = pixels[:, :rows, :width]
        inside = footprint(size_hw, row, rows) if collar else np.ones((rows, width), np.bool_)
        pixels *= inside
        yield row, pixels, inside


def library(seed: int) -> list[NDArray[np.uint16]]:
    """(3, CELL_PX, CELL_PX) each: every demo scene in its eight orientations."""
    cells = []
    for index in range(SCENES):
        image = make_scene(seed, index, CELL_PX).image.transpose(2, 0, 1).astype(np.uint16)
        for turns in range(4):
            turned = np.rot90(image, turns, (1, 2))
            cells += [np.ascontiguousarray(turned), np.ascontiguousarray(turned[:, :, ::-1])]
    return cells


def footprint(size_hw: tuple[int, int], row: int, rows: int) -> NDArray[np.bool_]:
    """Which pixels (rows, W) from `row` on lie in the rectangle that is turned to touch all four edges."""
    height, width = size_hw
    y = np.arange(row, row + rows, dtype=np.float64)[:, None]
    x = np.arange(width, dtype=np.float64)[None]
    left, right = TURN * (height - y), width - 1 - TURN * y
    top, bottom = TURN * x, height - 1 - TURN * (width - x)
    return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


if __name__ == "__main__":
    main()
