"""The [tune] section: what may be searched, in whatever way TOML writes it, and everything wrong at once."""

from pathlib import Path

import pytest

from flexunet.config import Config, at_quality, dump_toml, read_config
from flexunet.config.loading import parse_config
from flexunet.config.search import Choices, Range, default_search, overrides_of, own_value
from flexunet.errors import ConfigError

FLEXUNET = '[model]\narchitecture = "flexunet"\n'


def read(text: str) -> object:
    return parse_config(FLEXUNET + text, Path("run.toml")).search


def test_each_way_to_write_a_key_says_the_same() -> None:
    quoted = read('[tune]\n"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }')
    bare = read("[tune]\ntrain.learning_rate = { low = 1e-4, high = 1e-2, log = true }")
    table = read("[tune.train]\nlearning_rate = { low = 1e-4, high = 1e-2, log = true }")
    inner = read("[tune.train.learning_rate]\nlow = 1e-4\nhigh = 1e-2\nlog = true")
    assert quoted == bare == table == inner
    assert quoted.space == (Range("train.learning_rate", 1e-4, 1e-2, True, None, False),)  # type: ignore[attr-defined]


def test_the_kind_of_a_number_is_the_settings_own() -> None:
    search = read(
        '[tune]\n"train.epochs" = { low = 2, high = 8, step = 2 }\n"train.ema" = { low = 0, high = 0.5 }'
    )
    epochs, ema = search.space  # type: ignore[attr-defined]
    assert (epochs.whole, epochs.step, type(epochs.low)) == (True, 2, int)
    assert (ema.whole, type(ema.low)) == (False, float)


def test_every_fault_is_reported_with_its_line_and_the_nearest_name() -> None:
    text = """
[tune]
pruner = "medan"
"train.learning_rat" = { low = 1e-4, high = 1e-2 }
"train.learning_rate" = { low = 1e-4, high = 1e-2, lg = true }
"train.weight_decay" = { low = 0.1, high = 0.01 }
"train.epsilon" = { low = 0.0, high = 0.01, log = true }
"train.batch_size" = { low = 0, high = 8 }
"train.epochs" = { low = 1.5, high = 3 }
"train.seed" = [1, 2]
"train.threads" = [1, 2]
"data.root" = ["a", "b"]
"train.ema" = 0.5
"train.schedule" = ["onecycle", "cosin"]
"model.widths" = [[8, 16], [16, 32]]
"model.activation" = { low = 1, high = 2 }
"model.num_layers" = [3, 3]
"""
    with pytest.raises(ConfigError) as caught:
        read(text)
    # values are looked at last, when everything else stands
    by_line = {problem.line: str(problem) for problem in caught.value.problems}
    assert "Expected one of" in by_line[5]
    assert "Did you mean train.learning_rate?" in by_line[6]
    assert "Did you mean log?" in by_line[7]
    assert "low = 0.1 is not below high = 0.01" in by_line[8]
    assert "no logarithm" in by_line[9]
    assert "Expected a whole number" in by_line[11]
    assert "what is measured" in by_line[12]
    assert "where and how long" in by_line[13]
    assert "leave the question the same" in by_line[14]
    assert "Expected a list of choices" in by_line[15]
    assert "takes no numbers" in by_line[18]
    assert "at least two choices" in by_line[19]


def test_values_must_fit_the_setting() -> None:
    text = '[tune]\n"train.batch_size" = { low = 0, high = 8 }\n"train.schedule" = ["onecycle", "cosin"]\n'
    with pytest.raises(ConfigError) as caught:
        read(text + '"model.widths" = [[8, 16], [16, 32]]\n')
    report = str(caught.value)
    assert "run.toml:4: tune.train.batch_size: 0 does not fit. Expected a whole number, at least 1" in report
    assert '"cosin" does not fit. Expected one of "constant"' in report
    assert 'It belongs to model.architecture = "resunet"' in report
    assert len(caught.value.problems) == 3


def test_a_loss_is_no_aim_among_losses() -> None:
    text = '[train]\nmonitor = "val_loss"\n[tune]\n"train.loss" = ["dice", "focal"]\n'
    with pytest.raises(ConfigError, match=r"run.toml:6.*train.loss.*val_loss.*val_iou"):
        read(text)


def test_a_misspelt_section_is_recognised() -> None:
    with pytest.raises(ConfigError, match="Did you mean tune"):
        read('[tun]\n"train.ema" = [0.0, 0.9]')


def test_the_space_is_no_part_of_the_config() -> None:
    with_space = parse_config(FLEXUNET + '[tune]\n"train.ema" = [0.0, 0.9]', Path("run.toml"))
    assert with_space.config == parse_config(FLEXUNET, Path("run.toml")).config
    assert "tune" not in dump_toml(with_space.config)


@pytest.mark.parametrize("config", [Config(), at_quality(Config(), "good")], ids=["resunet", "encoder"])
def test_the_default_space_holds_the_configs_own_values(config: Config) -> None:
    for entry in default_search(config).space:
        own = own_value(config, entry.key)
        if isinstance(entry, Choices):
            assert own in entry.values
        else:
            assert entry.low <= own <= entry.high


def test_values_come_back_from_overrides(tmp_path: Path) -> None:
    values = {
        "train.loss": ["dice", {"name": "focal", "weight": 0.5}],
        "train.learning_rate": 0.00012345678901234567,
        "train.batch_size": 3,
        "augment.enabled": False,
        "data.size": [64, 32],
    }
    path = tmp_path / "run.toml"
    path.write_text(FLEXUNET, encoding="utf-8")
    config = read_config(path, overrides_of(values)).config
    assert [(term.name, term.weight) for term in config.train.loss] == [("dice", 1.0), ("focal", 0.5)]
    assert config.train.learning_rate == values["train.learning_rate"]
    assert (config.train.batch_size, config.augment.enabled, config.data.size) == (3, False, (64, 32))
