"""The demo's dataset on disk: pictures and masks for training, elevation and GeoTIFFs beside them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from ..classes import Classes
from ..raster import Grid, write_labels_png, write_png, write_raster
from .scene import PIXEL_SIZE_M, make_scene

CLASSES = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 215, 0)))

# The scenes stand in a row in zone 48 north, in the mountains of south-west China.
_FIRST_EAST_M, _NORTH_M, _STEP_M = 400_000.0, 3_000_000.0, 2_000.0
_UTM_48N = (
    'PROJCS["WGS 84 / UTM zone 48N",GEOGCS["WGS 84",'
    'DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",105],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1],'
    'AXIS["Easting",EAST],AXIS["Northing",NORTH],AUTHORITY["EPSG","32648"]]'
)


@dataclass(frozen=True)
class Counts:
    """Scenes of each split."""

    train: int = 72
    valid: int = 16
    test: int = 24

    @property
    def total(self) -> int:
        return self.train + self.valid + self.test

    def splits(self) -> Iterator[tuple[int, str]]:
        """(index, split) of every scene; a scene's pixels depend on its index, never on these counts."""
        names = ["train"] * self.train + ["valid"] * self.valid + ["test"] * self.test
        yield from enumerate(names)


def write_dataset(
    folder: Path,
    *,
    counts: Counts,
    seed: int,
    size: int,
    processes: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Makes all scenes and writes `folder`/{train,valid,test}/{images,masks,dem,geotiff}.

    images: PNG; masks: palette PNG of 0 and 1; dem: elevation in metres (float32 GeoTIFF, UTM 48N);
    geotiff: the image with its georeference. Every scene is a landscape of its own, so no ground is shared
    between splits. `processes` makes them side by side; it changes no byte.
    """
    work = partial(_write_scene, folder, seed, size)
    scenes = list(counts.splits())
    processes = min(processes or os.cpu_count() or 1, len(scenes))
    if processes == 1:
        _count(map(work, scenes), len(scenes), progress)
        return
    # Spawned, not forked: the parent may hold threads of torch or OpenCV.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        _count(pool.map(work, scenes), len(scenes), progress)


def _count(finished: Iterator[None], total: int, progress: Callable[[str, int, int], None] | None) -> None:
    for done, _ in enumerate(finished, start=1):
        if progress is not None:
            progress("making scenes", done, total)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _write_scene(folder: Path, seed: int, size: int, place: tuple[int, str]) -> None:
    index, split = place
    scene = make_scene(seed, index, size)
    name = f"scene_{index:03d}"
    grid = Grid((PIXEL_SIZE_M, 0.0, _FIRST_EAST_M + index * _STEP_M, 0.0, -PIXEL_SIZE_M, _NORTH_M), _UTM_48N)
    for kind in ("images", "masks", "dem", "geotiff"):
        (folder / split / kind).mkdir(parents=True, exist_ok=True)
    write_png(folder / split / "images" / f"{name}.png", scene.image)
    write_labels_png(folder / split / "masks" / f"{name}.png", scene.mask, CLASSES.colours)
    write_raster(folder / split / "dem" / f"{name}.tif", scene.height_m, grid)
    write_raster(folder / split / "geotiff" / f"{name}.tif", scene.image.transpose(2, 0, 1).copy(), grid)
