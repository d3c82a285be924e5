"""Weights that the reference saved with Keras 2 (HDF5, full model or weights only) into a FlexUNet.

Only arrays and JSON text are read. The bytecode that Keras stores for the division by 255 is never looked at:
whether that layer is there is all that counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModelFileError
from .flexunet import Block, FlexUNet

CONV, UP, NORM = "Conv2D", "Conv2DTranspose", "BatchNormalization"
_NORM_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclass(frozen=True)
class KerasModel:
    """What a file says beside the weights; None where a weights-only file cannot know it."""

    keras_version: str
    input_hwc: tuple[int | None, int | None, int | None] | None
    """Height, width and channels of the input, where they are fixed."""
    divides_by_255: bool
    """Whether the network itself scales its input (the reference's `input_normalize`)."""


@dataclass(frozen=True)
class _Layer:
    """One layer with weights, as it stands in the file."""

    name: str
    kind: str
    weights: Mapping[str, Any]
    """h5py data sets by the last part of their name: kernel, bias, gamma ..."""


@dataclass(frozen=True)
class _Place:
    """One module of the network that wants weights."""

    name: str
    module: nn.Module

    @property
    def kind(self) -> str:
        if isinstance(self.module, nn.BatchNorm2d):
            return NORM
        return UP if isinstance(self.module, nn.ConvTranspose2d) else CONV

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Keras' names and shapes of the weights."""
        weight = self.module.get_parameter("weight")
        if self.kind == NORM:
            return dict.fromkeys(_NORM_NAMES, tuple(weight.shape))
        first, second, height, width = weight.shape
        return {
            "kernel": (height, width, second, first),
            "bias": tuple(self.module.get_parameter("bias").shape),
        }


def load_keras_weights(path: Path, network: nn.Module) -> KerasModel:
    """Fill `network` (a FlexUNet built from the config) with the weights of a Keras 2 HDF5 file.

    Layers are matched by their order, since their names count on over all networks of a Keras session. A full
    model also tells its activation, dilation and batch-norm epsilon, which are checked; weights alone tell
    only shapes.

    Raises:
        ModelFileError: not such a file, damaged, or of another network; every difference is named. The
        network is
            then unchanged.
    """
    if not isinstance(network, FlexUNet):
        raise ModelFileError(
            f"{path}: weights of the reference fit a flexunet network only, not {type(network).__name__}; "
            'use the train_eval_infer.config it was trained with, or model.architecture = "flexunet".'
        )
    with _opened(path) as file:
        settings = _settings(path, file)
        root = file.get("model_weights", file)
        layers = list(_layers(path, root, settings))
        places = list(_places(network))
        _check(path, layers, places)
        _check_settings(path, settings, places, network)
        state = dict(_tensors(layers, places))
        names = _names(root.attrs, "layer_names") or []
        version = _text(file.attrs.get("keras_version", root.attrs.get("keras_version", "")))
    network.load_state_dict(state, strict=False)
    return KerasModel(version, _input_hwc(settings), _divides_by_255(settings, names))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file.")
    if not h5py.is_hdf5(path):
        raise ModelFileError(
            f"{path}: not an HDF5 file. Models are read in the form that the reference saves, "
            "best_model.h5 or the file of Keras' save_weights."
        )
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ModelFileError:
        raise
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
    ) as error:  # what h5py makes of flipped bytes
        raise ModelFileError(f"{path}: damaged or incomplete HDF5 file ({error}). Copy it again.") from error


def _settings(path: Path, file: Any) -> list[dict[str, Any]]:
    """The layers of the stored `model_config`, or none in a weights-only file."""
    text = file.attrs.get("model_config")
    if text is None:
        return []
    try:
        layers = json.loads(_text(text))["config"]["layers"]
        return [{"class_name": item["class_name"], **item["config"]} for item in layers]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path}: its model_config is not one that Keras 2 writes ({error!r})."
        ) from error


def _layers(path: Path, root: Any, settings: list[dict[str, Any]]) -> Iterator[_Layer]:
    names = _names(root.attrs, "layer_names")
    if names is None:
        raise ModelFileError(
            f"{path}: HDF5, but not weights of Keras 2: there is no list of layers (`layer_names`). "
            "Files of Keras 3 (.weights.h5) are not read; the reference writes Keras 2."
        )
    kinds = {item.get("name"): item["class_name"] for item in settings}
    for name in names:
        weights = {}
        for weight in _names(root[name].attrs, "weight_names") or []:
            weights[weight.rsplit("/", 1)[-1].split(":")[0]] = root[name][weight]
        if weights:
            yield _Layer(name, kinds.get(name) or _kind(name, weights), weights)


def _kind(name: str, weights: Mapping[str, Any]) -> str:
    """The kind of a layer whose file does not say it."""
    if "gamma" in weights or "moving_mean" in weights:
        return NORM
    return UP if "transpose" in name else CONV


def _places(network: FlexUNet) -> Iterator[_Place]:
    """Modules in the order in which the reference creates its layers."""

    def block(name: str, module: nn.Module) -> Iterator[_Place]:
        assert isinstance(module, Block)
        for part in ("conv1", "norm1", "conv2", "norm2"):
            inner = module.get_submodule(part)
            if not isinstance(inner, nn.Identity):
                yield _Place(f"{name}.{part}", inner)

    for level, module in enumerate(network.encoder):
        yield from block(f"encoder.{level}", module)
    for step, (up, module) in enumerate(zip(network.ups, network.decoder, strict=True)):
        yield _Place(f"ups.{step}", up)
        yield from block(f"decoder.{step}", module)
    yield _Place("head", network.head)


