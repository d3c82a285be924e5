"""What a network is made of: its layers with shapes, parameters, arithmetic, receptive field; its stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import groupby
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .resunet import UpsampleTo

View = Callable[[int], int]
Side = Literal["down", "bridge", "up", "head"]


@dataclass(frozen=True)
class LayerRow:
    """One layer in the order of computation; sizes are those of one image."""

    name: str
    kind: str
    output_chw: tuple[int, int, int]
    parameters: int
    flops: int
    """Forward, 1 multiply-add = 2; convolutions only, which is nearly all of it."""
    receptive_field: int
    """Edge of the square of input pixels that one output pixel can see through this layer."""


@dataclass(frozen=True)
class Stage:
    """All layers of one block of the U."""

    name: str
    side: Side
    output_chw: tuple[int, int, int]
    kernel: str
    """Of its first convolution, as `11x11` or `3x3 stride 2`."""
    convolutions: int
    """One after the other; those on the way round a residual block are not counted."""
    parameters: int
    flops: int


def layer_table(network: nn.Module, input_shape: Sequence[int]) -> list[LayerRow]:
    """The layers for one image of `input_shape` (C, H, W), found by running the network once.

    A network built under `torch.device("meta")` is run without memory or arithmetic.
    """
    rows: list[LayerRow] = []
    views: list[View] = []

    def record(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if (
            "shortcut" not in name and "shrink" not in name
        ):  # runs beside the main path, and sees less than it
            views.append(_view(module, inputs[0], output))
        field = reduce(lambda pixels, view: view(pixels), reversed(views), 1)
        _, channels, height, width = output.shape
        own = sum(parameter.numel() for parameter in module.parameters())
        rows.append(
            LayerRow(
                name,
                _kind(module),
                (channels, height, width),
                own,
                _flops(module, inputs[0], output),
                field,
            )
        )

    def hook(name: str) -> Any:
        return lambda module, inputs, output: record(name, module, inputs, output)

    leaves = [
        (name, module) for name, module in network.named_modules() if name and not list(module.children())
    ]
    handles = [
        module.register_forward_hook(hook(name))
        for name, module in leaves
        if not isinstance(module, nn.Identity)
    ]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *input_shape, device=next(network.parameters()).device))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return rows


def stages(rows: Sequence[LayerRow]) -> list[Stage]:
    """The blocks of a layer table: downwards, through the bridge, upwards, head."""
    blocks = [row for row in rows if _block(row)]
    found = [_stage(name, list(members)) for name, members in groupby(blocks, key=_block)]
    bridge = max(index for index, stage in enumerate(found) if stage.side == "down")
    found[bridge] = replace(found[bridge], name="bridge", side="bridge")
    return found


def _block(row: LayerRow) -> str:
    """`stem`, `encoder.0`, `decoder.3`, `head`; empty for what stands between blocks."""
    part, _, rest = row.name.partition(".")
    if rest.startswith("timm."):  # its modules are named as their authors liked: one stage a size
        _, height, width = row.output_chw
        return f"encoder.{height}x{width}" if height * width > 1 else ""
    if part in ("encoder", "decoder"):
        return f"{part}.{rest.partition('.')[0]}"
    return part if part in ("stem", "head") else ""


def _stage(name: str, layers: list[LayerRow]) -> Stage:
    sides: dict[str, Side] = {"stem": "down", "encoder": "down", "decoder": "up", "head": "head"}
    convolutions = [
        row.kind.removeprefix("convolution ")
        for row in layers
        if row.kind.startswith("convolution") and "shortcut" not in row.name
    ]
    return Stage(
        name,
        sides[name.partition(".")[0]],
        layers[-1].output_chw,
        convolutions[0],
        len(convolutions),
        sum(row.parameters for row in layers),
        sum(row.flops for row in layers),
    )


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.ConvTranspose2d):
        return f"transposed {_size(module)}"
    if isinstance(module, nn.Conv2d):
        return f"convolution {_size(module)}"
    names = {
        nn.BatchNorm2d: "batch norm",
        nn.MaxPool2d: "max pooling 2x2",
        nn.AvgPool2d: "mean pooling 2x2",
        nn.Dropout2d: "channel dropout",
    }
    for kind, name in names.items():
        if isinstance(module, kind):
            return name
    if isinstance(module, nn.Dropout):
        return f"dropout {module.p:g}"
    return f"{module.mode} upsampling" if isinstance(module, UpsampleTo) else type(module).__name__


def _size(module: nn.Conv2d | nn.ConvTranspose2d) -> str:
    text = f"{module.kernel_size[0]}x{module.kernel_size[1]}"
    text += f" stride {module.stride[0]}" if module.stride[0] > 1 else ""
    return text + (f" dilation {module.dilation[0]}" if module.dilation[0] > 1 else "")


def _flops(module: nn.Module, x: Tensor, y: Tensor) -> int:
    """2 operations a multiply-add: kernel elements times pixels of the side where the kernel is placed."""
    if isinstance(module, nn.ConvTranspose2d):
        return 2 * module.weight.numel() * x.shape[2] * x.shape[3]
    if isinstance(module, nn.Conv2d):
        return 2 * module.weight.numel() * y.shape[2] * y.shape[3]
    return 0


def _view(module: nn.Module, x: Tensor, y: Tensor) -> View:
    """How many neighbouring input pixels so many neighbouring output pixels see, at their worst position."""
    if isinstance(module, nn.ConvTranspose2d):  # stride = kernel: each output pixel sees one input pixel
        return partial(_view_upsampled, module.stride[0], 1)
    if isinstance(module, nn.Conv2d):
        return partial(_view_window, module.stride[0], module.dilation[0] * (module.kernel_size[0] - 1) + 1)
    if isinstance(module, nn.MaxPool2d):
        return partial(_view_window, 2, 2)
    if isinstance(module, UpsampleTo):
        return partial(_view_upsampled, y.shape[2] / x.shape[2], 2 if module.mode == "bilinear" else 1)
    return partial(_view_window, 1, 1)


def _view_window(stride: int, window: int, pixels: int) -> int:
    return (pixels - 1) * stride + window


def _view_upsampled(factor: float, sources: int, pixels: int) -> int:
    return math.floor((pixels + factor - 2) / factor) + sources
