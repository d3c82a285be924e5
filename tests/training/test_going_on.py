"""A run goes on with the batches and the precision it was begun with, or says how to."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from flexunet.config import Config
from flexunet.errors import ConfigError
from flexunet.training import train
from flexunet.training.hardware import choose_hardware
from moments import when_logged


def begun(config: Config) -> Config:
    """The run, stopped after its first epoch."""
    with when_logged("epoch 1/", (config.output.dir / "STOP").touch):
        assert len(train(config).rows) == 1
    return config


def rewrite(folder: Path, changes: dict[str, str | None]) -> None:
    """Change what the saved states say of the run; None: as an earlier version that did not say it."""
    for path in (folder / "state").glob("state-*"):
        with safe_open(path, framework="pt") as handle:
            metadata = dict(handle.metadata())
            tensors = {name: handle.get_tensor(name).clone() for name in handle.keys()}  # noqa: SIM118
        for name, value in changes.items():
            metadata.pop(name, None)
            if value is not None:
                metadata[name] = value
        save_file(tensors, path, metadata)


def test_other_batches_are_refused_and_the_run_stays_as_it_was(make_config: Any) -> None:
    config = begun(make_config())
    rewrite(config.output.dir, {"global_batch": "8", "steps_per_epoch": "1"})
    before = (config.output.dir / "config.toml").read_bytes()
    changed = make_config(train={"num_workers": 0})
    with pytest.raises(
        ConfigError,
        match=r"4 images a step now \(1 process\), 8 in the run\. Go on with 2 processes "
        r"\(train\.devices times train\.num_nodes\)",
    ):
        train(changed, resume=True)
    assert (config.output.dir / "config.toml").read_bytes() == before


def test_another_precision_of_auto_is_refused_with_the_one_to_ask_for(make_config: Any) -> None:
    config = begun(make_config(train={"precision": "auto"}))
    here = choose_hardware("cpu", "auto").precision
    other = "bf16" if here == "32" else "32"
    rewrite(config.output.dir, {"precision": other})
    with pytest.raises(
        ConfigError,
        match=rf"train\.precision: {here} now, {other} in the run\. Set train\.precision = \"{other}\"",
    ):
        train(config, resume=True)
    # the cure that is named works
    asked = make_config(train={"precision": other})
    assert len(train(asked, resume=True).rows) == 3


def test_a_precision_that_was_asked_for_stays(make_config: Any) -> None:
    begun(make_config(train={"precision": "32"}))
    with pytest.raises(ConfigError, match=r"train\.precision: 'auto' now, '32' in the run"):
        train(make_config(train={"precision": "auto"}), resume=True)


def test_a_state_of_an_earlier_version_goes_on(make_config: Any) -> None:
    config = begun(make_config())
    rewrite(config.output.dir, {"global_batch": None, "steps_per_epoch": None, "precision": None})
    for path in (config.output.dir / "state").glob("state-*"):
        with safe_open(path, framework="pt") as handle:
            progress = json.loads(handle.metadata()["progress"])
        rewrite(config.output.dir, {"progress": json.dumps({**progress, "stopped_early": False})})
    assert len(train(config, resume=True).rows) == 3


@pytest.mark.slow
def test_another_number_of_processes_is_refused_in_all_of_them(make_config: Any) -> None:
    begun(make_config(train={"batch_size": 2}))
    with pytest.raises(
        ConfigError, match=r"4 images a step now \(2 processes\), 2 in the run\. Go on with 1 process"
    ):
        train(make_config(train={"batch_size": 2, "devices": 2}), resume=True)
