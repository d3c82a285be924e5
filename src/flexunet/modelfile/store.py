"""Writing and reading the file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import ModelFileError
from ..files import whole_file
from ..nets import EnsembleNetwork, build_network
from .record import ModelRecord, parse_record

RECORD_KEY = "flexunet"
CHECKSUM_KEY = "checksum"
"""Metadata key of the weights' checksum; files of other makers may lack it."""
MODEL_SUFFIXES = (".safetensors", ".h5", ".hdf5", ".keras", ".pt", ".pth")
"""Endings that say a file is meant as a model, whatever is in it."""


@dataclass(frozen=True)
class Model:
    """A network ready to predict, and its record."""

    network: nn.Module
    record: ModelRecord


def save_model(path: Path, network: nn.Module, record: ModelRecord) -> None:
    """Write weights and record as one safetensors file, whole or not at all; an existing file is replaced.

    Raises:
        ModelFileError: the weights do not fit the record's architecture, or the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    _check_fit(path, tensors, _empty_network(record))
    folders = {"images": None, "out": None, "tiled_images": None, "tiled_out": None}
    record = record.model_copy(update={"predict": record.predict.model_copy(update=folders)})
    try:
        with whole_file(path) as beside:
            metadata = {RECORD_KEY: record.model_dump_json(), CHECKSUM_KEY: str(checksum_of(tensors))}
            save_file(tensors, beside, metadata=metadata)
    except SafetensorError as error:
        raise ModelFileError(
            f"{path}: the model could not be written ({error}). Is the disk full? "
            "What was there before is untouched."
        ) from error


def load_model(path: Path) -> Model:
    """The network on the CPU in evaluation mode, and its record.

    Raises:
        ModelFileError: no such file, damaged or foreign, of a newer version, or weights that do not fit the
        record.
    """
    tensors, record = _read(path, weights=True)
    network = _empty_network(record)
    _check_fit(path, tensors, network)
    network.load_state_dict(tensors, assign=True)
    return Model(network.eval(), record)


def read_record(path: Path) -> ModelRecord:
    """The record alone; the weights are not read.

    Raises:
        ModelFileError: no such file, damaged or foreign, or of a newer version.
    """
    return _read(path, weights=False)[1]


def replace_record(path: Path, record: ModelRecord) -> None:
    """Give a model file another record; its weights stay as they are, bit for bit.

    Raises: as `load_model` and `save_model`.
    """
    save_model(path, load_model(path).network, record)


def is_model_file(path: Path) -> bool:
    """Whether the file at least looks like safetensors: a length, then a JSON object."""
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        start = handle.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 1 << 30


def _read(path: Path, *, weights: bool) -> tuple[dict[str, Tensor], ModelRecord]:
    _refuse_what_is_not_safetensors(path)
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
            record = parse_record(metadata.get(RECORD_KEY))
            # Copies: what safetensors hands out is the file itself, mapped, which Windows could then not
            # replace.
            tensors = {name: handle.get_tensor(name).clone() for name in handle.keys() if weights}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelFileError(
            f"{path}: damaged or incomplete model file ({error}). Copy or download it again."
        ) from error
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    expected = metadata.get(CHECKSUM_KEY)
    if weights and expected is not None and expected != str(checksum_of(tensors)):
        raise ModelFileError(
            f"{path}: damaged model file (the checksum of its weights does not fit). Copy or download it "
            "again."
        )
    return tensors, record


def checksum_of(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of names and bytes of tensors on the CPU, in the order of their names."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        content: Any = tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy()
        value = zlib.crc32(content, value)
    return value


def _refuse_what_is_not_safetensors(path: Path) -> None:
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; name the model file in it, such as model.safetensors.")
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such model file.")
    if is_model_file(path):
        return
    with path.open("rb") as handle:
        start = handle.read(8)
    if start.startswith(b"\x89HDF"):
        cure = (
            f"A Keras model: flexunet convert {path.name} --config train_eval_infer.config model.safetensors"
        )
    elif start[:2] in (b"PK", b"\x80\x02", b"\x80\x04"):
        cure = "It looks like a pickled or zipped model (.pt, .pth, .keras), which flexunet does not open."
    else:
        cure = "The file may be damaged or empty."
    raise ModelFileError(f"{path}: not a safetensors model file. {cure}")


def _empty_network(record: ModelRecord) -> nn.Module:
    with torch.device("meta"):
        if record.members:
            members = [_empty_network(member) for member in record.members]
            return EnsembleNetwork(members, record.places, record.scales)
        return build_network(record.model, len(record.bands), len(record.classes))


def _check_fit(path: Path, tensors: Mapping[str, Tensor], network: nn.Module) -> None:
    """Every tensor that the architecture has, of its shape, and no other; all misfits in one report."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    kinds = (
        [f"{name} is missing" for name in expected if name not in found],
        [f"{name} is not part of it" for name in found if name not in expected],
        [
            f"{name} has shape {found[name]}, expected {shape}"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ],
    )
    if any(kinds):
        lines = [f"  - {fault}" for kind in kinds for fault in _some(kind)]
        raise ModelFileError(
            f"{path}: the weights do not belong to the architecture in the record "
            f"({type(network).__name__}):\n" + "\n".join(lines)
        )


def _some(faults: list[str], most: int = 4) -> list[str]:
    return faults if len(faults) <= most else [*faults[:most], f"and {len(faults) - most} more"]
