"""A TOML config is understood, or everything wrong in it comes in one report with its line."""

from pathlib import Path

import pytest

from flexunet.config import Config, FlexUNetConfig, read_config
from flexunet.config.loading import parse_config
from flexunet.errors import ConfigError

HERE = Path("run.toml")


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, HERE, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_config_is_the_default_but_for_its_paths() -> None:
    config = parse_config("", HERE).config
    assert config.model_copy(update={"output": Config().output}) == Config()
    assert config.output.dir == Path.cwd() / "runs" / "run"


def test_every_problem_is_reported_at_its_line() -> None:
    text = """
[data]
clases = 3
size = [3]

[[data.classes]]
name = "a"
colour = [1, 2, 3]

[[data.classes]]
name = "b"
colour = [1, 2, 300]

[train]
epochs = "many"
optimizer = "adan"
class_weights = 3
batch_size = true
"""
    assert problems(text) == [
        "run.toml:3: data.clases: is not a known key. Did you mean data.classes?",
        "run.toml:4: data.size: [3] does not fit. Expected a list of 2, each a whole number, at least 1.",
        "run.toml:12: data.classes[1].colour[2]: 300 does not fit. Expected a whole number from 0 to 255.",
        'run.toml:15: train.epochs: "many" does not fit. Expected a whole number, at least 1.',
        'run.toml:16: train.optimizer: "adan" does not fit. Expected one of "adam", "adamw", "sgd".',
        'run.toml:17: train.class_weights: 3 does not fit. Expected one of "none", "auto", or a list in '
        "which every item is a number, at least 0.",
        "run.toml:18: train.batch_size: true does not fit. Expected a whole number, at least 1.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[trian]", "trian: is not a section. Did you mean train?"),
        ("[data]\nepochs = 3", "data.epochs: is not a known key. Did you mean train.epochs?"),
        (
            "[model]\nbase_filters = 8",
            'is not an option of this network. It belongs to model.architecture = "flexunet".',
        ),
        ("[train]\nepochs = 0", "train.epochs: 0 does not fit. Expected a whole number, at least 1."),
        ('[train]\nloss = ["dyce"]', 'train.loss[0].name: "dyce" does not fit. Expected one of'),
        (
            "[train]\nmomentum = 1979-05-27",
            "train.momentum: 1979-05-27 does not fit. Expected a number from 0 to 1.",
        ),
        ("train = 3", "train: 3 does not fit. Expected a table with epochs"),
        (
            "[data]\nimage_pattern = '(.)'",
            "data.image_pattern: image_pattern and mask_pattern are given together",
        ),
        ("[augment]\nscale = [1.2, 0.8]", "augment.scale: (smallest, largest) is expected"),
        (
            '[model]\narchitecture = "flexunet"\ndropout_rate = 0.5',
            "model.dropout_rate: dropout_rate 0.5 times 5 levels is 2.5",
        ),
    ],
)
def test_a_problem_says_what_was_expected(text: str, expected: str) -> None:
    (problem,) = problems(text)
    assert expected in problem
    assert problem.startswith("run.toml:")


def test_all_lines_that_are_not_toml_are_reported_together() -> None:
    found = problems("[train]\noptimizer = adam\nepochs = 3\ncompile = True\nbatch_size = (2)\npatienc = 3")
    assert [problem.split(":")[1] for problem in found] == ["2", "4", "5", "6"]
    assert 'Text stands in quotes: key = "value".' in found[0]
    assert "TOML writes true and false in small letters" in found[1]


def test_what_follows_an_open_bracket_is_not_reported_as_wrong() -> None:
    assert len(problems("[data]\nsize = [256, 256\nalpha = 'ignore'\n[train]\nepochs = 3\n")) == 1


def test_lines_are_found_inside_tables_lists_and_long_strings() -> None:
    text = '''
data.image_pattern = """
(x)
"""
data.mask_pattern = "(x)"
data."siz\\u0065" = [
  256, # rows
  0,
]
[model] # ]
architecture = 'flexunet'
'base_kernels' = [3, "a"]
train = 3
'''
    found = problems(text)
    assert [problem.split(": ")[0] for problem in found] == ["run.toml:8", "run.toml:12", "run.toml:13"]


def test_short_forms_of_losses_and_folders_are_taken() -> None:
    text = '[train]\nloss = "dice"\n[data.train]\nimages = "a"\nmasks = ["b", "c"]\n'
    config = parse_config(text, HERE).config
    assert [term.name for term in config.train.loss] == ["dice"]
    assert config.data.train is not None
    assert [folder.name for folder in config.data.train.images] == ["a"]
    assert (
        parse_config('[train]\nloss = ["dice", {name = "focal", weight = 2}]', HERE)
        .config.train.loss[1]
        .weight
        == 2
    )


def test_none_switches_off_what_is_on_by_default() -> None:
    assert parse_config('[train]\nclip_norm = "none"', HERE).config.train.clip_norm is None
    assert parse_config('[train]\nclass_weights = "none"', HERE).config.train.class_weights == "none"


# ------------------------------------------------------------ overrides


def test_overrides_win_over_the_file() -> None:
    text = "[train]\nepochs = 'x'\nbatch_size = 2"
    config = parse_config(
        text,
        HERE,
        [
            "train.epochs=20",
            "train.optimizer=sgd",
            "train.compile=True",
            "train.clip_norm=none",
            "model.architecture=flexunet",
            "model.base_kernels=(5, 5)",
            "data.size=[64, 96]",
            'data.classes=[{name="a", colour=[0,0,0]}, {name="b", colour=[9,9,9]}]',
            "data.classes.1.name=slide",
            "train.loss=dice",
            "data.nodata=-9999",
        ],
    ).config
    assert (config.train.epochs, config.train.batch_size, config.train.optimizer) == (20, 2, "sgd")
    assert config.train.compile is True
    assert config.train.clip_norm is None
    assert config.model == FlexUNetConfig(base_kernels=(5, 5))
    assert config.data.size == (64, 96)
    assert config.data.classes[1].name == "slide"
    assert config.data.nodata == -9999