def _check(path: Path, layers: list[_Layer], places: list[_Place]) -> None:
    """Kinds, order and shapes agree; everything that does not in one report."""
    faults = []
    if [layer.kind for layer in layers] != [place.kind for place in places]:
        found, expected = (
            _summary([(layer.kind, _found_shapes(layer)) for layer in layers]),
            _summary([(place.kind, place.shapes) for place in places]),
        )
        faults.append(f"the file holds {found}; the config describes {expected}")
    else:
        for layer, place in zip(layers, places, strict=True):
            shapes = _found_shapes(layer)
            faults += [
                f"layer {layer.name}: {weight} has shape {shapes.get(weight, 'missing')}, "
                f"the config's network has {shape} there ({place.name})"
                for weight, shape in place.shapes.items()
                if shapes.get(weight) != shape
            ]
    _refuse(path, faults)


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        more = [f"and {len(faults) - 8} more"] if len(faults) > 8 else []
        lines = "\n".join(f"  - {fault}" for fault in (*faults[:8], *more))
        raise ModelFileError(
            f"{path}: not the network of the config. "
            f"Use the train_eval_infer.config it was trained with.\n{lines}"
        )


def _found_shapes(layer: _Layer) -> dict[str, tuple[int, ...]]:
    return {name: tuple(data.shape) for name, data in layer.weights.items() if isinstance(data, h5py.Dataset)}


def _summary(layers: list[tuple[str, dict[str, tuple[int, ...]]]]) -> str:
    """A network in the config's words, told from its layers."""
    counts = {kind: sum(kind == other for other, _ in layers) for kind in (CONV, UP, NORM)}
    text = f"{counts[CONV]} convolutions, {counts[UP]} transposed ones and {counts[NORM]} batch norms"
    kernels = [
        shapes["kernel"] for kind, shapes in layers if kind == CONV and len(shapes.get("kernel", ())) == 4
    ]
    if kernels:
        first, last = kernels[0], kernels[-1]
        text += (
            f" (num_layers {counts[UP] + 1}, base_kernels {first[:2]}, base_filters {first[3]}, "
            f"normalization {counts[NORM] > 0}, image_channels {first[2]}, num_classes {last[3]})"
        )
    return text


def _check_settings(
    path: Path, settings: list[dict[str, Any]], places: list[_Place], network: FlexUNet
) -> None:
    """What shapes do not show: dilation, activation and the epsilon of batch norm."""
    stored = [item for item in settings if item["class_name"] in (CONV, UP, NORM)]
    faults = []
    for item, place in zip(stored, places, strict=False):
        expected: dict[str, Any] = {}
        if isinstance(place.module, nn.BatchNorm2d):
            expected = {"epsilon": place.module.eps}
        elif isinstance(place.module, nn.Conv2d) and place.name != "head":
            expected = {"dilation_rate": list(place.module.dilation), "activation": network.activation}
        for key, value in expected.items():
            found = item.get(key, value)
            if not _same(found, value):
                faults.append(f"layer {item.get('name')}: {key} is {found}, the config says {value}")
    _refuse(path, faults)


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, int | float):
        return bool(np.isclose(found, expected))
    synonyms = {"silu": "swish"}
    if isinstance(found, str) and isinstance(expected, str):
        return synonyms.get(found, found) == synonyms.get(expected, expected)
    return bool(found == expected)


def _tensors(layers: list[_Layer], places: list[_Place]) -> Iterator[tuple[str, Tensor]]:
    for layer, place in zip(layers, places, strict=True):
        arrays = {name: np.asarray(data, dtype=np.float32) for name, data in layer.weights.items()}
        if place.kind == NORM:
            for keras, ours in _NORM_NAMES.items():
                yield f"{place.name}.{ours}", torch.from_numpy(arrays[keras])
        else:
            # Conv2D (h, w, in, out) -> (out, in, h, w); Conv2DTranspose (h, w, out, in) -> (in, out, h, w)
            kernel = np.ascontiguousarray(arrays["kernel"].transpose(3, 2, 0, 1))
            yield f"{place.name}.weight", torch.from_numpy(kernel)
            yield f"{place.name}.bias", torch.from_numpy(arrays["bias"])


def _input_hwc(settings: list[dict[str, Any]]) -> tuple[int | None, int | None, int | None] | None:
    shapes = [item.get("batch_input_shape") for item in settings if item["class_name"] == "InputLayer"]
    if not shapes or shapes[0] is None or len(shapes[0]) != 4:
        return None
    height, width, channels = shapes[0][1:]
    return height, width, channels


def _divides_by_255(settings: list[dict[str, Any]], names: list[str]) -> bool:
    kinds = [item["class_name"] for item in settings]
    return "Lambda" in kinds or any(name.startswith("lambda") for name in names)


def _names(attributes: Any, key: str) -> list[str] | None:
    """A list of names; Keras splits long ones over key0, key1 ..."""
    if key in attributes:
        return [_text(name) for name in attributes[key]]
    parts: list[str] = []
    while f"{key}{len(parts)}" in attributes:
        parts.append(f"{key}{len(parts)}")
    return [_text(name) for part in parts for name in attributes[part]] if parts else None


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
