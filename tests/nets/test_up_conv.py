"""The step up gives what a transposed convolution gives, however it is computed and however it lies in
memory.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers

from flexunet.nets.up_conv import UpConv2d, patches_up


@settings(max_examples=30, deadline=None)
@given(
    batch=integers(1, 3),
    channels=integers(1, 7),
    filters=integers(1, 5),
    height=integers(1, 6),
    width=integers(1, 6),
    x_last=booleans(),
    w_last=booleans(),
)
def test_values_and_gradients_are_those_of_the_transposed_convolution(
    batch: int, channels: int, filters: int, height: int, width: int, x_last: bool, w_last: bool
) -> None:
    formats = {True: torch.channels_last, False: torch.contiguous_format}
    x = torch.randn(batch, channels, height, width).contiguous(memory_format=formats[x_last]).requires_grad_()
    weight = torch.randn(channels, filters, 2, 2).contiguous(memory_format=formats[w_last]).requires_grad_()
    bias = torch.randn(filters, requires_grad=True)
    ours, theirs = patches_up(x, weight, bias), F.conv_transpose2d(x, weight, bias, stride=2)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    upstream = torch.randn_like(theirs)
    for mine, expected in zip(
        torch.autograd.grad(ours, (x, weight, bias), upstream),
        torch.autograd.grad(theirs, (x, weight, bias), upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_the_quick_way_is_taken_where_weights_are_many_and_pixels_few(
    memory_format: torch.memory_format,
) -> None:
    up = UpConv2d(1024, 256).to(memory_format=memory_format)  # type: ignore[call-overload]
    x = torch.randn(3, 1024, 4, 5).contiguous(memory_format=memory_format)
    expected = F.conv_transpose2d(x.double(), up.weight.double(), up.bias.double(), stride=2)
    with torch.no_grad():
        result = up(x)
        alone = torch.cat([up(image[None]) for image in x])
    assert result.is_contiguous(memory_format=memory_format)
    assert torch.equal(result, alone)
    torch.testing.assert_close(result.double(), expected.detach(), rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(up(x), up(x))
    assert up(torch.randn(1, 1024, 9, 9)).shape == (1, 256, 18, 18)
