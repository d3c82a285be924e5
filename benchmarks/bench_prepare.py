"""`prepare` with offline distortion against the same operations written straightforwardly with SciPy.

    python benchmarks/bench_prepare.py [--count 770] [--plain 48] [--workers N]

Bijie-like pictures (their sizes, edges brought to 512) with three distortions each. The plain version is one
process, picture by picture: read, enlarge, draw a noise field as large as the picture, two Gaussian
derivatives of it (scipy.ndimage.gaussian_filter), one map for image and mask (map_coordinates, linear and
nearest), write PNG. It is timed on `--plain` of the pictures, evenly chosen, one half before ours and one
half after; ours on all of them. Sizes differ, so the ratio is that of seconds a megapixel of enlarged
picture; the same for processor time, which leaves out how many cores there are.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from flexunet.cores import available_cores
from flexunet.prepare import prepare
from machine import machine_facts, save

STRENGTHS = (0.01, 0.02, 0.03)
SIGMA, MIN_SIDE = 40, 512


def make_pictures(folder: Path, count: int) -> None:
    """Smooth textures with one blob each, in sizes like Bijie's (61 to 1200 pixels, median 225)."""
    for kind in ("image", "mask"):
        (folder / "landslide" / kind).mkdir(parents=True)
    for number in range(count):
        generator = np.random.default_rng(number)
        height, width = np.clip(np.exp(generator.normal(np.log(225), 0.35, 2)), 61, 1200).astype(int)
        noise = generator.random((height // 4 + 1, width // 4 + 1, 3), np.float32)
        smooth = cv2.resize(noise, (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
        grain = generator.normal(0, 6, (height, width, 3))
        image = np.clip(smooth * 160 + 40 + grain, 0, 255).astype(np.uint8)
        mask = np.zeros((height, width), np.uint8)
        axes = (int(width) // 5 + 1, int(height) // 4 + 1)
        cv2.ellipse(mask, (int(width) // 2, int(height) // 2), axes, 30, 0, 360, 255, -1)
        cv2.imwrite(str(folder / f"landslide/image/p{number:04}.png"), image)
        cv2.imwrite(str(folder / f"landslide/mask/p{number:04}.png"), mask)


def enlarged(picture: np.ndarray, how: int) -> np.ndarray:
    """The shorter edge at least `MIN_SIDE`."""
    factor = max(1.0, MIN_SIDE / min(picture.shape[:2]))
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=how))


def plain(paths: Sequence[Path], target: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and megapixels of enlarged picture, one picture after the other."""
    for kind in ("images", "masks"):
        (target / kind).mkdir(parents=True, exist_ok=True)
    begun, cpu, pixels = time.perf_counter(), time.process_time(), 0
    for path in paths:
        image = enlarged(cv2.imread(str(path)), cv2.INTER_LINEAR)
        mask_path = path.parent.parent / "mask" / path.name
        mask = enlarged(cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED), cv2.INTER_NEAREST_EXACT)
        cv2.imwrite(str(target / "images" / path.name), image)
        cv2.imwrite(str(target / "masks" / path.name), mask)
        for strength in STRENGTHS:
            warped, moved = plain_distortion(image, mask, strength)
            name = f"distorted_{strength}_rsigma0.5_sigma{SIGMA}_{path.name}"
            cv2.imwrite(str(target / "images" / name), warped)
            cv2.imwrite(str(target / "masks" / name), moved)
        pixels += mask.size
    return time.perf_counter() - begun, time.process_time() - cpu, pixels / 1e6


def plain_distortion(image: np.ndarray, mask: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """The reference's field, once for both: scaled Gaussian derivatives of unit noise."""
    height, width = mask.shape
    noise = np.random.default_rng().normal(size=(height, width))
    dx = gaussian_filter(noise, SIGMA, order=(0, 1))
    dy = gaussian_filter(noise, SIGMA, order=(1, 0))
    dx *= width * strength / np.abs(dx).max()
    dy *= height * strength / np.abs(dy).max()
    rows, columns = np.mgrid[:height, :width]
    places = [rows + dy, columns + dx]
    bands = [map_coordinates(image[..., band], places, order=1, mode="reflect") for band in range(3)]
    return np.stack(bands, -1), map_coordinates(mask, places, order=0, mode="reflect")


def main() -> None:
    """Make pictures, time both, print and save the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=770)
    parser.add_argument("--plain", type=int, default=48)
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--no-save", action="store_true", help="print only")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_pictures(folder / "raw", arguments.count)
        paths = sorted((folder / "raw/landslide/image").iterdir())
        chosen = paths[:: max(1, len(paths) // arguments.plain)][: arguments.plain]
        before = plain(chosen[::2], folder / "plain")
        fast_s, fast_cpu_s, written = ours(folder, arguments.workers)
        after = plain(chosen[1::2], folder / "plain")
        slow_s, slow_cpu_s, slow_mpx = (one + other for one, other in zip(before, after, strict=True))
        megapixels = sum(megapixels_of(path) for path in paths)
        sizes = {
            name: megabytes(folder / place) for name, place in (("plain", "plain"), ("prepare", "ours/train"))
        }
    unit = 1 if sys.platform == "darwin" else 1024
    slow, fast = slow_s / slow_mpx, fast_s / megapixels
    result: dict[str, Any] = {
        "pictures": arguments.count,
        "written": written,
        "megapixels": round(megapixels, 1),
        "distortions": STRENGTHS,
        "plain_pictures": len(chosen),
        "plain_seconds_a_megapixel": round(slow, 4),
        "prepare_seconds_a_megapixel": round(fast, 4),
        "plain_cpu_seconds_a_megapixel": round(slow_cpu_s / slow_mpx, 4),
        "prepare_cpu_seconds_a_megapixel": round(fast_cpu_s / megapixels, 4),
        "prepare_seconds": round(fast_s, 1),
        "times_faster": round(slow / fast, 2),
        "times_less_processor_time": round(slow_cpu_s / slow_mpx / fast_cpu_s * megapixels, 2),
        "written_megabytes_a_megapixel": {
            "plain": round(sizes["plain"] / slow_mpx, 2),
            "prepare": round(sizes["prepare"] / megapixels, 2),
        },
        "workers": arguments.workers,
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20),
        "machine": machine_facts(arguments.workers),
    }
    print(json.dumps(result, indent=1))
    if not arguments.no_save:
        print(save("prepare", result))


def ours(folder: Path, workers: int) -> tuple[float, float, dict[str, int]]:
    """Seconds on the clock, seconds of processor time, files written."""
    begun, cpu = time.perf_counter(), time.process_time()
    prepared = prepare(
        folder / "raw",
        folder / "ours",
        shares=(1, 0, 0),
        min_side=MIN_SIDE,
        overlaps=False,
        augment=(f"distortion:distortions={','.join(map(str, STRENGTHS))}",),
        workers=workers,
    )
    return time.perf_counter() - begun, time.process_time() - cpu, prepared.counts["train"]


def megapixels_of(path: Path) -> float:
    """Of the enlarged picture."""
    return enlarged(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), cv2.INTER_NEAREST).size / 1e6


def megabytes(folder: Path) -> float:
    """Of all images and masks."""
    return sum(path.stat().st_size for path in folder.rglob("*.png")) / 1e6


if __name__ == "__main__":
    main()
