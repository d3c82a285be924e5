"""`flexunet train` survives kill -9 at any moment, exits as promised, and says what it expects."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from flexunet.cli.train import minutes
from flexunet.config import dump_toml
from flexunet.errors import ConfigError
from flexunet.modelfile import load_model

COMMAND = [sys.executable, "-c", "from flexunet.cli import main; main()", "train"]


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def wait_for_a_state(folder: Path, process: subprocess.Popen[str], newer_than: set[str]) -> None:
    """Until the run has saved something new, or is over."""
    while process.poll() is None:
        if {path.name for path in folder.glob("state/state-*")} - newer_than:
            return
        time.sleep(0.01)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_weights(make_config: Any, tmp_path: Path) -> None:
    settings = {"epochs": 6, "batch_size": 2, "checkpoint_minutes": 1e-4}
    config = make_config(model={"normalization": True}, train=settings)
    file = tmp_path / "run.toml"
    file.write_text(dump_toml(config), encoding="utf-8")
    whole = start(str(file), "--set", f"output.dir={tmp_path / 'whole'}")
    moments = random.Random(3)
    killed = 0
    for _ in range(2):
        seen = {path.name for path in (tmp_path / "run").glob("state/state-*")}
        process = start(str(file), "--resume")
        wait_for_a_state(tmp_path / "run", process, seen)
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    last = start(str(file), "--resume")
    _, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    whole.communicate(timeout=120)
    assert whole.returncode == 0
    assert killed > 0
    for name in ("model.safetensors", "last.safetensors"):
        one = load_model(tmp_path / "whole" / name).network.state_dict()
        two = load_model(tmp_path / "run" / name).network.state_dict()
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_saves_exits_130_and_says_how_to_go_on(make_config: Any, tmp_path: Path) -> None:
    config = make_config(train={"epochs": 500, "checkpoint_minutes": 1e-4})
    file = tmp_path / "run.toml"
    file.write_text(dump_toml(config), encoding="utf-8")
    process = start(str(file))
    wait_for_a_state(tmp_path / "run", process, set())
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Everything is saved" in errors
    assert f"flexunet train {tmp_path / 'run' / 'config.toml'} --resume" in errors
    assert "Traceback" not in errors
    assert "Expected:" in errors


def test_a_budget_is_a_time() -> None:
    assert [minutes(text) for text in ("90", "90m", "1.5h", "600s", "2 min")] == [90, 90, 90, 10, 2]
    for wrong in ("soon", "0m", "-5m", ""):
        with pytest.raises(ConfigError, match="expected a time such as"):
            minutes(wrong)
