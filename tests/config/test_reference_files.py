"""The thirteen published configs mean here what their authors meant, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexunet.config import (
    BrighteningConfig,
    Config,
    DeformationConfig,
    DistortionConfig,
    FlexUNetConfig,
    LensConfig,
    SharpeningConfig,
    dump_toml,
    read_config,
)
from flexunet.config.convert import convert_config
from flexunet.config.loading import Loaded, is_reference, parse_config
from flexunet.errors import ConfigError, OutputExistsError

FILES = Path(__file__).parents[1] / "data" / "config"
ALL = sorted(FILES.rglob("*.config"))


def load(name: str, *overrides: str) -> Loaded:
    return read_config(FILES / f"{name}.config", overrides)


def network(config: Config) -> FlexUNetConfig:
    assert isinstance(config.model, FlexUNetConfig)
    return config.model


def test_there_are_thirteen() -> None:
    assert len(ALL) == 13


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_each_is_known_for_what_it_is_whatever_its_name(file: Path) -> None:
    text = file.read_text()
    assert is_reference(text, ".config")
    assert is_reference(text, ".toml")
    assert is_reference(text, "")
    assert not is_reference(dump_toml(read_config(file).config), ".config")


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_the_translation_trains_identically(file: Path, tmp_path: Path) -> None:
    config_file = tmp_path / "project" / "train_eval_infer.config"
    config_file.parent.mkdir()
    config_file.write_bytes(file.read_bytes())
    for target in (config_file.with_name("new.toml"), tmp_path / "elsewhere" / "new.toml"):
        notes = convert_config(config_file, target)
        assert read_config(target).config == read_config(config_file).config
        assert read_config(target).notes == ()
        assert notes == read_config(config_file).notes
        assert str(tmp_path) not in target.read_text(encoding="utf-8")


def test_a_translation_replaces_nothing_unasked(tmp_path: Path) -> None:
    target = tmp_path / "new.toml"
    target.write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        convert_config(ALL[0], target)
    assert target.read_text() == "mine"
    convert_config(ALL[0], target, overwrite=True)
    assert "Translated from" in target.read_text()


def test_bijie_key_by_key() -> None:
    loaded = load("Bijie-Landslide")
    config = loaded.config
    dataset = (FILES / "../../../dataset/Bijie-Landslide").resolve()
    expected: dict[str, Any] = {
        "data.train.images": (dataset / "train" / "images",),
        "data.train.masks": (dataset / "train" / "masks",),
        "data.valid.images": (dataset / "valid" / "images",),
        "data.test.masks": (dataset / "test" / "masks",),
        "data.size": (512, 512),
        "data.sizing": "resize",
        "data.channels": 3,
        "data.mask_encoding": "colours",
        "data.normalisation": "scale255",
        "train.epochs": 100,
        "train.batch_size": 2,
        "train.steps_per_epoch": None,
        "train.validation_steps": None,
        "train.optimizer": "adam",
        "train.learning_rate": 0.00007,
        "train.weight_decay": 0.0,
        "train.epsilon": 1e-7,
        "train.clip_value": 0.5,
        "train.clip_norm": None,
        "train.schedule": "plateau",
        "train.reducer_factor": 0.5,
        "train.reducer_patience": 4,
        "train.patience": 10,
        "train.monitor": "val_loss",
        "train.ema": 0.0,
        "train.precision": "32",
        "train.class_weights": "none",
        "train.epoch_pictures": 6,
        "train.epoch_pictures_whole": True,
        "train.epoch_pictures_tiled": False,
        "train.epoch_pictures_images": FILES / "mini_test" / "images",
        "augment.enabled": False,
        "evaluate.batch_size": 4,
        "predict.images": FILES / "mini_test" / "images",
        "predict.out": FILES / "mini_test_output",
        "predict.tiled_images": None,
        "predict.tile": 512,
        "predict.halo": 64,
        "output.dir": FILES,
        "output.layout": "reference",
        "output.model_dir": FILES / "models",
        "output.eval_dir": FILES / "eval",
        "output.epoch_pictures_dir": FILES / "epoch_change_infer",
        "output.epoch_pictures_tiled_dir": FILES / "epoch_change_tiled_infer",
        "output.metrics": ("dice_coef_multiclass", "val_dice_coef_multiclass"),
    }
    for key, value in expected.items():
        found: Any = config
        for part in key.split("."):
            found = getattr(found, part)
        assert found == value, key
    assert [(item.name, item.colour) for item in config.data.classes] == [
        ("background", (0, 0, 0)),
        ("landslide", (255, 255, 0)),
    ]
    assert [(term.name, term.weight) for term in config.train.loss] == [("categorical_crossentropy", 1.0)]
    assert network(config) == FlexUNetConfig(
        base_filters=16, base_kernels=(11, 11), num_layers=8, dropout_rate=0.04, normalization=False
    )
    assert loaded.notes == (
        "Without effect here: model.show_summary, dataset.class_name, train.create_backup, "
        "train.save_weights_only.",
    )


def test_values_that_differ_between_the_files() -> None:
    assert network(load("PanNuke").config).dilation == (3, 3)
    assert load("PanNuke").config.data.normalisation == "none"
    assert load("PanNuke").config.data.mask_encoding == "onehot"
    assert load("PanNuke").config.train.reducer_factor == 0.4
    assert load("Nepal-LandSlide").config.train.learning_rate == 0.00006
    assert load("Nepal-LandSlide").config.data.classes[1].colour == (200, 128, 0)
    assert load("Leukocyte").config.train.clip_value == 0.4
    assert [item.name for item in load("Leukocyte").config.data.classes][:2] == ["background", "class_1"]
    camvid = load("CamVid11").config
    assert len(camvid.data.classes) == 12
    assert camvid.data.classes[11].colour == (0, 128, 192)
    assert (camvid.predict.tile, camvid.predict.halo) == (512, 128)
    assert camvid.predict.tiled_out == FILES / "mini_test_output_tiled"
    sichuan = load("Sichuan-Landslide").config.train
    assert (sichuan.epoch_pictures_whole, sichuan.epoch_pictures_tiled, sichuan.epoch_pictures) == (
        False,
        True,
        6,
    )


def test_a_star_in_a_folder_stays_a_star() -> None:
    train = load("Leukocyte").config.data.train
    assert train is not None
    assert train.images[0].parts[-3:] == ("train", "*", "images")


def test_misplaced_keys_of_pannuke_count_and_are_named() -> None:
    text = (FILES / "PanNuke.config").read_text().replace("= 6\n\nshow", "= 3\n\nshow")
    loaded = parse_config(
        text.replace("epoch_change_infer       = True", "epoch_change_infer = False"), FILES / "x"
    )
    assert loaded.config.train.epoch_pictures_whole is False
    notes = "\n".join(load("PanNuke").notes)
    assert "Line 34, model.epoch_change_infer: stands in the wrong section" in notes
    assert "taken as train.num_infer_images" in notes


def test_the_elder_generation_of_one_class() -> None:
    loaded = load("MultipleMyeloma")
    config, model = loaded.config, network(loaded.config)
    assert model.sigmoid
    assert (model.activation, model.base_kernels, model.dilation, model.num_layers) == (
        "mish",
        (5, 5),
        (2, 2),
        7,
    )
    assert [term.name for term in config.train.loss] == ["bce_dice_loss"]
    assert config.output.metrics == ("binary_accuracy", "val_binary_accuracy")
    assert (config.data.mask_encoding, config.data.threshold) == (
        "threshold",
        159,
    )  # from 160 up, as in its code
    assert config.data.normalisation == "scale255"  # the default where it is not written
    assert config.train.reducer_patience == 5
    assert config.train.reducer_factor == 0.4  # the default where it is not written
    dataset = (FILES / "../../../dataset/MultipleMyeloma").resolve()
    assert config.data.valid is not None
    assert config.data.valid.images == (dataset / "test" / "images",)
    assert config.data.test == config.data.valid
    assert config.predict.tiled_images == (FILES / "../../../4k_mini_test").resolve()
    assert "so scores are of images that chose the best epoch" in loaded.notes[0]


def test_the_one_with_online_augmentation() -> None:
    loaded = load("Tiled-MultipleMyeloma-Augmented")
    config, augment = loaded.config, loaded.config.augment
    assert augment.enabled
    assert (augment.hflip, augment.vflip, augment.turns, augment.rotation) == (0.5, 0.5, False, 0.0)
    assert augment.angles == (0, 60, 120, 180, 240, 300)
    assert augment.scale == (0.8, 1.0)
    assert augment.shear == 0.1
    # an original, a deformed, a distorted, a bulging and a pinched one: each a fifth of the pool
    assert augment.deformation == DeformationConfig(probability=0.2, alpha=1300, sigmas=(8,))
    assert augment.distortion == DistortionConfig(probability=0.2, strengths=(0.02,), sigma=40)
    barrel, pincushion = augment.lenses
    centres = ((0.3, 0.3), (0.7, 0.3), (0.5, 0.5), (0.3, 0.7), (0.7, 0.7))
    assert barrel == LensConfig(probability=0.2, radius=0.3, amount=0.3, centres=centres)
    assert pincushion == LensConfig(probability=0.2, radius=0.3, amount=-0.3, centres=centres)
    assert augment.sharpening is None
    assert augment.brightening is None
    assert (augment.brightness, augment.contrast, augment.colour, augment.shift) == (0, 0, 0, 0)
    assert (config.train.steps_per_epoch, config.train.validation_steps) == (320, 80)
    assert config.train.epoch_pictures == 1
    assert config.train.epoch_pictures_tiled
    assert config.output.epoch_pictures_tiled_dir == FILES / "epoch_change_tiledinfer"
    assert config.data.classes[1].colour == (0, 128, 0)  # [segmentation] white = "green"
    assert config.data.valid is not None
    assert config.data.test is not None
    assert config.data.valid.masks[0].parts[-2:] == ("valid", "masks")
    assert config.data.test.masks[0].parts[-2:] == ("test", "masks")
    notes = "\n".join(loaded.notes)
    assert "Line 108, augmentor.distortion: Truw resembles True and is taken for it." in notes
    assert (
        "Line 115, deformation.alpah: is no known key; it resembles deformation.alpha and is taken" in notes
    )
    assert "mask.blur" in notes
    assert "[sharpening] (only with augmentor.sharpening = True)" in notes


def test_sharpening_and_brightening_take_their_sections() -> None:
    text = (FILES / "Tiled-MultipleMyeloma-Augmented.config").read_text()
    for name in ("sharpening", "brightening"):
        text = text.replace(f"{name} = False", f"{name} = True").replace(f"{name}  = False", f"{name} = True")
    text = text.replace("[0.02, ]", "[0.01, 0.02]").replace("beta   = 10", "beta = 7")
    augment = parse_config(text, FILES / "x.config").config.augment
    assert augment.distortion is not None
    assert augment.distortion.probability == 0.25  # two of eight
    assert augment.sharpening == SharpeningConfig(probability=0.125, strength=1.0)
    assert augment.brightening == BrighteningConfig(probability=0.125, factor=1.2, offset=7)


def test_a_wrong_lens_is_named_by_its_own_line() -> None:
    text = (
        (FILES / "Tiled-MultipleMyeloma-Augmented.config").read_text().replace("amount = -0.3", "amount = -3")
    )
    with pytest.raises(ConfigError, match=r"pincdistortion\.amount"):
        parse_config(text, FILES / "x.config")


def test_its_sibling_with_typos() -> None:
    loaded = load("extra/Tiled-MultipleMyeloma-2")
    assert not loaded.config.augment.enabled
    assert loaded.config.train.steps_per_epoch is None
    notes = "\n".join(loaded.notes)
    assert "Line 7, model.generator: Flase resembles False and is taken for it." in notes
    assert "Line 99, augmentor.angles: [90. 180, 270,] lacks a comma; read as [90.0, 180, 270]." in notes
    assert "train.steps_per_epoch (only with generator = True)" in notes
    online = (FILES / "extra" / "Tiled-MultipleMyeloma-2.config").read_text().replace("Flase", "True")
    augment = parse_config(online, FILES / "x.config").config.augment
    assert augment.angles == (0, 90, 180, 270)


def test_overrides_are_in_native_names_for_either_dialect() -> None:
    loaded = load("Bijie-Landslide", "train.epochs=1", "data.size=[64, 64]", "model.num_layers=3")
    assert loaded.config.train.epochs == 1
    assert loaded.config.data.size == (64, 64)
    assert network(loaded.config).num_layers == 3


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_every_key_takes_effect_or_is_listed(file: Path) -> None:
    """Another value of a key gives another config, or the key or its section is named in the notes."""
    loaded = read_config(file)
    notes = "\n".join(loaded.notes)
    lines = file.read_text().split("\n")
    section = ""
    for number, line in enumerate(lines):
        if line.startswith("["):
            section = line.strip()[1:-1]
        if "=" not in line or line.lstrip().startswith(";"):
            continue
        key = line.split("=")[0].strip()
        listed = f"{section}.{key}" in notes or f"[{section}]" in notes
        if listed or f"{section}.{key}" in ONE_VALUE:
            continue
        changed = (parse(file, lines, number, f"{key} = {text}") for text in OTHER_VALUES)
        assert any(config is not None and config != loaded.config for config in changed), f"{section}.{key}"


OTHER_VALUES = (
    "7", "5", "13", "0.31", "0.01", '"AdamW"', '"other"', '"dice_loss"', '"tanh"', '"red"', "True", "False",
    '["a", "b"]', "[33]", "(5,5)", '"BGR"', '".npz"', '".png"', "{(9,9,9):0, (8,8,8):1}", "[(0.1, 0.2)]",
    "{(9,9,9):0, (8,8,8):1, (7,7,7):2, (6,6,6):3, (5,5,5):4, (4,4,4):5}",
)  # fmt: skip
ONE_VALUE = ("model.model", "image.color_order", "mask.binarize")  # others are refused, BGR, or noted


def parse(file: Path, lines: list[str], number: int, line: str) -> Config | None:
    from flexunet.errors import ConfigError

    try:
        return parse_config("\n".join([*lines[:number], line, *lines[number + 1 :]]), file).config
    except ConfigError:
        return None
