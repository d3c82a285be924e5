"""Claim: check finds 99 % of planted leaks of each kind, at most 1 false alarm in 1000 honest pairs, and
takes 3000 images in two minutes on two cores.

    python benchmarks/bench_check.py --bijie BIJIE --work WORK [--copies 100] [--images 3000]

Every picture of Bijie that is alone in its group (no other one shares ground with it) is an original. Parts:

present: the 680 pictures as they are. The overlapping pairs are found by pixel-exact matching; what is found
    beyond them is listed by name, and drawn into WORK.
kinds: for each kind of leak (planted_leaks.py) `--copies` copies of originals chosen at random are searched
    among all originals. "two_crops" are two crops of one scene. Pictures that copies are made of have edges
    of at least `--least-edge` pixels: of a cut of a 61-pixel picture nothing is left to compare. False alarms
    are counted over every pair of pictures of different places.
whole: a dataset folder of `--images` files, originals in train, copies of all kinds in valid and test, is
    written once and goes through the whole of `flexunet check` in this process, with all cores it may use.
    Seconds, memory, and leaks and false alarms with all kinds together.

Results are saved after each kind and part; what was measured with the same options and the same code of the
search is not measured again. About 10 minutes of one core in all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

import flexunet.check
from check_dataset import Planted, read_planted, write_planted
from flexunet.check import check, find_overlaps
from flexunet.check.near import Features, Match, describe, find_copies
from flexunet.config.schema import DataConfig
from flexunet.cores import available_cores
from flexunet.parallel import in_parallel
from flexunet.views.pair_sheet import PairCard, pair_sheet
from machine import machine_facts, save
from planted_leaks import PLANTS, Pixels, neighbouring_crops

PARTS = ("present", "kinds", "whole")
KINDS = (*(made.__name__ for made in PLANTS), "two_crops")


@dataclass(frozen=True)
class Original:
    """A picture that shares ground with no other one."""

    name: str
    pixels: Pixels
    features: Features


def read_bijie(folder: Path) -> list[tuple[str, Pixels]]:
    """(name, RGB) of all pictures, with and without a landslide."""
    found: list[tuple[str, Pixels]] = []
    for path in sorted((folder / "landslide" / "image").glob("*.png")) + sorted(
        (folder / "non-landslide" / "image").glob("*.png")
    ):
        decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if decoded is not None:
            found.append((path.stem, np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8)))
    return found


def described(pictures: Sequence[Pixels]) -> list[Features]:
    """What the search sees of pictures (H, W, 3)."""
    return list(in_parallel(lambda pixels: describe(pixels.transpose(2, 0, 1)), pictures))


def plant(kind: str, originals: Sequence[Original], options: argparse.Namespace) -> list[tuple[int, Pixels]]:
    """(original, changed picture); of two crops both, one after the other. The same for the same seed."""
    rng = np.random.default_rng([options.seed, KINDS.index(kind)])
    large = [i for i, item in enumerate(originals) if min(item.pixels.shape[:2]) >= options.least_edge]
    chosen = [large[i] for i in rng.permutation(len(large))[: options.copies].tolist()]
    if kind == "two_crops":
        crops = [(place, neighbouring_crops(originals[place].pixels, rng)) for place in chosen]
        return [(place, crop) for place, (one, other, _) in crops for crop in (one, other)]
    made = next(made for made in PLANTS if made.__name__ == kind)
    return [(place, made(originals[place].pixels, rng)) for place in chosen]


def measure_kind(kind: str, originals: Sequence[Original], options: argparse.Namespace) -> dict[str, Any]:
    """Leaks of one kind planted and found among all originals, and false alarms."""
    copies = plant(kind, originals, options)
    features = [item.features for item in originals] + described([pixels for _, pixels in copies])
    places = [*range(len(originals)), *(place for place, _ in copies)]
    first = len(originals)
    if kind == "two_crops":
        wanted = [(first + i, first + i + 1) for i in range(0, len(copies), 2)]
    else:
        wanted = [(place, first + i) for i, (place, _) in enumerate(copies)]
    found = {(match.first, match.second): match for match in find_copies(features)}
    scores = [found[pair].score for pair in wanted if pair in found]
    counts = Counter(places)
    honest = len(places) * (len(places) - 1) // 2 - sum(n * (n - 1) // 2 for n in counts.values())
    false = [pair for pair in found if places[pair[0]] != places[pair[1]]]
    return {
        "planted": len(wanted),
        "found": len(scores),
        "recall": len(scores) / len(wanted),
        "missed": [
            originals[places[second]].name for pair in wanted if pair not in found for second in pair[1:]
        ],
        "lowest_score": round(min(scores, default=0.0), 3),
        "honest_pairs": honest,
        "false_alarms": [
            f"{originals[places[a]].name} - {originals[places[b]].name} {found[a, b].score:.2f}"
            for a, b in false
        ],
        "false_alarms_per_1000_honest_pairs": 1000 * len(false) / honest,
    }


def as_they_are(
    named: Sequence[tuple[str, Pixels]], features: Sequence[Features], work: Path
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """What is found among the pictures of Bijie themselves, and their groups."""
    exact = find_overlaps([pixels for _, pixels in named])
    known = {(pair.first, pair.second) for pair in exact.pairs}
    matches = find_copies(features)
    more = [match for match in matches if (match.first, match.second) not in known]
    groups = list(exact.groups)
    for match in more:  # not to be counted as honest
        low, high = sorted((groups[match.first], groups[match.second]))
        groups = [low if group == high else group for group in groups]
    if more:
        draw(named, more, work / "bijie_further_pairs.png")
    sizes = Counter(exact.groups)
    result = {
        "pictures": len(named),
        "pixel_exact_pairs": len(known),
        "pixel_exact_groups": sum(size > 1 for size in sizes.values()),
        "smallest_pixel_exact": [
            f"{named[pair.first][0]} - {named[pair.second][0]}: {pair.height} x {pair.width} pixels"
            for pair in sorted(exact.pairs, key=lambda pair: pair.height * pair.width)[:3]
        ],
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


def draw(named: Sequence[tuple[str, Pixels]], matches: Sequence[Match], path: Path) -> None:
    """A sheet of pairs, the second picture laid upon the first."""
    cards = [
        PairCard(
            named[match.first][1], None, named[match.second][1], None, match.matrix,
            f"{named[match.first][0]}  -  {named[match.second][0]}",
            f"r {match.score:.2f}, {match.share:.0%} of the smaller one shared",
        )
        for match in matches
    ]  # fmt: skip
    pair_sheet(cards, DataConfig().class_table(), path, title="Bijie: found beyond equal pixels", columns=1)


def dataset_of(originals: Sequence[Original], options: argparse.Namespace) -> list[Planted]:
    """Originals, and as many copies of all kinds as the dataset has room for."""
    planted = [Planted(item.name, item.pixels, "original", i) for i, item in enumerate(originals)]
    room = max(1, -(-(options.images - len(planted)) // (len(KINDS) + 1)))  # two crops are two pictures
    every = argparse.Namespace(**{**vars(options), "copies": room, "seed": options.seed + 1})
    for kind in KINDS:
        for number, (place, pixels) in enumerate(plant(kind, originals, every)):
            name = f"{kind}-{number}-{originals[place].name}"
            planted.append(Planted(name, pixels, kind, place))
    return planted[: options.images]


def measure_whole(originals: Sequence[Original], options: argparse.Namespace) -> dict[str, Any]:
    """Seconds, memory and findings of `flexunet check` on a folder with all kinds of leaks."""
    folder = options.work / f"dataset-{options.images}-{options.least_edge}-{options.seed}"
    if not (folder / "planted.json").exists():
        write_planted(dataset_of(originals, options), folder)
    planted = read_planted(folder)
    stages: dict[str, float] = {}
    begun = last = time.perf_counter()
    cpu = time.process_time()

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        stages[stage] = stages.get(stage, 0.0) + now - last
        last = now

    result = check(folder, progress=tell)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    places = {name: (kind, place) for name, kind, place in planted}
    pairs = {
        tuple(sorted((result.facts[link.first].member.pair.id, result.facts[link.second].member.pair.id)))
        for link in result.links
    }
    false = [pair for pair in pairs if places[pair[0]][1] != places[pair[1]][1]]
    original = {place: name for name, kind, place in planted if kind == "original"}
    copies = [(name, place) for name, kind, place in planted if kind not in ("original", "two_crops")]
    found = [tuple(sorted((name, original[place]))) in pairs for name, place in copies]
    return {
        "images": len(result.facts),
        "cores": available_cores(),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_memory_mb": peak_memory_mb(),
        "stages_s": {stage: round(value, 1) for stage, value in stages.items()},
        "copies": len(copies),
        "copies_found": sum(found),
        "missed": [name for (name, _), seen in zip(copies, found, strict=True) if not seen],
        "false_alarms": [" - ".join(pair) for pair in false],
    }


def peak_memory_mb() -> float | None:
    """Of this process so far."""
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


class Results:
    """What was measured so far: saved after each part, kept for the next run of the same code."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.path, self.saving = options.work / "bench_check.json", not options.no_save
        digest = hashlib.sha256()
        for source in sorted((Path(flexunet.check.__file__).parent / "near").glob("*.py")):
            digest.update(source.read_bytes())
        self.values: dict[str, Any] = {
            "machine": machine_facts(available_cores()),
            "copies_of_each_kind": options.copies,
            "least_edge_px": options.least_edge,
            "seed": options.seed,
            "code": digest.hexdigest()[:16],
            "kinds": {},
        }
        same = ("copies_of_each_kind", "least_edge_px", "seed", "code")
        if self.path.exists() and not options.fresh:
            earlier = json.loads(self.path.read_text(encoding="utf-8"))
            if all(earlier.get(key) == self.values[key] for key in same):
                self.values = earlier

    def add(self, part: str, value: dict[str, Any], kind: str | None = None) -> None:
        """Keep and save; shown as a line."""
        if kind is None:
            self.values[part] = value
        else:
            self.values[part][kind] = value
        self.path.write_text(json.dumps(self.values, indent=2) + "\n", encoding="utf-8")
        if self.saving:
            save("check", self.values)


