"""Groups of many pictures: every leaking one is found, with work and memory that stay linear."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from flexunet.check import check, set_aside
from flexunet.check.links import MANY, MOST_ACROSS, pairs_of_group
from flexunet.check.setting_aside import leaking_copies
from flexunet.check.verdict import quick_verdict
from flexunet.config.schema import DataConfig
from flexunet.data import open_store


def write(root: Path, split: str, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((24, 24), np.uint8)
    mask[4:12, 4:12] = 255
    for kind, pixels in (("images", rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)), ("masks", mask)):
        path = root / split / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)


def test_all_siblings_of_a_large_family_leak_and_are_set_aside(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, "train", f"scene_aug{number}", number)
        write(tmp_path, "valid", f"scene_aug{100 + number}", 100 + number)
    for number in range(13):
        write(tmp_path, "train", f"lone{number}", 200 + number)
    found = check(tmp_path)
    (leak,) = [finding for finding in found.findings if finding.severity == "leak"]
    assert "144 pairs" in leak.text
    assert "12 of train, 12 of valid" in leak.text
    data = DataConfig(root=tmp_path)
    verdict = quick_verdict(open_store(data, "train"), open_store(data, "valid"), "valid", data)
    assert (verdict.scope, verdict.pairs, verdict.pictures) == ("full", 144, 12)
    assert len(leaking_copies(found)) == 12
    set_aside(found)
    assert not check(tmp_path).leaks


@pytest.mark.parametrize("sizes", [(30, 4, 0), (12, 12, 12), (400, 90, 80), (1, 300, 2), (2500, 0, 0)])
def test_large_groups_are_linked_through_every_picture_and_not_much_more(sizes: tuple[int, ...]) -> None:
    order = np.random.default_rng(0).permutation(sum(sizes)).tolist()
    splits = [
        split for split, size in zip(("train", "valid", "test"), sizes, strict=True) for _ in range(size)
    ]
    split_of = dict(zip(order, splits, strict=True))
    members = sorted(order)
    pairs = pairs_of_group(members, split_of.__getitem__)
    assert all(first < second for first, second in pairs)
    assert len(pairs) == len(set(pairs)) <= 3 * (MOST_ACROSS + len(members))
    root = {member: member for member in members}
    for first, second in pairs:  # one group still
        low, high = sorted((root[first], root[second]))
        root = (
            {member: low if found == high else found for member, found in root.items()}
            if low != high
            else root
        )
    assert len(set(root.values())) == 1
    for one in set(splits):
        for other in set(splits) - {one}:
            met = {m for pair in pairs for m in pair if {split_of[m] for m in pair} == {one, other}}
            assert met == {m for m in members if split_of[m] in (one, other)}, "each meets each other split"


def test_small_groups_are_linked_each_with_each() -> None:
    assert len(pairs_of_group(range(MANY), lambda _: "train")) == MANY * (MANY - 1) // 2
