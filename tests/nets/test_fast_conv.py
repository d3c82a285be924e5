"""Every way of computing a convolution gives the direct convolution's numbers, and their gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flexunet.nets.blocks import SameConv2d
from flexunet.nets.dft_conv import dft_conv2d
from flexunet.nets.fast_conv import conv2d_same, matrix_conv2d

Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]

SHAPES = [
    # batch, channels, filters, kernel, height, width: no common factors, so a swapped axis shows
    (2, 3, 5, 5, 37, 50),
    (1, 8, 6, 11, 64, 45),
    (3, 4, 7, 3, 4, 6),
    (1, 2, 3, 7, 5, 3),
]


def _inputs(shape: tuple[int, int, int, int, int, int], layout: torch.memory_format) -> list[Tensor]:
    batch, channels, filters, kernel, height, width = shape
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(batch, channels, height, width, generator=generator)
    weight = torch.randn(filters, channels, kernel, kernel, generator=generator)
    bias = torch.randn(filters, generator=generator)
    return [
        x.contiguous(memory_format=layout).requires_grad_(),
        weight.contiguous(memory_format=layout).requires_grad_(),
        bias.requires_grad_(),
    ]


def _assert_close(ours: Tensor, exact: Tensor) -> None:
    assert ours.dtype == torch.float32
    assert ours.shape == exact.shape
    assert (ours - exact).abs().max() <= 2e-6 * exact.abs().max()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("convolution", [dft_conv2d, matrix_conv2d], ids=["dft", "matrix"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_agree_with_double_precision(
    shape: tuple[int, int, int, int, int, int], convolution: Convolution, layout: torch.memory_format
) -> None:
    inputs = _inputs(shape, layout)
    exact_inputs = [tensor.detach().double().requires_grad_() for tensor in inputs]
    ours = convolution(*inputs)
    x, weight, bias = exact_inputs
    exact = F.conv2d(x, weight, bias, padding=shape[3] // 2)
    _assert_close(ours, exact)
    towards = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(ours, inputs, towards)
    exact_gradients = torch.autograd.grad(exact, exact_inputs, towards.double())
    for gradient, exact_gradient in zip(gradients, exact_gradients, strict=True):
        _assert_close(gradient, exact_gradient)


@pytest.mark.parametrize("convolution", [dft_conv2d, matrix_conv2d], ids=["dft", "matrix"])
def test_neighbours_in_the_batch_never_change_a_result(convolution: Convolution) -> None:
    x, weight, bias = (tensor.detach() for tensor in _inputs((3, 4, 6, 5, 21, 18), torch.channels_last))
    together = convolution(x, weight, bias)
    for index in range(3):
        assert torch.equal(together[index : index + 1], convolution(x[index : index + 1], weight, bias))


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "size"), [(16, 18, 5, 40), (512, 256, 3, 4), (3, 16, 11, 40)], ids=str
)
def test_the_choice_changes_no_number(channels: int, filters: int, kernel: int, size: int) -> None:
    x = torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    convolution = SameConv2d(channels, filters, kernel)
    exact = F.conv2d(x.double(), convolution.weight.double(), _double(convolution.bias), padding=kernel // 2)
    _assert_close(convolution(x), exact)


@pytest.mark.parametrize(("kernel", "dilation"), [(4, 1), (5, 2), (7, 3)])
def test_even_kernels_and_dilation_go_the_direct_way(kernel: int, dilation: int) -> None:
    x = torch.randn(1, 16, 33, 34, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    convolution = SameConv2d(16, 16, kernel, dilation)
    assert convolution(x).shape == x.shape


def test_the_input_may_go_without_a_gradient() -> None:
    x, weight, bias = _inputs((2, 3, 5, 5, 37, 50), torch.channels_last)
    x = x.detach()
    for convolution in (dft_conv2d, matrix_conv2d):
        out = convolution(x, weight, bias)
        (gradient,) = torch.autograd.grad(F.relu_(out).sum(), weight)
        assert gradient.shape == weight.shape


def test_mixed_precision_keeps_large_images_in_bfloat16() -> None:
    x = torch.randn(1, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(16, 16, 5, 5, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert conv2d_same(x, weight, None, 2, 1).dtype == torch.bfloat16


def test_weights_in_bfloat16_are_multiplied_in_bfloat16() -> None:
    x, weight, bias = (tensor.detach() for tensor in _inputs((2, 4, 6, 3, 4, 5), torch.channels_last))
    ours = matrix_conv2d(x, weight.bfloat16(), bias.bfloat16())
    assert ours.dtype == torch.bfloat16
    exact = F.conv2d(x, weight, bias, padding=1)
    assert (ours.float() - exact).abs().max() <= 2e-2 * exact.abs().max()


def _double(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.double()
