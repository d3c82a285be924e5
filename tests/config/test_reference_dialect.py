"""The reference's dialect: what its author meant counts, and every liberty taken is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexunet.config import FlexUNetConfig
from flexunet.config.loading import Loaded, is_reference, parse_config
from flexunet.config.reference.literals import Bare, NoLiteral, Repaired, literal
from flexunet.errors import ConfigError

HERE = Path("train_eval_infer.config")
SMALL: dict[str, dict[str, str]] = {
    "model": {
        "model": '"TensorFlowFlexUNet"', "image_width": "128", "image_height": "96", "image_channels": "3",
        "num_classes": "2", "base_filters": "8", "dropout_rate": "0.05",
    },
    "train": {"images_dir": '"data/train/images"', "masks_dir": '"data/train/masks"'},
    "mask": {"rgb_map": "{(0,0,0):0, (255,0,0):1}"},
}  # fmt: skip


def text_of(**changes: str | None) -> str:
    """A small config; `train__epochs="3"` sets a key, None removes it."""
    sections = {name: dict(keys) for name, keys in SMALL.items()}
    for name, value in changes.items():
        section, key = name.split("__")
        keys = sections.setdefault(section, {})
        if value is None:
            keys.pop(key)
        else:
            keys[key] = value
    return "\n".join(
        line
        for name, keys in sections.items()
        for line in [f"[{name}]", *(f"{k} = {v}" for k, v in keys.items())]
    )


def load(**changes: str | None) -> Loaded:
    return parse_config(text_of(**changes), HERE)


def notes(text: str) -> str:
    return "\n".join(parse_config(text, HERE).notes)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, HERE)
    return [str(problem) for problem in caught.value.problems]


def network(loaded: Loaded) -> FlexUNetConfig:
    assert isinstance(loaded.config.model, FlexUNetConfig)
    return loaded.config.model


# ---------------------------------------------------------------------- the INI around it


def test_a_small_config_is_read_without_a_word() -> None:
    loaded = load()
    assert loaded.notes == ()
    assert loaded.config.data.size == (96, 128)
    assert network(loaded) == FlexUNetConfig(base_filters=8)


def test_headers_delimiters_comments_and_continuations() -> None:
    text = (
        "# comment\n; comment\n[model]   \nmodel:'TensorFlowFlexUNet'\nIMAGE_WIDTH=64\n"
        "image_height =64  # inline\n"
        "image_channels = 3\nnum_classes = 3\nbase_filters = 8\ndropout_rate = .05\n"
        "[mask] # colours\nrgb_map = {(0,0,0):0,  # black\n   ; nothing\n   (255,0,0):1,\n\n"
        "   (0,255,0):2,\n  }\n"
    )
    loaded = parse_config(text, HERE)
    assert loaded.notes == ()
    assert loaded.config.data.size == (64, 64)
    assert [item.colour for item in loaded.config.data.classes] == [(0, 0, 0), (255, 0, 0), (0, 255, 0)]


def test_an_open_bracket_goes_on_even_where_lines_are_not_indented() -> None:
    text = text_of(mask__rgb_map="{(0,0,0):0,\n(255,0,0):1\n}", train__epochs="3")
    assert parse_config(text, HERE).config.data.classes[1].colour == (255, 0, 0)
    assert parse_config(text, HERE).config.train.epochs == 3


def test_an_indented_key_is_a_key() -> None:
    text = text_of(train__epochs="3\n   batch_size = 7")
    assert parse_config(text, HERE).config.train.batch_size == 7
    assert "batch_size is indented; taken as a key of its own" in notes(text)


def test_what_makes_the_reference_drop_a_whole_file_is_said() -> None:
    text = (
        text_of(train__model_dir='"./models/100%"', train__epochs="3\nepochs = 3")
        + "\n[train]\npatience = 5\n"
    )
    loaded = parse_config(text, HERE)
    assert loaded.config.output.model_dir == Path.cwd() / "models" / "100%"
    assert loaded.config.train.patience == 5
    said = "\n".join(loaded.notes)
    assert "train.model_dir holds a %, which keeps the reference from reading the file at all" in said
    assert "train.epochs again, the same as in line" in said
    assert "[train] again, after line 9; both are taken together" in said


def test_a_semicolon_ends_a_value() -> None:
    text = text_of(train__epochs="7 ; was 100", train__eval_dir='"a;b" ; folder')
    loaded = parse_config(text, HERE)
    assert loaded.config.train.epochs == 7
    assert loaded.config.output.eval_dir == Path.cwd() / "a;b"
    assert "what follows the ; is taken as a comment" in "\n".join(loaded.notes)


def test_two_values_of_one_key_are_a_problem() -> None:
    (problem,) = problems(text_of(train__epochs="3\nepochs = 4"))
    assert problem == "train_eval_infer.config:13: train.epochs: '4', but '3' in line 12. Keep one of them."


def test_everything_wrong_is_reported_at_its_line() -> None:
    text = text_of(
        model__num_classes="two", model__learning_rate="-1", model__dilation="(1,2)", model__loss='"cross"',
        train__epochs='__import__("os").system("rm x")', train__metrics="[dice]", train__batch_size="[1,",
        mask__rgb_map=None,
    )  # fmt: skip
    found = problems(text + "\nthis is nothing\n")
    assert found == [
        "train_eval_infer.config:6: model.num_classes: two does not fit. Expected a whole number.",
        "train_eval_infer.config:9: model.learning_rate: -1 does not fit. Expected a number, above 0.",
        "train_eval_infer.config:10: model.dilation: dilation [1, 2] is unequal; twice the same number is "
        "expected.",
        "train_eval_infer.config:11: model.loss: 'cross' is not known. Expected one of "
        "categorical_crossentropy, binary_crossentropy, dice, focal, tversky, lovasz, dice_loss_multiclass, "
        "dice_loss, bce_dice_loss, jacard_loss, iou_loss, bce_iou_loss, ssim_loss, basnet_hybrid_loss.",
        'train_eval_infer.config:15: train.epochs: __import__("os").system("rm x") is code, and no code of a '
        "config is run. Expected a whole number.",
        "train_eval_infer.config:16: train.metrics: [dice] holds dice, which is no literal. "
        'Expected a list of texts in quotes, ["…", "…"].',
        "train_eval_infer.config:17: train.batch_size: [1, is not a Python literal. Expected a whole number.",
        "train_eval_infer.config:19: 'this is nothing' is no [section], no key = value and no comment.",
    ]


def test_keys_without_a_section_are_a_problem() -> None:
    (problem, *_) = problems("epochs = 3\nbatch_size = 4\n" + text_of())
    assert problem == (
        "train_eval_infer.config:1: epochs, batch_size before the first [section]. Add [model] above it."
    )


def test_keys_that_have_no_default_are_asked_for() -> None:
    found = problems("[model]\nmodel = 'TensorFlowFlexUNet'\nnum_classes = 2\n; c\n")
    assert [problem.split(": ")[1] for problem in found] == [
        "model.image_height",
        "model.image_width",
        "model.base_filters",
        "model.dropout_rate",
    ]
    assert found[2].endswith("is needed and missing. For example base_filters = 16.")


# ---------------------------------------------------------------------- misspellings


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("train__poch_change_infer", "train.epoch_change_infer"),
        ("train__epoch_changeinfer", "train.epoch_change_infer"),
        ("train__epoch_change_inferr", "train.epoch_change_infer"),
        ("tran__epoch_change_infer", "[train]"),
        ("Train__epoch_change_infer", "[train]"),
    ],
)
def test_a_near_miss_is_named_and_honoured(written: str, known: str) -> None:
    loaded = load(**{written: "False"})
    assert loaded.config.train.epoch_pictures == 0
    assert known in "\n".join(loaded.notes)


def test_a_near_miss_of_a_key_that_is_there_is_ignored() -> None:
    loaded = load(train__epoch_change_infer="True", train__poch_change_infer="False")
    assert loaded.config.train.epoch_pictures_whole
    assert "it resembles train.epoch_change_infer, which is written too, so it is ignored" in loaded.notes[0]


def test_keys_of_no_likeness_are_listed_once() -> None:
    loaded = load(model__colour="3", foo__bar="1", model__show_summary="True", dataset__class_name='"X"')
    assert loaded.notes[-1] == (
        "Without effect here: model.colour (unknown), model.show_summary, foo.bar (unknown), "
        "dataset.class_name."
    )


def test_an_unsafe_likeness_is_only_named() -> None:
    loaded = load(train__reducer_wait="3")
    assert loaded.config.train.schedule == "constant"
    assert (
        "train.reducer_wait: is no known key and is ignored; the nearest one is train.reducer"
        in loaded.notes[0]
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("Truw", True), ("Flase", False), ("true", True), ("TRUE", True), ("1", True), ("None", False)],
)
def test_misspelt_truths(text: str, value: bool) -> None:
    assert network(load(model__normalization=text)).normalization is value


def test_text_without_quotes_is_text() -> None:
    loaded = load(
        model__optimizer="AdamW",
        model__loss="bce_dice_loss",
        train__model_dir="./my models",
        infer__images_dir="a/b",
    )
    assert loaded.config.train.optimizer == "adamw"
    assert loaded.config.train.loss[0].name == "bce_dice_loss"
    assert loaded.config.output.model_dir == Path.cwd() / "my models"
    assert loaded.config.predict.images == Path.cwd() / "a" / "b"
    assert sum("lacks quotes" in note for note in loaded.notes) == 4


@pytest.mark.parametrize(
    "text",
    [r'"C:\Users\new\table"', r'"C:\\Users\\new\\table"', '"C:/Users/new/table"', r"'C:\Users\new\table\'"],
)
def test_a_backslash_in_a_path_parts_folders(text: str) -> None:
    assert load(infer__images_dir=text).config.predict.images == Path.cwd() / "C:/Users/new/table"


# ---------------------------------------------------------------------- meaning


def test_the_integers_of_an_rgb_map_count() -> None:
    loaded = load(model__num_classes="3", mask__rgb_map="{(0,0,0):0, (9,9,9):2, (5,5,5):1}")
    assert [item.colour for item in loaded.config.data.classes] == [(0, 0, 0), (5, 5, 5), (9, 9, 9)]
    assert loaded.notes == (
        "Line 13, mask.rgb_map: the numbers disagree with the written order. The numbers count here: "
        "(0, 0, 0) is 0, (5, 5, 5) is 1, (9, 9, 9) is 2. The reference counts by order: "
        "(0, 0, 0) is 0, (9, 9, 9) is 1, (5, 5, 5) is 2.",
    )


def test_class_numbers_with_gaps_keep_their_order() -> None:
    loaded = load(mask__rgb_map="{(9,9,9):255, (0,0,0):0}")
    assert [item.colour for item in loaded.config.data.classes] == [(0, 0, 0), (9, 9, 9)]
    assert "the class numbers are not 0, 1, 2" in loaded.notes[0]


@pytest.mark.parametrize(
    ("rgb_map", "expected"),
    [
        ("{(0,0,0):0, (1,1,1):0}", "gives 0 to several colours. Expected one colour a class."),
        ("{(0,0,0):0, (1,1,1):1, (2,2,2):2}", "has 3 colours for num_classes = 2."),
        ("{(0,0,0):0, (0,0,0):1}", "has the key (0, 0, 0) twice."),
        ("{(0,0,300):0, (0,0,0):1}", "does not fit. Expected colours and class numbers"),
        ("[(0,0,0)]", "does not fit."),
    ],
)
def test_an_rgb_map_that_cannot_be_meant(rgb_map: str, expected: str) -> None:
    (problem,) = problems(text_of(mask__rgb_map=rgb_map))
    assert "mask.rgb_map" in problem
    assert expected in problem


def test_classes_without_colours_get_their_own() -> None:
    loaded = load(model__num_classes="5")
    colours = [item.colour for item in loaded.config.data.classes]
    assert colours[:2] == [(0, 0, 0), (255, 0, 0)]
    assert len(set(colours)) == 5
    assert "names 2 of 5 classes; the others never occur" in loaded.notes[0]
    assert len(load(model__num_classes="6", mask__rgb_map=None).config.data.classes) == 6
    assert len(load(model__num_classes=None).config.data.classes) == 2


def test_one_class_is_a_sigmoid_over_a_threshold() -> None:
    loaded = load(model__num_classes="1", mask__rgb_map=None, mask__threshold="60", mask__binarize="True")
    assert network(loaded).sigmoid
    assert (loaded.config.data.mask_encoding, loaded.config.data.threshold) == ("threshold", 59)
    assert [item.colour for item in loaded.config.data.classes] == [(0, 0, 0), (255, 255, 255)]
    assert loaded.config.train.loss[0].name == "binary_crossentropy"
    assert load(model__num_classes="1", mask__rgb_map=None).config.data.threshold == 127


def test_kernels_and_dilation() -> None:
    loaded = load(model__base_kernels="(3,7)")
    assert network(loaded).base_kernels == (7, 7)
    assert "kernels are square; the last number counts: (7,7)" in loaded.notes[0]
    assert network(load(model__base_kernels="(4,4)")).base_kernels == (4, 4)
    assert network(load(model__base_kernels="5")).base_kernels == (5, 5)
    assert network(load(model__base_kernels="5,5")).base_kernels == (5, 5)
    assert network(load(model__dilation="[2,2]")).dilation == (2, 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [('"mish"', "mish"), ('"tf.nn.elu"', "elu"), ("tf.nn.elu", "elu"), ('"ReLU"', "relu")],
)
def test_activations(written: str, meant: str) -> None:
    assert network(load(model__activation=written)).activation == meant


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model__activation": '"rely"'}, "model.activation: 'rely' is not known. Did you mean \"relu\"?"),
        ({"model__model": '"TensorFlowFlexTransUNet"'}, "is no network that is known here."),
        ({"model__dropout_rate": "0.2"}, "model.dropout_rate: dropout_rate 0.2 times 5 levels is 1"),
        (
            {"model__num_layers": "1"},
            "model.num_layers: 1 does not fit. Expected a whole number from 2 to 12.",
        ),
        ({"model__num_classes": "0"}, "model.num_classes: 0 classes. Expected 1 to 255."),
        ({"image__color_order": '"GBR"'}, "image.color_order: 'GBR' is no order."),
        ({"train__masks_dir": '"x"', "train__images_dir": None}, "train.images_dir: is needed and missing."),
        ({"model__clipvalue": "-0.5"}, "model.clipvalue: -0.5 does not fit. Expected a number, above 0."),
    ],
)
def test_values_that_cannot_be_meant(change: dict[str, Any], expected: str) -> None:
    (problem,) = problems(text_of(**change))
    assert expected in problem
    assert problem.startswith("train_eval_infer.config:")


def test_defaults_are_the_references() -> None:
    config = load().config
    train = config.train
    assert (train.epochs, train.batch_size, train.patience, train.learning_rate) == (100, 4, 10, 0.0001)
    assert (train.clip_value, train.schedule, train.optimizer) == (0.2, "constant", "adam")
    assert train.epoch_pictures_whole
    assert not train.epoch_pictures_tiled
    assert config.data.normalisation == "scale255"
    assert (config.predict.tile, config.predict.halo) == (512, 64)
    assert load(train__patience="0").config.train.patience is None


def test_online_augmentation_has_the_references_defaults() -> None:
    augment = load(model__generator="True").config.augment
    assert augment.enabled
    assert (augment.hflip, augment.vflip) == (0.5, 0.5)
    assert augment.angles == (0, 90, 180, 270)
    assert augment.scale == (0.8, 1.0)
    assert augment.shear == 0
    train = load(model__generator="True").config.train
    assert (train.steps_per_epoch, train.validation_steps) == (400, 800)
    assert not load(model__generator="True", generator__augmentation="False").config.augment.enabled
    off = load(model__generator="True", augmentor__rotation="False", augmentor__hflip="False").config.augment
    assert (off.angles, off.rotation, off.turns, off.hflip) == (None, 0, False, 0)


def test_colour_order_is_a_choice_of_bands() -> None:
    assert load(image__color_order='"BGR"').config.data.bands == (3, 2, 1)
    assert load(image__color_order='"RGB"').config.data.bands is None


# ---------------------------------------------------------------------- literals, dialects


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512", 512), ("0.00007", 0.00007), ("-3", -3), ("5,5", (5, 5)), ("(5,5,)", (5, 5)), ("2*256", 512),
        ("7e-5", 7e-5), ("2**9 - 1", 511), ("10/4", 2.5), ("1024//2", 512), ("[1, [2, 3]]", [1, [2, 3]]),
        ("{(0,0,0):0,}", {(0, 0, 0): 0}), ("'a' 'b'", "ab"), ("None", None), ('"C:\\Users"', "C:\\Users"),
        ("Adam", Bare("Adam")), ("tf.nn.elu", Bare("tf.nn.elu")), ("./models/", Bare("./models/")),
        ("a/b", Bare("a/b")), ("my folder", Bare("my folder")),
        ("[90. 180, 270,]", Repaired([90.0, 180, 270])), ("[(1,2) (3,4)]", Repaired([(1, 2), (3, 4)])),
        ("['a' 'b']", ["ab"]),
    ],
)  # fmt: skip
def test_literals(text: str, value: object) -> None:
    assert literal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "open('x')", "[x for x in y]", "lambda: 0", "f'{a}'", "[1,", "(1", "1/0", "9**99**99", "2**65",
        "'a'*3", "[a]", "{**x}", "{[1]: 2}", "b'x'", "1j", "...", "a if b else c", "-'x'", "1 << 3", "x[0]",
        "print(1)",
    ],
)  # fmt: skip
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(NoLiteral):
        literal(text)


@pytest.mark.parametrize(
    ("text", "suffix", "reference"),
    [
        ("", ".toml", False),
        ("", ".config", True),
        ("", "", False),
        ("[train]\nepochs = 3\nbatch_size = 2", ".toml", False),
        ("[train]\nepochs = 3\nbatch_size = 2", ".config", True),
        ("[train]\nepochs = 3\noptimizer = 'sgd'\n[data]\nroot = 'x'", ".config", False),
        (
            "[model]\nmodel = 'TensorFlowFlexUNet'\nimage_width = 512\n[infer]\nimages_dir = 'x'",
            ".toml",
            True,
        ),
        ("; a\n[model]\nbase_kernels = (5,5)\nnormalization = False", "", True),
        ("[model]\narchitecture = 'flexunet'\nbase_kernels = [5,5]\nnormalization = false", "", False),
    ],
)
def test_dialects_are_told_apart_by_what_stands_in_them(text: str, suffix: str, reference: bool) -> None:
    assert is_reference(text, suffix) is reference
