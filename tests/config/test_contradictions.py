"""Everything wrong in a config comes in one report, also what only does not fit together; no value that
cannot work gets past it."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from flexunet.config import DataConfig, FlexUNetConfig, TrainConfig
from flexunet.config.loading import parse_config
from flexunet.config.taking_out import take_out
from flexunet.errors import ConfigError

HERE = Path("run.toml")
CLASSES = '[data]\nclasses = [{name="a", colour=[0,0,0]%s}, {name="b", colour=[1,1,1]%s}]\n'


def places(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, HERE, overrides)
    return [str(problem.where) for problem in caught.value.problems]


def report(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, HERE)
    return str(caught.value)


def test_what_does_not_fit_together_is_reported_beside_what_does_not_fit_at_all() -> None:
    text = """
[data]
clases = 3
image_pattern = "(.)"
colour = 3
[train]
class_weights = [1.0, 2.0, 3.0]
[model]
architecture = "flexunet"
dropout_rate = 7
dilation = [1, 2]
sigmoid = true
[[data.classes]]
name = "a"
colour = [1, 2, 3]
[[data.classes]]
name = "b"
[[data.classes]]
name = "c"
colour = [1, 2, 300]
[[data.classes]]
name = "a"
colour = [1, 2, 3]
values = [0]
[augment.mix]
mixup = 0.6
cutmix = 0.6
[tune]
"train.optimizer" = ["adam", "adan"]
"""
    assert places(text) == [
        "data.clases",
        "data.image_pattern",
        "data.colour",
        "train.class_weights",
        "model.dropout_rate",
        "model.dilation",
        "model.sigmoid",
        "data.classes[1].colour",
        "data.classes[2].colour[2]",
        "data.classes[3].name",
        "data.classes[3].colour",
        "data.classes[3].values",
        "augment.mix.mixup",
        "tune.train.optimizer",
    ]


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("[data]\nimage_pattern = 3\nmask_pattern = '(.)'", "data.image_pattern"),
        ("[data]\nbands = [1, 2]\nband_names = 3", "data.band_names"),
        ('[model]\narchitecture = "flexunet"\nnum_layers = 12\ndropout_rate = "x"', "model.dropout_rate"),
        ("[data]\nclasses = 3\n[train]\nclass_weights = [1, 2, 3]", "data.classes"),
        ('[model]\narchitecture = "unet"\nsigmoid = 3', "model.architecture"),
    ],
)
def test_a_faulty_value_is_not_taken_for_its_default(text: str, only: str) -> None:
    """What stands in its place while the rest is looked at contradicts nobody."""
    assert places(text) == [only]


def test_an_override_and_the_file_are_looked_at_together() -> None:
    found = places("[data]\nimage_pattern = '(.)'\n", "train.epochs=many", "train.class_weights=[1, 2, 3]")
    assert found == ["data.image_pattern", "--set train.epochs=many", "--set train.class_weights=[1, 2, 3]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data]\nbands = []", "data.bands: [] does not fit. Expected a list of at least one, each a whole"),
        ("[data]\nbands = [1, 0]", "data.bands[1]: 0 does not fit. Expected a whole number, at least 1"),
        ("[train]\nseed = 12345678901234567890123456", "train.seed: 12345678901234567890123456 does not fit"),
        ("[train]\nclass_weights = [-1, 2]", "train.class_weights[0]: -1 does not fit"),
        ("[train]\nclass_weights = [nan, 1]", "train.class_weights[0]: NaN is not a finite number"),
        ("[train]\nclass_weights = [0, 0.0]", "train.class_weights: class_weights are all 0"),
        ("[train]\nlearning_rate = inf", "train.learning_rate: Infinity is not a finite number"),
        ("[train]\nloss = []", "train.loss: [] does not fit. Expected a list of at least one, each a table"),
        ("[augment.brightening]\noffset = nan", "augment.brightening.offset: NaN is not a finite number"),
        ('[model]\narchitecture = "flexunet"\nnum_layers = 40', "Expected a whole number from 2 to 12"),
        (CLASSES % (", values=[0, 1]", ", values=[1, 2]"), "the mask value 1 stands for both 'a' and 'b'"),
        (CLASSES % (", values=[1]", ""), "the mask value 1 stands for both 'a' and 'b'"),
        (CLASSES % ("", ", values=[255]") + "ignore_value = 255", "255 is a value of the class 'b'"),
        ("[data]\nignore_value = 1", "ignore_value 1 is a value of the class 'landslide'"),
        ("[data]\nignore_colour = [0, 0, 0]", "(0, 0, 0) is the colour of the class 'background'"),
    ],
)
def test_a_value_that_cannot_work_is_refused(text: str, said: str) -> None:
    assert said in report(text)


@pytest.mark.parametrize(
    "text",
    [
        "[data]\nnodata = nan",
        "[data]\nbands = [1, 1, 1]",
        "[train]\nseed = 9223372036854775807\nclass_weights = [0, 1]",
        CLASSES % (", values=[0, 0]", ", values=[7]") + "ignore_value = 255",
        '[data]\nmask_encoding = "threshold"\nignore_value = 1',
    ],
)
def test_unusual_values_that_work_are_taken(text: str) -> None:
    parse_config(text, HERE)


def test_contradictions_are_refused_from_python_too() -> None:
    with pytest.raises(ValidationError, match="given together or not at all"):
        DataConfig(image_pattern="(.)")
    with pytest.raises(ValidationError, match=r"dropout_rate .* must stay below 1; dilation \[1, 2\] is"):
        FlexUNetConfig(dropout_rate=0.9, dilation=(1, 2))
    with pytest.raises(ValidationError, match="finite"):
        TrainConfig(learning_rate=float("inf"))


@pytest.mark.parametrize(
    ("path", "gone", "left"),
    [
        (("train", "epochs"), ("train", "epochs"), '[train]\nloss = [{name = "dice"}]'),
        (("train", "loss", 0, "name"), ("train", "loss"), "[train]\nepochs = 1"),
        (("train", "lass"), ("train", "lass"), None),
        (("nowhere", "at", 3, "all"), ("nowhere", "at", 3, "all"), None),
        (("model", "architecture"), ("model",), None),
    ],
)
def test_what_is_needed_goes_with_what_holds_it(path: object, gone: object, left: str | None) -> None:
    text = '[train]\nepochs = 1\nloss = [{name = "dice"}]'
    tree = tomllib.loads(text)
    assert take_out(tree, path) == gone  # type: ignore[arg-type]
    assert tree == tomllib.loads(text if left is None else left)
