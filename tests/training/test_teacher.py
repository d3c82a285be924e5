"""Distillation: a student follows its teacher, whatever normalisation either was trained with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.cli.app import app
from flexunet.config import Config, dump_toml
from flexunet.config.schema import DataConfig, FlexUNetConfig, TrainConfig
from flexunet.errors import ConfigError
from flexunet.modelfile import InputRecord, ModelRecord, load_model, read_record, save_ensemble, save_model
from flexunet.nets import build_network
from flexunet.training import train
from flexunet.training.scored import Scored
from flexunet.training.teacher import Teacher, objective, soft_cross_entropy

CLASSES = Classes(names=("ground", "blob"), colours=((0, 0, 0), (255, 255, 255)))


def save_teacher(path: Path, seed: int, mean: float, names: tuple[str, ...] = ("ground", "blob")) -> Path:
    """A network of random weights in a file."""
    torch.manual_seed(seed)
    config = FlexUNetConfig(base_filters=2, num_layers=2, normalization=False)
    record = ModelRecord(
        model=config,
        classes=Classes(names=names, colours=CLASSES.colours),
        bands=Bands(names=("red", "green", "blue"), mean=(mean,) * 3, std=(mean / 2,) * 3),
        data=InputRecord.of(DataConfig(size=(32, 32))),
    )
    save_model(path, build_network(config, 3, 2).eval(), record)
    return path


def test_a_teacher_sees_what_it_was_trained_on(tmp_path: Path) -> None:
    paths = [save_teacher(tmp_path / f"{mean}.safetensors", 1, mean) for mean in (60.0, 120.0)]
    save_ensemble(tmp_path / "e.safetensors", paths)
    model = load_model(tmp_path / "e.safetensors")
    raw = np.random.default_rng(0).integers(0, 255, (3, 8, 8)).astype(np.uint8)
    valid = np.ones((8, 8), bool)
    valid[:3] = False
    own = Bands(names=("red", "green", "blue"), mean=(90.0, 80.0, 70.0), std=(10.0, 20.0, 30.0))
    teacher = Teacher(model.network, model.record, own)
    found = teacher(torch.from_numpy(own.normalise(raw, valid))[None])
    theirs = np.concatenate([bands.normalise(raw, valid) for bands in model.record.inputs])
    expected = torch.softmax(model.network(torch.from_numpy(theirs)[None]), 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not found.requires_grad


def test_the_loss_is_least_where_the_student_says_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, generator=generator)
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    labels[0, 0] = 255
    taught = logits.softmax(1)
    student = logits.clone().requires_grad_()
    for temperature in (1.0, 3.0):
        loss = soft_cross_entropy(Scored(student, labels), taught, temperature)
        (slope,) = torch.autograd.grad(loss, student)
        assert slope.abs().max() < 1e-7
    other = torch.randn(2, 3, 4, 4, generator=generator).requires_grad_()
    (slope,) = torch.autograd.grad(soft_cross_entropy(Scored(other, labels), taught, 1.0), other)
    assert slope[0, :, 0].abs().max() == 0
    hard = torch.nn.functional.one_hot(labels % 3, 3).movedim(-1, 1).float()
    same = soft_cross_entropy(Scored(other, labels), hard, 1.0)
    truth = torch.nn.functional.cross_entropy(other, labels, ignore_index=255)
    torch.testing.assert_close(same, truth)


def test_weight_mixes_truth_and_teacher(tmp_path: Path) -> None:
    model = load_model(save_teacher(tmp_path / "t.safetensors", 1, 60.0))
    teacher = Teacher(model.network, model.record, model.record.bands)
    images, labels = torch.randn(1, 3, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64)
    scored = Scored(torch.randn(1, 2, 8, 8), labels)
    values = [
        float(objective(TrainConfig(teacher_weight=weight), None, teacher)(scored, images))
        for weight in (0.0, 0.25, 1.0)
    ]
    assert values[0] == pytest.approx(float(objective(TrainConfig(), None, None)(scored, images)))
    assert values[1] == pytest.approx(0.75 * values[0] + 0.25 * values[2])


def test_a_student_comes_out_of_the_command(make_config: Any, tmp_path: Path) -> None:
    config: Config = make_config(train={"epochs": 1, "calibrate": False})
    first = train(config.model_copy(update={
        "output": config.output.model_copy(update={"dir": tmp_path / "first"})
    }))  # fmt: skip
    save_ensemble(
        tmp_path / "e.safetensors", [first.model, save_teacher(tmp_path / "t.safetensors", 1, 60.0)]
    )
    (tmp_path / "student.toml").write_text(dump_toml(config), encoding="utf-8")
    command = ["distill", str(tmp_path / "student.toml"), str(tmp_path / "e.safetensors"), "--weight", "0.7"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    record = read_record(config.output.dir / "model.safetensors")
    assert not record.members
    assert record.training["teacher"]["name"] == "e.safetensors"
    assert record.training["teacher"]["members"] == 2
    assert str(tmp_path) not in record.model_dump_json()


def test_a_teacher_of_other_classes_is_refused_at_once(make_config: Any, tmp_path: Path) -> None:
    path = save_teacher(tmp_path / "t.safetensors", 1, 60.0, names=("ground", "water"))
    config: Config = make_config(train={"teacher": path})
    with pytest.raises(ConfigError, match=r"the teacher, knows the classes ground, water.*ground, blob"):
        train(config)
    assert not config.output.dir.exists()


def test_a_teacher_of_other_bands_is_refused(make_config: Any, tmp_path: Path) -> None:
    path = save_teacher(tmp_path / "t.safetensors", 1, 60.0)
    config: Config = make_config(train={"teacher": path}, data={"band_names": ["red", "green", "nir"]})
    with pytest.raises(ConfigError, match=r"the teacher, takes the bands red, green, blue.*red, green, nir"):
        train(config)
