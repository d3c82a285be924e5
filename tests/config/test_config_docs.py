"""The examples are read as they stand; the page on the dialect names every key and keeps its promises."""

import re
from pathlib import Path

import pytest

from flexunet.config import Config, read_config
from flexunet.config.reference.keys import ELDER, KEYS, WITHOUT_EFFECT

PROJECT = Path(__file__).parents[2]
EXAMPLES = sorted((PROJECT / "examples").glob("*.toml"))
DIALECT = (PROJECT / "docs" / "reference-dialect.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_read_without_a_word(file: Path) -> None:
    assert read_config(file).notes == ()


def test_the_example_of_the_references_network_is_its_config() -> None:
    ours = read_config(PROJECT / "examples" / "reference-network.toml").config
    theirs = read_config(PROJECT / "tests" / "data" / "config" / "Bijie-Landslide.config").config
    assert ours.model == theirs.model
    same = {"momentum": 0.0, "epoch_pictures_images": theirs.train.epoch_pictures_images}
    assert ours.train.model_copy(update=same) == theirs.train
    assert ours.data.classes == theirs.data.classes


def test_every_key_is_on_the_page() -> None:
    named = set(re.findall(r"[a-z_0-9]+", DIALECT))
    keys = {key for part in (KEYS, WITHOUT_EFFECT) for section in part.values() for key in section}
    assert keys - named == set()
    sections = set(re.findall(r"\[([a-z0-9]+)\]", DIALECT))
    assert set(KEYS) <= sections
    assert {old for _, old in ELDER if "tiledinfer" not in old} - named <= {"images_dir", "masks_dir"}


def test_every_native_name_on_the_page_exists() -> None:
    for section, name in re.findall(r"`(data|train|output|predict|evaluate|augment)\.([a-z_0-9]+)", DIALECT):
        fields = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        reference_key = name in KEYS.get(section, {}) or name in WITHOUT_EFFECT.get(section, set())
        assert name in fields or reference_key, f"{section}.{name}"
