"""An ensemble is a model file: its members come back bit for bit, and it gives the mean of what they say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from blob_dataset import write_pairs
from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.cli.app import app
from flexunet.config.schema import ClassConfig, DataConfig, FlexUNetConfig
from flexunet.errors import ConfigError, OutputExistsError
from flexunet.evaluation import evaluate
from flexunet.modelfile import InputRecord, ModelRecord, load_model, read_record, save_ensemble, save_model
from flexunet.nets import build_network
from flexunet.prediction import Predictor

CLASSES = Classes(names=("ground", "blob"), colours=((0, 0, 0), (255, 255, 255)))
PICTURE = np.random.default_rng(0).integers(0, 255, (40, 33, 3), np.uint8)


def model(path: Path, seed: int, mean: float = 100.0, **changes: Any) -> Path:
    """A network of random weights in a file."""
    torch.manual_seed(seed)
    values: dict[str, Any] = {
        "model": FlexUNetConfig(base_filters=2, num_layers=2, normalization=True, sigmoid=seed == 3),
        "classes": CLASSES,
        "bands": Bands(names=("red", "green", "blue"), mean=(mean,) * 3, std=(50.0,) * 3),
        "data": InputRecord.of(DataConfig(size=(32, 32))),
    }
    record = ModelRecord(**values | changes)
    network = build_network(record.model, len(record.bands), len(record.classes)).eval()
    save_model(path, network, record)
    return path


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    """Two normalisations, one of them twice; the last network ends in one sigmoid."""
    return [model(tmp_path / f"{seed}.safetensors", seed, mean) for seed, mean in ((1, 99), (2, 90), (3, 99))]


def test_an_ensemble_gives_the_mean_of_its_members(members: list[Path], tmp_path: Path) -> None:
    save_ensemble(tmp_path / "e.safetensors", members)
    alone = np.mean([Predictor.from_file(path).probabilities(PICTURE) for path in members], axis=0)
    predictor = Predictor.from_file(tmp_path / "e.safetensors")
    np.testing.assert_allclose(predictor.probabilities(PICTURE), alone, atol=2e-6)
    together = Predictor.ensemble([Predictor.from_file(path) for path in members])
    assert (predictor(PICTURE) == together(PICTURE)).all()


def test_members_come_back_bit_for_bit(members: list[Path], tmp_path: Path) -> None:
    save_ensemble(tmp_path / "e.safetensors", members)
    loaded = load_model(tmp_path / "e.safetensors")
    for path, network in zip(members, loaded.network.members, strict=True):  # type: ignore[arg-type]
        for name, tensor in load_model(path).network.state_dict().items():
            assert torch.equal(tensor, network.state_dict()[name])
    assert loaded.record.members == tuple(read_record(path) for path in members)


def test_an_ensemble_in_an_ensemble_is_taken_apart(members: list[Path], tmp_path: Path) -> None:
    save_ensemble(tmp_path / "two.safetensors", members[:2])
    record = save_ensemble(tmp_path / "three.safetensors", [tmp_path / "two.safetensors", members[2]])
    assert record.members == tuple(read_record(path) for path in members)
    mixed = [Predictor.from_file(path) for path in (tmp_path / "two.safetensors", members[2])]
    expected = np.mean([predictor.probabilities(PICTURE) for predictor in mixed], axis=0)
    np.testing.assert_allclose(Predictor.ensemble(mixed).probabilities(PICTURE), expected, atol=2e-6)


def test_an_ensemble_is_evaluated_like_any_model(members: list[Path], tmp_path: Path) -> None:
    save_ensemble(tmp_path / "e.safetensors", members)
    write_pairs(tmp_path / "data" / "test", 3, seed=1)
    classes = tuple(
        ClassConfig(name=name, colour=colour)
        for name, colour in zip(CLASSES.names, CLASSES.colours, strict=True)
    )
    data = DataConfig(root=tmp_path / "data", classes=classes, size=(32, 32))
    found = evaluate(tmp_path / "e.safetensors", data, out=tmp_path / "out")
    assert found.scores["images"] == 3
    assert (tmp_path / "out" / "report.html").is_file()


def test_models_that_disagree_are_all_named(tmp_path: Path) -> None:
    first = model(tmp_path / "first.safetensors", 1)
    other = Classes(names=("ground", "water"), colours=CLASSES.colours)
    two = model(tmp_path / "water.safetensors", 2, classes=other)
    bands = Bands(names=("red", "green", "nir"), mean=(1.0,) * 3, std=(1.0,) * 3)
    three = model(tmp_path / "nir.safetensors", 4, bands=bands)
    with pytest.raises(ConfigError, match=r"(?s)water\.safetensors.*ground, water.*nir\.safetensors.*nir"):
        save_ensemble(tmp_path / "e.safetensors", [first, two, three])
    assert not (tmp_path / "e.safetensors").exists()
    with pytest.raises(ConfigError, match="at least one"):
        save_ensemble(tmp_path / "e.safetensors", [])


def test_the_command_puts_files_and_runs_together(members: list[Path], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    members[1].rename(tmp_path / "run" / "model.safetensors")
    out = tmp_path / "e.safetensors"
    command = ["ensemble", str(members[0]), str(tmp_path / "run"), "-o", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert f"{out}: the mean of 2 models" in done.output
    assert len(read_record(out).members) == 2
    assert isinstance(CliRunner().invoke(app, command).exception, OutputExistsError)
    assert CliRunner().invoke(app, [*command, "--overwrite"]).exit_code == 0


def test_the_command_refuses_what_is_no_ensemble(members: list[Path], tmp_path: Path) -> None:
    first, out = str(members[0]), str(tmp_path / "e.safetensors")
    other = model(
        tmp_path / "other.safetensors", 4, classes=Classes(names=("a", "b"), colours=CLASSES.colours)
    )
    for command, words in (
        ([first, "-o", out], "alone is no ensemble"),
        ([first, first, "-o", str(tmp_path / "e.png")], r"NAME\.safetensors"),
        ([first, str(other), "-o", out], "knows the classes a, b"),
    ):
        with pytest.raises(ConfigError, match=words):
            CliRunner().invoke(app, ["ensemble", *command], catch_exceptions=False)
    assert not Path(out).exists()


@pytest.mark.parametrize("first", ["small", "large"])
def test_each_member_sees_a_picture_as_large_as_in_its_training(tmp_path: Path, first: str) -> None:
    paths = {
        name: model(
            tmp_path / f"{name}.safetensors", seed, data=InputRecord.of(DataConfig(size=(size, size)))
        )
        for name, seed, size in (("small", 1, 16), ("large", 2, 32))
    }
    order = [paths.pop(first), *paths.values()]
    record = save_ensemble(tmp_path / "e.safetensors", order)
    assert record.data.size == (32, 32)
    blocks = np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8)
    picture = blocks.repeat(2, 0).repeat(2, 1)  # halving it rounds nothing
    alone = np.mean([Predictor.from_file(path).probabilities(picture) for path in order], axis=0)
    loaded = Predictor.from_file(tmp_path / "e.safetensors").probabilities(picture)
    np.testing.assert_allclose(loaded, alone, atol=2e-6)
    together = Predictor.ensemble([Predictor.from_file(path) for path in order])
    np.testing.assert_allclose(together.probabilities(picture), alone, atol=2e-6)


def test_models_that_see_pixel_by_pixel_are_not_brought_to_a_size(tmp_path: Path) -> None:
    paths = [
        model(
            tmp_path / f"{size}.safetensors",
            size,
            data=InputRecord.of(DataConfig(size=(size, size), sizing="crop")),
        )
        for size in (16, 32)
    ]
    record = save_ensemble(tmp_path / "e.safetensors", paths)
    assert (record.data.size, record.scales) == ((16, 16), ((1.0, 1.0), (1.0, 1.0)))
