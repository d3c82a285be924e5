"""The verdict beside a score: quick, remembered, and replaced by the full check's."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flexunet.check import check, quick_verdict
from flexunet.check.verdict import Verdict
from flexunet.config.schema import ClassConfig, DataConfig
from flexunet.data import open_store

CLASSES = (
    ClassConfig(name="background", colour=(0, 0, 0)),
    ClassConfig(name="object", colour=(255, 255, 255)),
)


def texture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (90, 100, 3)), (0, 0), 2.5)
    return np.asarray((noise - noise.min()) / np.ptp(noise) * 255, np.uint8)


def write(root: Path, split: str, name: str, image: NDArray[np.uint8]) -> None:
    labels = np.zeros(image.shape[:2], np.uint8)
    labels[20:50, 30:60] = 255
    for kind, pixels in (("images", image), ("masks", labels)):
        path = root / split / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def verdict_on(root: Path) -> Verdict:
    data = DataConfig(root=root, classes=CLASSES, size=(64, 64))
    return quick_verdict(open_store(data, "train"), open_store(data, "test"), "test", data)


def test_an_honest_split_is_not_accused_and_the_answer_is_kept(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path, "train" if number < 5 else "test", f"p{number}", texture(number))
    assert verdict_on(tmp_path).status == "none found"
    (kept,) = (tmp_path / ".flexunet-cache" / "leakage").glob("*.json")
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text.replace('"none found"', '"leak"'), encoding="utf-8")
    assert verdict_on(tmp_path).status == "leak"  # it was read, not found again


def test_mirrored_copies_and_siblings_by_name_leak(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path, "train", f"p{number}", texture(number))
    write(tmp_path, "test", "x", np.ascontiguousarray(texture(1)[:, ::-1] // 2 + 40))
    write(tmp_path, "test", "vflipped_p3", texture(77))
    write(tmp_path, "test", "y", texture(78))
    found = verdict_on(tmp_path)
    assert (found.status, found.pairs, found.pictures) == ("leak", 2, 2)
    assert "train/p1 - test/x" in found.examples
    assert found.line().startswith("LEAK: 2 pictures of test")


def test_a_full_check_is_what_counts_afterwards(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path, "train", f"p{number}", texture(number))
    scene = texture(3)
    write(tmp_path, "test", "part", np.ascontiguousarray(scene[20:85, 25:98]))
    assert verdict_on(tmp_path).scope == "quick"
    assert check(tmp_path).leaks
    found = verdict_on(tmp_path)
    assert (found.scope, found.status) == ("full", "leak")


def test_the_same_picture_twice_leaks_even_if_it_is_tiny(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, "train", f"p{number}", np.ascontiguousarray(texture(number)[:24, :30]))
    write(tmp_path, "test", "again", np.ascontiguousarray(texture(2)[:24, :30]))
    found = verdict_on(tmp_path)
    assert found.examples == ("train/p2 - test/again",)
