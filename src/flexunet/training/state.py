"""The resumable state: everything a run needs to go on as if it had never stopped.

One safetensors file holds the tensors (weights, optimiser moments, averaged weights) and, as JSON in its
metadata, the rest (place in the run, running sums, schedule, best so far, log rows). No pickle. Random
numbers need no state: every draw is derived from the seed and the place in the run. The two newest files are
kept; a file appears whole by rename, its checksum is verified on reading, and a damaged one falls back to the
one before.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import FlexunetError, TrainingError
from ..files import whole_file
from ..modelfile import checksum_of
from .schedules import Best, Plateau

VERSION = 1
KEPT = 2
Row = dict[str, float | int | None]
log = logging.getLogger("flexunet")


@dataclass
class Progress:
    """Where a run is, apart from its tensors. Everything is a number, a text, or a list of them."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches of the current epoch done."""
    step: int = 0
    """Optimiser steps done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Running sums of the current epoch."""
    seconds: float = 0.0
    """Time spent in the current epoch."""
    plateau: Plateau = field(default_factory=Plateau)
    best: Best = field(default_factory=Best)
    rows: list[Row] = field(default_factory=list)
    """The log, one row an epoch."""
    empty_epochs: int = 0
    """Epochs in a row in which nothing but background was predicted."""
    scaler: dict[str, float] = field(default_factory=dict)
    """fp16: state of the gradient scaler."""

    def to_json(self) -> str:
        """JSON in which every float reads back to the same bits."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """The value that `to_json` wrote."""
        content = json.loads(text)
        content.pop("stopped_early", None)  # earlier versions kept what follows from `best` and the patience
        content["plateau"], content["best"] = Plateau(**content["plateau"]), Best(**content["best"])
        return cls(**content)


def save_state(
    folder: Path,
    progress: Progress,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None,
    identity: Mapping[str, str],
) -> None:
    """Write the state and drop all but the newest `KEPT`. `identity` says which run this is (config, data).

    Raises:
        TrainingError: the disk is full or not writable; the previous state is kept.
    """
    tensors = _tensors(network, optimizer, average)
    metadata = {
        "format": "flexunet state",
        "version": str(VERSION),
        "progress": progress.to_json(),
        "checksum": str(checksum_of(tensors)),
        **identity,
    }
    path = folder / f"state-{progress.epoch:06d}-{progress.batch:08d}.safetensors"
    with readable_disk_errors(path), whole_file(path) as beside:
        save_file(tensors, beside, metadata)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


@dataclass(frozen=True)
class SavedState:
    """A state read back."""

    path: Path
    progress: Progress
    tensors: dict[str, Tensor]
    identity: dict[str, str]

    def restore(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None
    ) -> None:
        """Put the tensors back where they came from.

        Raises:
            TrainingError: the state belongs to another network.
        """
        try:
            _copy_into(network, self.tensors, "network.")
            if average is not None:
                _copy_into(average, self.tensors, "average.")
            _restore_optimizer(network, optimizer, self.tensors)
        except (KeyError, RuntimeError) as error:
            raise TrainingError(f"{self.path}: belongs to another network or optimiser ({error}).") from error


def load_state(folder: Path) -> SavedState | None:
    """The newest undamaged state in `folder`; None where there is none. Damaged files are reported and passed
    over.

    Raises:
        TrainingError: there are states, and all are damaged.
    """
    found = _newest_first(folder)
    for path in found:
        try:
            return _read(path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: damaged (%s); going back to the state before it.", path, error)
    if found:
        raise TrainingError(f"{folder}: every saved state is damaged. Start again with --overwrite.")
    return None


def _read(path: Path) -> SavedState:
    with safe_open(path, framework="pt") as handle:
        metadata = dict(handle.metadata() or {})
        # copies: as long as the file is mapped Windows could not remove it when it is outdated
        tensors = {name: handle.get_tensor(name).clone() for name in handle.keys()}  # noqa: SIM118
    if metadata.get("version") != str(VERSION):
        raise ValueError(f"version {metadata.get('version')}, expected {VERSION}")
    if metadata.pop("checksum") != str(checksum_of(tensors)):
        raise ValueError("its checksum does not fit")
    return SavedState(path, Progress.from_json(metadata.pop("progress")), tensors, metadata)


def readable_disk_errors(path: Path) -> _DiskErrors:
    """A context in which a full disk, or a file that cannot be replaced, becomes one clear message."""
    return _DiskErrors(path)


class _DiskErrors:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        # safetensors reports a failed write as its own error, with the system's text
        full = full or (isinstance(error, SafetensorError) and "os error 28" in str(error).lower())
        if full:
            raise TrainingError(
                f"{self._path}: the disk is full. What was saved before is intact: free some space and "
                f"continue with --resume."
            ) from error
        if isinstance(error, SafetensorError):
            raise TrainingError(f"{self._path}: cannot be written ({error}).") from error
        known = (FlexunetError, NotADirectoryError, FileExistsError)
        if isinstance(error, OSError) and not isinstance(error, known):
            raise TrainingError(
                f"{error.filename or self._path}: cannot be written ({error.strerror or error}). What was "
                f"saved before is intact: see that nothing else has the file open and that its folder may be "
                f"written to, and continue with --resume."
            ) from error


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("state-*.safetensors"), reverse=True)


def _tensors(
    network: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None
) -> dict[str, Tensor]:
    """Every tensor of the run on the CPU, contiguous, none sharing memory with another."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"optimizer.{name}/{key}"] = torch.as_tensor(value)
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


@torch.no_grad()
def _copy_into(network: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    for name, value in network.state_dict().items():
        value.copy_(tensors[prefix + name])


def _restore_optimizer(
    network: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    optimizer.state.clear()
    for name, parameter in network.named_parameters():
        prefix = f"optimizer.{name}/"
        keys = [key for key in tensors if key.startswith(prefix)]
        for key in keys:
            saved = tensors[key]
            # moments lie in memory as their parameter does (channels last)
            moment = saved.ndim > 0
            place = parameter.device if moment or _fused_on_gpu(optimizer, parameter) else "cpu"
            target = torch.empty_like(parameter if moment else saved, dtype=saved.dtype, device=place)
            optimizer.state[parameter][key.removeprefix(prefix)] = target.copy_(saved)


def _fused_on_gpu(optimizer: torch.optim.Optimizer, parameter: Tensor) -> bool:
    return bool(optimizer.defaults.get("fused")) and parameter.device.type != "cpu"
