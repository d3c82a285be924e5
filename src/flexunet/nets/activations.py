"""The activation functions by their Keras names, with Keras 2's definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from ..config.schema import Activation

ActivationFunction = Callable[[Tensor], Tensor]


def _hard_sigmoid(x: Tensor) -> Tensor:
    """Keras 2: clip(0.2 x + 0.5, 0, 1); (Keras 3 and PyTorch divide by 6 instead of 5)."""
    return (0.2 * x + 0.5).clamp(0, 1)


# Functions with names, not lambdas: a network is pickled on its way to other processes.
def _tanh(x: Tensor) -> Tensor:
    return x.tanh_()


def _sigmoid(x: Tensor) -> Tensor:
    return x.sigmoid_()


def _exponential(x: Tensor) -> Tensor:
    return x.exp_()


def _linear(x: Tensor) -> Tensor:
    return x


# In place where the derivative can be told from the result: the convolution before it does not need its own
# output, so one feature map less is kept for the backward pass.
_FUNCTIONS: dict[str, ActivationFunction] = {
    "relu": partial(F.relu, inplace=True),
    "relu6": partial(F.relu6, inplace=True),
    "leaky_relu": partial(F.leaky_relu, negative_slope=0.2, inplace=True),
    "elu": partial(F.elu, inplace=True),
    "selu": partial(F.selu, inplace=True),
    "gelu": F.gelu,
    "swish": F.silu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "exponential": _exponential,
    "linear": _linear,
}


def activation_function(name: Activation) -> ActivationFunction:
    """The function of that Keras name; it may overwrite its argument."""
    return _FUNCTIONS[name]
