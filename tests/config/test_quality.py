"""The dial decides what a config leaves open, says what that is, and never overrides what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexunet.config import (
    Config,
    EncoderUNetConfig,
    Loaded,
    ResUNetConfig,
    TrainConfig,
    at_quality,
    dump_toml,
    without_dial,
)
from flexunet.config.loading import parse_config
from flexunet.config.recipes import RECIPES, Quality
from flexunet.errors import ConfigError

POSITIONS: tuple[Quality, ...] = ("quick", "good", "best")


def read(text: str, *overrides: str) -> Loaded:
    return parse_config(text, Path("run.toml"), overrides)


@pytest.mark.parametrize("quality", POSITIONS)
def test_everything_it_stands_for_is_taken_and_told(quality: Quality) -> None:
    loaded = read(f'quality = "{quality}"')
    told = " ".join(loaded.notes)
    for name, value in RECIPES[quality].items():
        section, key = name.split(".")
        assert loaded.config.model_dump(mode="json")[section][key] == value
        assert name in told


def test_what_is_written_stays() -> None:
    text = 'quality = "best"\n[train]\nepochs = 3\n[model]\nencoder = "efficientnet_lite1"'
    loaded = read(text, "data.size=[64,96]")
    model = loaded.config.model
    assert isinstance(model, EncoderUNetConfig)
    assert (loaded.config.train.epochs, model.encoder, loaded.config.data.size) == (
        3,
        "efficientnet_lite1",
        (64, 96),
    )
    assert not any(name in loaded.notes[0] for name in ("epochs", "model.encoder", "data.size"))


def test_a_table_that_is_written_is_filled_in_key_by_key() -> None:
    for text, probability in (("", 0.3), ("probability = 0.7", 0.7)):
        crop = read(f'quality = "good"\n[augment.resized_crop]\n{text}').config.augment.resized_crop
        assert crop is not None
        assert (crop.probability, crop.edge) == (probability, (0.5, 1.0))


def test_another_network_keeps_its_own_settings() -> None:
    loaded = read('quality = "good"\n[model]\narchitecture = "resunet"')
    assert loaded.config.model == ResUNetConfig()
    assert loaded.config.train.epochs == RECIPES["good"]["train.epochs"]


def test_another_network_is_said_to_be_left_alone() -> None:
    said = [
        note for note in read('quality = "good"\n[model]\narchitecture = "flexunet"').notes if "alone" in note
    ]
    assert len(said) == 1
    assert 'model.architecture = "flexunet" is written' in said[0]
    assert not [note for note in read('quality = "good"').notes if "alone" in note]


@pytest.mark.parametrize("quality", POSITIONS)
def test_a_config_made_in_python_has_what_the_dial_stands_for(quality: Quality) -> None:
    same = read(f'quality = "{quality}"\n[train]\nseed = 7').config
    for train in ({"seed": 7}, TrainConfig(seed=7)):
        made = Config(quality=quality, train=train)  # type: ignore[arg-type]
        assert made == same.model_copy(update={"output": made.output})
    plain = Config(quality=quality, model=ResUNetConfig())
    assert plain.model == ResUNetConfig()
    assert plain.data.size == tuple(RECIPES[quality]["data.size"])


def test_a_time_budget_decides_the_epochs() -> None:
    assert "epochs" not in read('quality = "best"', "train.budget_minutes=30").notes[0]


@pytest.mark.parametrize("quality", POSITIONS)
def test_a_saved_config_reads_back_with_nothing_left_to_derive(quality: Quality) -> None:
    loaded = read(f'quality = "{quality}"\n[train]\nema = 0.5')
    again = read(dump_toml(loaded.config))
    assert again.config == loaded.config
    assert again.notes == ()


def test_without_the_dial_nothing_changes() -> None:
    assert read("").config.model_copy(update={"output": Config().output}) == Config()


def test_a_position_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'"better" does not fit\. Expected one of "quick", "good", "best"'):
        read('quality = "better"')


def test_a_config_is_put_at_a_quality_but_for_what_is_kept() -> None:
    config = at_quality(Config(), "best", {"data.size"})
    assert config.data.size == Config().data.size
    assert config.model == EncoderUNetConfig(encoder="efficientnet_lite2")
    derived = read('quality = "best"\n[data]\nsize = [256, 256]').config
    assert config == derived.model_copy(update={"output": config.output})


def test_a_saved_config_means_the_same_whatever_the_dial_stands_for_later() -> None:
    config = read('quality = "good"', 'augment.resized_crop="none"').config
    assert config.augment.resized_crop is None
    assert read(dump_toml(config)).config.augment.resized_crop is None
    saved = dump_toml(without_dial(config))
    lines = [line for line in saved.splitlines() if not line.startswith("affine")]  # as before there was one
    again = read("\n".join(lines)).config
    assert again.augment.affine == 1.0
    assert again.train == config.train