def main() -> None:
    """Plant, search, count, time, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bijie", type=Path, required=True, help="the raw tree: landslide/, non-landslide/")
    parser.add_argument(
        "--work", type=Path, default=Path("WORK/check"), help="folder for the dataset and the results so far"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND")
    parser.add_argument("--copies", type=int, default=100, help="planted leaks of each kind")
    parser.add_argument("--images", type=int, default=3000, help="images of the dataset that is timed")
    parser.add_argument("--least-edge", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured already")
    parser.add_argument("--no-save", action="store_true", help="leave benchmarks/results as it is")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # the search has threads of its own
    results = Results(options)
    begun = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - begun:6.0f} s  {text}", file=sys.stderr, flush=True)

    named = read_bijie(options.bijie)
    features = described([pixels for _, pixels in named])
    say(f"{len(named)} pictures described")
    present, groups = as_they_are(named, features, options.work)
    if "present" in options.only:
        results.add("present", present)
        say(f"as they are: {present}")
    alone = [i for i, group in enumerate(groups) if groups.count(group) == 1]
    originals = [Original(named[i][0], named[i][1], features[i]) for i in alone]
    for kind in options.kinds if "kinds" in options.only else ():
        if kind not in results.values["kinds"]:
            results.add("kinds", measure_kind(kind, originals, options), kind)
        row = results.values["kinds"][kind]
        say(f"{kind:12}{row['found']:>5} of {row['planted']}; false alarms: {row['false_alarms'] or 'none'}")
    if "whole" in options.only:
        results.add("whole", measure_whole(originals, options))
        say(f"whole: {results.values['whole']}")


if __name__ == "__main__":
    main()
