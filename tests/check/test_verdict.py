"""The verdict beside a score: quick, remembered, and replaced by the full check's."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flexunet.check import check, quick_verdict
from flexunet.check.verdict import Verdict, label_conflicts
from flexunet.config import Config, dump_toml
from flexunet.config.schema import ClassConfig, DataConfig, FlexUNetConfig, OutputConfig
from flexunet.data import Store, open_store
from flexunet.data.folders import Split

CLASSES = (
    ClassConfig(name="background", colour=(0, 0, 0)),
    ClassConfig(name="object", colour=(255, 255, 255)),
)


def texture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (90, 100, 3)), (0, 0), 2.5)
    return np.asarray((noise - noise.min()) / np.ptp(noise) * 255, np.uint8)


def write(root: Path, split: str, name: str, image: NDArray[np.uint8], left: int = 30) -> None:
    labels = np.zeros(image.shape[:2], np.uint8)
    labels[20:50, left : left + 30] = 255
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


def stores_of(root: Path, *splits: Split) -> tuple[dict[Split, Store], DataConfig]:
    data = DataConfig(root=root, classes=CLASSES, size=(64, 64))
    return {split: open_store(data, split) for split in splits}, data


def test_pictures_of_valid_count_where_they_were_trained_on(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, "train", f"p{number}", texture(number))
    write(tmp_path, "valid", "v", texture(10))
    write(tmp_path, "test", "again", np.ascontiguousarray(texture(10)[::-1]))
    write(tmp_path, "test", "other", texture(11))
    assert verdict_on(tmp_path).status == "none found"
    stores, data = stores_of(tmp_path, "train", "valid", "test")

    def both() -> Verdict:
        return quick_verdict(stores["train"], stores["test"], "test", data, valid=stores["valid"])

    found = both()
    assert (found.status, found.scope, found.examples) == ("leak", "quick", ("valid/v - test/again",))
    assert "1 pictures of test have copies in train or valid" in found.line()
    check(tmp_path)
    assert (both().status, both().scope, both().trained) == ("leak", "full", ("train", "valid"))
    assert verdict_on(tmp_path).line().startswith("Leakage from train into test: none found.")


def test_what_a_check_says_of_contradicting_masks_is_kept_for_these_very_pictures(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, "train", f"p{number}", texture(number))
    write(tmp_path, "train", "q2", np.ascontiguousarray(texture(2)[:, ::-1]), left=5)
    write(tmp_path, "test", "new", texture(20))
    stores, data = stores_of(tmp_path, "train", "test")
    assert label_conflicts(stores, data) is None
    check(tmp_path)
    assert label_conflicts(stores, data) == (
        "1 of 1 pairs with a label on shared ground in train and test: the labels contradict each other there"
    )
    assert label_conflicts({"test": stores["test"]}, data) == "none found by flexunet check in test"
    write(tmp_path, "train", "p9", texture(9))
    assert label_conflicts(stores_of(tmp_path, "train", "test")[0], data) is None, "these are other pictures"


def test_a_check_of_a_test_split_alone_is_kept_too(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, "test", f"p{number}", texture(number))
    stores, data = stores_of(tmp_path, "test")
    config = Config(data=data, model=FlexUNetConfig(), output=OutputConfig(dir=tmp_path / "run"))
    (tmp_path / "run.toml").write_text(dump_toml(config), encoding="utf-8")
    check(tmp_path / "run.toml")
    assert label_conflicts(stores, data) == "none found by flexunet check in test"