def test_none_gives_back_the_default() -> None:
    text = "[train]\nbudget_minutes = 3\n[data]\nimage_pattern = 'a(.)'\nmask_pattern = 'b(.)'"
    overrides = ["train.budget_minutes=None", "data.image_pattern=none", "data.mask_pattern=none"]
    config = parse_config(text, HERE, overrides).config
    assert config.train.budget_minutes is None
    assert config.data.image_pattern is None


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epoch=3", "--set train.epoch=3: sets an unknown key. Did you mean train.epochs?"),
        ("epochs=3", "Did you mean train.epochs?"),
        ("train.epochs", "is not of the form section.key=value. For example --set train.epochs=20."),
        (
            "train.epochs=many",
            '--set train.epochs=many: "many" does not fit. Expected a whole number, at least 1.',
        ),
        ("data.classes.9.name=a", "reaches into something that has no 9."),
        ("train.epochs.x=3", "--set train.epochs.x=3: "),
        ("=3", "is not of the form"),
    ],
)
def test_a_wrong_override_is_a_problem(override: str, expected: str) -> None:
    (problem,) = problems("[train]\nepochs = 3\n", override)
    assert expected in problem


# ------------------------------------------------------------ paths


def test_paths_count_from_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, working = tmp_path / "home", tmp_path / "working"
    (home / "here").mkdir(parents=True)
    (working / "there" / "a" / "images").mkdir(parents=True)
    (working / "runs").mkdir()
    monkeypatch.chdir(working)
    config_file = home / "run.toml"
    config_file.write_text(
        '[data]\nroot = "./here"\ntrain = {images = "there/*/images"}\nvalid = {images = "nowhere/../x"}\n'
        '[output]\ndir = "runs"\n'
    )
    loaded = read_config(config_file)
    data = loaded.config.data
    assert data.root == home / "here"
    assert data.train is not None
    assert data.train.images == (working / "there" / "*" / "images",)
    assert data.valid is not None
    assert data.valid.images == (home / "x",)
    assert loaded.config.output.dir == home / "runs"  # what is made is never redirected
    assert len(loaded.notes) == 1
    assert "taken from the working folder" in loaded.notes[0]
    assert str(working / "there") in loaded.notes[0]


def test_a_tilde_is_the_home_folder() -> None:
    config = parse_config('[data]\nroot = "~/data"', HERE, ["output.dir=~/runs"]).config
    assert config.data.root == Path.home() / "data"
    assert config.output.dir == Path.home() / "runs"


def test_paths_of_the_command_line_count_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data").mkdir()
    (tmp_path / "sub" / "run.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    config = read_config("sub/run.toml", ["data.root=new", "output.dir=out"]).config
    assert config.data.root == tmp_path / "new"
    assert config.output.dir == tmp_path / "out"
    assert read_config("sub/run.toml", ["data.root=data"]).config.data.root == tmp_path / "sub" / "data"


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        read_config(tmp_path)


def test_text_that_is_not_utf8_is_read_and_said(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes("# 土砂崩れ\n[train]\nepochs = 3\n".encode("cp932"))
    loaded = read_config(file)
    assert loaded.config.train.epochs == 3
    assert loaded.notes == ("run.toml is not UTF-8; it was read as cp932.",)
    file.write_bytes("[train]\r\nepochs = 4\r\n".encode("utf-16"))
    assert read_config(file).config.train.epochs == 4
    file.write_bytes(b"\xef\xbb\xbf[train]\nepochs = 5\n")
    assert read_config(file).config.train.epochs == 5


def test_a_precision_of_32_may_be_written_as_a_number(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[train]\nprecision = 32\n")
    assert read_config(tmp_path / "run.toml").config.train.precision == "32"
    assert read_config(tmp_path / "run.toml", ["train.precision=32"]).config.train.precision == "32"


def test_a_picture_or_model_is_no_config(tmp_path: Path) -> None:
    picture = tmp_path / "scene.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR = 3\n")
    with pytest.raises(ConfigError) as caught:
        read_config(picture)
    assert len(caught.value.problems) == 1
    assert "scene.png: is no text file. A config is TOML" in str(caught.value)


def test_an_unknown_network_is_named_with_those_that_are_known() -> None:
    known = (
        r'model\.architecture: "unet" does not fit\. Expected one of "flexunet", "resunet", "encoder-unet"'
    )
    with pytest.raises(ConfigError, match=r"run\.toml:2: " + known):
        parse_config('[model]\narchitecture = "unet"\nbase_filters = 3', Path("run.toml"))


def test_an_unknown_encoder_is_named_beside_other_faults() -> None:
    text = '[model]\narchitecture = "encoder-unet"\nencoder = "efficientnet_b0"\nnum_layers = 3'
    meant = r"run\.toml:3: .*'efficientnet_b0'.*did you mean 'efficientnet_lite0'"
    with pytest.raises(ConfigError, match=meant) as caught:
        parse_config(text, Path("run.toml"))
    assert [problem.line for problem in caught.value.problems] == [3, 4]


def test_patterns_that_cannot_pair_are_refused_with_the_config() -> None:
    text = "[data]\nimage_pattern = 'Landslide'\nmask_pattern = '('"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, Path("run.toml"))
    assert "run.toml:2: data.image_pattern: 'Landslide' has no group; put brackets" in str(caught.value)
    assert "run.toml:3: data.mask_pattern: '(' is no regular expression" in str(caught.value)
