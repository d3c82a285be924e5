"""Claim: check finds 99 % of planted leaks of each kind, at most 1 false alarm in 1000 honest pairs, and
takes 3000 images in two minutes on two cores.

    python benchmarks/bench_check.py --bijie BIJIE [--copies 100] [--images 3000]

Every picture of Bijie that is alone in its group (no other one shares ground with it) is an original in
"train"; of each kind of leak (planted_leaks.py) `--copies` copies of originals chosen at random are in
"test". "two crops" are two crops of one scene, one in each split. Pictures that copies are made of have
edges of at least `--least-edge` pixels: of a cut of a 61-pixel picture nothing is left to compare. All
copies are searched together, among all originals. False alarms are counted over every pair of pictures of
different places. The known overlapping pairs of Bijie are found by pixel-exact matching beforehand; what is
found beyond them among the pictures as they are is listed by name. Timing: a dataset folder of `--images`
files (originals and copies of all kinds) through the whole of `flexunet check`, in this process, with all
cores it may use.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from flexunet.check import check, find_overlaps
from flexunet.check.near import describe, find_copies
from flexunet.check.near.search import in_threads
from flexunet.data.store import available_cores
from machine import machine_facts, save
from planted_leaks import PLANTS, Pixels, neighbouring_crops


@dataclass(frozen=True)
class Picture:
    """A picture, where it is of, and what was done to it."""

    pixels: Pixels
    place: int
    kind: str
    name: str = ""


def read_bijie(folder: Path) -> list[tuple[str, Pixels]]:
    """(name, RGB) of all pictures, with and without a landslide."""
    found = []
    for path in sorted((folder / "landslide" / "image").glob("*.png")) + sorted(
        (folder / "non-landslide" / "image").glob("*.png")
    ):
        decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        found.append((path.stem, np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8)))
    return found


def plant(originals: list[Picture], copies: int, least_edge: int, seed: int) -> list[Picture]:
    """The originals, and copies of each kind."""
    rng = np.random.default_rng(seed)
    large = [picture for picture in originals if min(picture.pixels.shape[:2]) >= least_edge]
    everything = list(originals)
    for made in PLANTS:
        for index in rng.permutation(len(large))[:copies].tolist():
            everything.append(Picture(made(large[index].pixels, rng), large[index].place, made.__name__))
    for index in rng.permutation(len(large))[:copies].tolist():
        one, other, _ = neighbouring_crops(large[index].pixels, rng)
        everything += [
            Picture(one, large[index].place, "crop one"),
            Picture(other, large[index].place, "crop other"),
        ]
    return everything


def recall(pictures: list[Picture]) -> dict[str, Any]:
    """Share of planted leaks found by kind, and false alarms."""
    features = list(in_threads(lambda picture: describe(picture.pixels.transpose(2, 0, 1)), pictures))
    found = {(match.first, match.second): match.score for match in find_copies(features)}
    original = {picture.place: i for i, picture in enumerate(pictures) if picture.kind == "original"}
    wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
    ones = {picture.place: i for i, picture in enumerate(pictures) if picture.kind == "crop one"}
    for index, picture in enumerate(pictures):
        if picture.kind == "crop other":
            wanted["two crops"].append((ones[picture.place], index))
        elif picture.kind not in ("original", "crop one"):
            wanted[picture.kind].append((original[picture.place], index))
    counts = Counter(picture.place for picture in pictures)
    honest = len(pictures) * (len(pictures) - 1) // 2 - sum(n * (n - 1) // 2 for n in counts.values())
    false = [pair for pair in found if pictures[pair[0]].place != pictures[pair[1]].place]
    lowest = [found[pair] for pairs in wanted.values() for pair in pairs if pair in found]
    return {
        "kinds": {
            kind: {
                "planted": len(pairs),
                "found": sum(pair in found for pair in pairs),
                "recall": sum(pair in found for pair in pairs) / len(pairs),
            }
            for kind, pairs in wanted.items()
        },
        "honest_pairs": honest,
        "false_alarms": len(false),
        "false_alarms_per_1000_honest_pairs": 1000 * len(false) / honest,
        "highest_score_of_a_false_alarm": max((found[pair] for pair in false), default=None),
        "lowest_score_of_a_found_leak": min(lowest, default=None),
        "false_kinds": dict(
            Counter(f"{pictures[a].kind} - {pictures[b].kind}" for a, b in false).most_common(10)
        ),
    }


def as_they_are(named: list[tuple[str, Pixels]]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """What is found among the pictures of Bijie themselves, and their groups by pixel-exact matching."""
    exact = find_overlaps([pixels for _, pixels in named])
    known = {(pair.first, pair.second) for pair in exact.pairs}
    features = list(in_threads(lambda item: describe(item[1].transpose(2, 0, 1)), named))
    matches = find_copies(features)
    more = [match for match in matches if (match.first, match.second) not in known]
    groups = list(exact.groups)
    for match in more:  # not to be counted as honest
        low, high = sorted((groups[match.first], groups[match.second]))
        groups = [low if group == high else group for group in groups]
    result = {
        "pixel_exact_pairs": len(known),
        "of_them_found_without_pixels_being_compared_exactly": sum(
            (match.first, match.second) in known for match in matches
        ),
        "further_pairs": [
            {
                "first": named[match.first][0],
                "second": named[match.second][0],
                "score": round(match.score, 3),
                "share": round(match.share, 3),
            }
            for match in more
        ],
    }
    return result, tuple(groups)


def time_check(pictures: list[Picture], images: int) -> dict[str, Any]:
    """Seconds of `flexunet check` on a folder with so many images, each with a mask."""
    rng = np.random.default_rng(0)
    chosen = [pictures[i % len(pictures)] for i in rng.permutation(max(images, len(pictures)))[:images]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for index, picture in enumerate(chosen):
            split = ("train", "train", "train", "valid", "test")[index % 5]
            labels = np.zeros(picture.pixels.shape[:2], np.uint8)
            rows, columns = labels.shape
            labels[rows // 4 : rows // 2, columns // 4 : columns // 2] = 255
            for kind, pixels in (("images", picture.pixels[..., ::-1]), ("masks", labels)):
                path = root / split / kind / f"p{index:05}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        started, cpu = time.perf_counter(), time.process_time()
        stages: dict[str, float] = {}
        last = ["", started]

        def tell(stage: str, done: int, total: int) -> None:
            now = time.perf_counter()
            stages[stage] = stages.get(stage, 0.0) + now - float(last[1])
            last[:] = [stage, now]

        found = check(root, progress=tell)
        seconds = time.perf_counter() - started
    return {
        "images": len(chosen),
        "cores": available_cores(),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "leaks": len(found.leaks),
        "stages_s": {stage: round(value, 1) for stage, value in stages.items()},
    }


def main() -> None:
    """Plant, search, count, time, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bijie", type=Path, required=True, help="the raw tree: landslide/, non-landslide/")
    parser.add_argument("--copies", type=int, default=100, help="planted leaks of each kind")
    parser.add_argument("--images", type=int, default=3000, help="images of the timed dataset; 0: not timed")
    parser.add_argument("--least-edge", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    facts = machine_facts(available_cores())
    named = read_bijie(options.bijie)
    present, groups = as_they_are(named)
    alone = [i for i, group in enumerate(groups) if groups.count(group) == 1]
    originals = [Picture(named[i][1], i, "original", named[i][0]) for i in alone]
    pictures = plant(originals, options.copies, options.least_edge, options.seed)
    results: dict[str, Any] = {
        "bijie_as_it_is": present,
        "pictures": len(pictures),
        "least_edge_px": options.least_edge,
        "seed": options.seed,
        **recall(pictures),
    }
    if options.images:
        results["timing"] = time_check(pictures, options.images)
    for kind, row in results["kinds"].items():
        print(f"{kind:14}{row['found']:>5} of {row['planted']}")
    print(f"{results['false_alarms']} false alarms in {results['honest_pairs']} honest pairs")
    print(present)
    print(results.get("timing", "not timed"))
    if not options.no_save:
        save("check", {"machine": facts, **results})


if __name__ == "__main__":
    main()
