"""The reference's network as one function, written from its description apart from flexunet.nets.

Convolutions are sums over shifted images, batch norm and pooling are written out: nothing of torch.nn is
used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def conv_same(x: Tensor, kernel: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """'same' by TensorFlow: the smaller half of the padding comes first."""
    size = kernel.shape[-1]
    total = dilation * (size - 1)
    before = total // 2
    batch, channels, height, width = x.shape
    padded = x.new_zeros(batch, channels, height + total, width + total)
    padded[..., before : before + height, before : before + width] = x
    y = bias[None, :, None, None].expand(batch, -1, height, width)
    for row in range(size):
        for col in range(size):
            part = padded[..., row * dilation :, col * dilation :][..., :height, :width]
            y = y + torch.einsum("bchw,kc->bkhw", part, kernel[:, :, row, col])
    return y


def upsample(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Transposed 2x2 convolution of stride 2: each pixel becomes a 2x2 patch."""
    batch, _, height, width = x.shape
    patches = torch.einsum("bchw,ckij->bkhiwj", x, kernel)
    return patches.reshape(batch, kernel.shape[1], 2 * height, 2 * width) + bias[None, :, None, None]


def activate(x: Tensor, name: str) -> Tensor:
    """Keras 2.10's formulas."""
    softplus = torch.log1p(torch.exp(-x.abs())) + x.clamp(min=0)
    sigmoid = 1 / (1 + torch.exp(-x))
    negative = torch.exp(x.clamp(max=0)) - 1
    formulas = {
        "relu": x.clamp(min=0),
        "relu6": x.clamp(0, 6),
        "leaky_relu": torch.where(x > 0, x, 0.2 * x),
        "elu": torch.where(x > 0, x, negative),
        "selu": 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * negative),
        "gelu": 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
        "swish": x * sigmoid,
        "silu": x * sigmoid,
        "mish": x * torch.tanh(softplus),
        "softplus": softplus,
        "softsign": x / (1 + x.abs()),
        "tanh": torch.tanh(x),
        "sigmoid": sigmoid,
        "hard_sigmoid": (0.2 * x + 0.5).clamp(0, 1),
        "exponential": torch.exp(x),
        "linear": x,
    }
    return formulas[name]


def reference_logits(
    images: Tensor,
    weights: Mapping[str, Tensor],
    levels: int,
    kernel: int,
    dilation: int,
    norm: bool,
    activation: str,
) -> Tensor:
    """Logits without dropout, from the weights of a FlexUNet; edges repeated up to a multiple of 2^(L-1)."""

    def block(x: Tensor, prefix: str, level: int) -> Tensor:
        for step in "12":
            stored = weights[f"{prefix}.conv{step}.weight"]
            assert stored.shape[-1] == max(3, kernel - 2 * level)
            x = conv_same(x, stored, weights[f"{prefix}.conv{step}.bias"], max(1, dilation - level))
            x = activate(x, activation)
            if norm:
                name = f"{prefix}.norm{step}"
                mean, variance, gamma, beta = (
                    weights[f"{name}.{part}"][None, :, None, None]
                    for part in ("running_mean", "running_var", "weight", "bias")
                )
                x = gamma * (x - mean) / torch.sqrt(variance + 1e-3) + beta
        return x

    height, width = images.shape[-2:]
    multiple = 2 ** (levels - 1)
    rows = torch.arange(-(-height // multiple) * multiple).clamp(max=height - 1)
    cols = torch.arange(-(-width // multiple) * multiple).clamp(max=width - 1)
    x = images[..., rows[:, None], cols]
    skips = []
    for level in range(levels):
        x = block(x, f"encoder.{level}", level)
        if level < levels - 1:
            skips.append(x)
            x = torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    for step, level in enumerate(range(levels - 2, -1, -1)):
        x = upsample(x, weights[f"ups.{step}.weight"], weights[f"ups.{step}.bias"])
        x = block(torch.cat([x, skips[level]], 1), f"decoder.{step}", level)
    x = (
        torch.einsum("bchw,kc->bkhw", x, weights["head.weight"][..., 0, 0])
        + weights["head.bias"][None, :, None, None]
    )
    return x[..., :height, :width]
