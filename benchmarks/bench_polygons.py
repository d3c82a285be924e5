"""Claim: the polygons of a scene of any size, a million of them, in bounded memory and within minutes.

    python benchmarks/bench_polygons.py
    python benchmarks/bench_polygons.py --size 40000 --rounds 1

trace: megapixels and polygons a second of `polygonise` on three kinds of class maps, beside
`rasterio.features.shapes` on the same arrays in memory, in turns, in CPU seconds of one thread; polygons and
vertices are counted on both sides. write: `write_polygons` from a GeoTIFF of SIZE x SIZE pixels to a
GeoPackage, bare and with probabilities and terrain, and of a quarter of the height: megapixels a second,
polygons, peak memory of a process of its own (Linux). One round of the whole takes about five minutes; what
is measured is saved after every step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import pyproj
import rasterio.features
from numpy.typing import NDArray

from flexunet.classes import Classes
from flexunet.raster import Grid, Window, create_raster
from flexunet.vector import polygonise, write_polygons
from machine import machine_facts, save, spread

CLASSES = Classes(
    names=("background", "landslide", "scarp"), colours=((0, 0, 0), (255, 60, 0), (30, 90, 255))
)
GRID = Grid((0.5, 0.0, 500000.0, 0.0, -0.5, 4000000.0), pyproj.CRS.from_epsg(32643).to_wkt())
PATCH = 2000


def patch(kind: str, seed: int, size: int = PATCH) -> NDArray[np.uint8]:
    """Labels uint8 (size, size): `slides` (a few large ones), `spots` (one polygon in 1600 pixels) or
    `noise` (single pixels)."""
    noise = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    wide = {"slides": 25.0, "spots": 7.0, "noise": 0.0}[kind]
    if wide:
        noise = cv2.GaussianBlur(noise, (0, 0), wide)
    level = np.quantile(noise[::7, ::7], (0.9, 0.96))
    return np.digitize(noise, level).astype(np.uint8)


def trace(rounds: int) -> dict[str, Any]:
    """Both ways of polygonising, in turns."""
    rows: dict[str, Any] = {}
    for kind in ("slides", "spots", "noise"):
        labels = patch(kind, 0)
        ours, peer = [], []
        for _ in range(rounds):
            started = time.process_time()
            strips = ((row, labels[row : row + 256]) for row in range(0, PATCH, 256))
            found = [(len(p), len(p.outlines.coordinates)) for p in polygonise(strips, skip=(0,))]
            ours.append(time.process_time() - started)
            started = time.process_time()
            shapes = [g["coordinates"] for g, _ in rasterio.features.shapes(labels, mask=labels > 0)]
            peer.append(time.process_time() - started)
        polygons, vertices = (sum(column) for column in zip(*found, strict=True))
        assert polygons == len(shapes)
        assert vertices == sum(len(ring) for rings in shapes for ring in rings)
        rows[kind] = {
            "polygons": polygons,
            "vertices": vertices,
            "mpx_per_s": spread([labels.size / 1e6 / s for s in ours]),
            "polygons_per_s": spread([polygons / s for s in ours]),
            "rasterio_mpx_per_s": spread([labels.size / 1e6 / s for s in peer]),
            "times_faster": spread([b / a for a, b in zip(ours, peer, strict=True)]),
        }
        print(kind, json.dumps(rows[kind]))
    return rows


def make_scene(folder: Path, size: int, height: int) -> tuple[Path, Path, Path]:
    """A class map, its probabilities and a terrain model of 30 m cells, kept in `folder`."""
    paths = tuple(folder / f"{name}_{size}x{height}.tif" for name in ("classes", "probability", "dem"))
    if not all(path.exists() for path in paths):
        patches = [patch("spots", seed) for seed in range(4)]
        grades = [cv2.GaussianBlur(p * np.float32(80) + 60, (0, 0), 5).astype(np.uint8) for p in patches]
        for path, tiles, nodata in ((paths[0], patches, 255), (paths[1], grades, 255)):
            with create_raster(path, (1, height, size), "uint8", GRID, nodata) as write:
                for row in range(0, height, PATCH):
                    for col in range(0, size, PATCH):
                        rows, cols = min(PATCH, height - row), min(PATCH, size - col)
                        tile = tiles[(row // PATCH * 7 + col // PATCH * 3) % 4]
                        write(tile[None, :rows, :cols], Window(row, col, rows, cols))
        cells = height // 60 + 3, size // 60 + 3
        hills = cv2.GaussianBlur(np.random.default_rng(9).standard_normal(cells), (0, 0), 6) * 3000 + 1500
        coarse = Grid((30.0, 0.0, 499970.0, 0.0, -30.0, 4000030.0), GRID.crs_wkt)
        with create_raster(paths[2], (1, *cells), "float32", coarse, -9999) as write:
            write(hills[None].astype(np.float32), Window(0, 0, *cells))
    return paths[0], paths[1], paths[2]


def write_once(options: argparse.Namespace, height: int, extras: bool) -> dict[str, float]:
    """One process that writes the layer."""
    command = [sys.executable, __file__, "--worker", str(options.work), str(options.size), str(height)]
    done = subprocess.run([*command, str(int(extras))], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def peak_mb() -> int:
    """The largest resident size of this process; `ru_maxrss` would count that of its parent before exec."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def worker(folder: Path, size: int, height: int, extras: bool) -> None:
    """What is measured: one call, its time and the process's peak memory."""
    class_map, probability, dem = make_scene(folder, size, height)
    started, cpu = time.perf_counter(), time.process_time()
    summary = write_polygons(
        class_map,
        folder / "polygons.gpkg",
        classes=CLASSES,
        probability=probability if extras else None,
        dem=dem if extras else None,
        overwrite=True,
    )
    seconds = time.perf_counter() - started
    result = {
        "polygons": summary.polygons,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "mpx_per_s": round(size * height / 1e6 / seconds, 2),
        "peak_mb": peak_mb(),
    }
    print(json.dumps(result))


def main() -> None:
    """Measure, print, save."""
    if len(sys.argv) > 1 and sys.argv[1] == "--worker":
        worker(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "1")
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=40_000, help="pixels of an edge of the scene")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for the scenes; kept. Default: a temporary one")
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        options.work = options.work or Path(temporary)
        options.work.mkdir(parents=True, exist_ok=True)
        facts = machine_facts(1)
        result: dict[str, Any] = {"machine": facts, "trace": trace(options.rounds), "write": []}
        for height in (options.size // 4, options.size):
            make_scene(options.work, options.size, height)
            for extras in (False, True):
                runs = [write_once(options, height, extras) for _ in range(options.rounds)]
                row = {
                    "width": options.size,
                    "height": height,
                    "probability_and_terrain": extras,
                    "runs": runs,
                }
                print(json.dumps(row))
                result["write"].append(row)
                result["load_after"] = round(os.getloadavg()[0], 2)
                if not options.no_save:
                    print(save("polygons", result))


if __name__ == "__main__":
    main()
