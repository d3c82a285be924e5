"""A depthwise convolution's gradients are the same sums whichever way they are computed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from flexunet.nets.depthwise import DepthwiseConv2d, grad_of_input, grad_of_weight


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (9, 5), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_both_gradients_are_those_of_autograd(kernel: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, weight, None, stride, kernel // 2, groups=4)
    grad = torch.randn_like(y)
    y.backward(grad)  # type: ignore[no-untyped-call]
    x_data, weight_data = x.detach(), weight.detach()
    assert x.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(grad_of_input(grad, x_data, weight_data, stride), x.grad)
    torch.testing.assert_close(grad_of_weight(grad, x_data, weight_data, stride), weight.grad)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 1), (5, 2)])
def test_a_layer_under_mixed_precision_is_as_exact_as_bf16_allows(kernel: int, stride: int) -> None:
    torch.manual_seed(4)
    layer = DepthwiseConv2d(16, kernel, stride).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, 16, 17, 18).to(memory_format=torch.channels_last)
    grads = []
    for mixed in (False, True):
        layer.zero_grad()
        images = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            y = layer(images)
        assert y.dtype == (torch.bfloat16 if mixed else torch.float32)
        y.float().square().sum().backward()
        assert images.grad is not None
        assert layer.weight.grad is not None
        assert layer.weight.grad.dtype == torch.float32
        grads.append((images.grad, layer.weight.grad))
    for exact, mixed_grad in zip(*grads, strict=True):
        assert (exact - mixed_grad).abs().max() < 0.02 * exact.abs().max()
