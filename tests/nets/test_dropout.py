"""ReLU and dropout in one pass are ReLU, then dropout."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from flexunet.nets import FlexUNet
from flexunet.nets.dropout import relu_dropout_


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
def test_values_and_gradients_are_those_of_both_in_turn(
    layout: torch.memory_format, kind: torch.dtype
) -> None:
    source = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(0)).to(kind)
    source = source.contiguous(memory_format=layout).requires_grad_()
    towards = torch.randn(source.shape, generator=torch.Generator().manual_seed(1)).to(kind)
    torch.manual_seed(5)
    ours = relu_dropout_(source * 1, 0.3)
    torch.manual_seed(5)
    theirs = F.dropout(F.relu(source), 0.3)
    assert torch.equal(ours, theirs)
    (our_gradient,) = torch.autograd.grad(ours, source, towards)
    (their_gradient,) = torch.autograd.grad(theirs, source, towards)
    tolerance = 1e-6 if kind == torch.float32 else 1e-2
    assert torch.allclose(our_gradient, their_gradient, rtol=tolerance, atol=0)


def test_the_network_drops_out_in_training_only() -> None:
    torch.manual_seed(0)
    network = FlexUNet(3, 2, base_filters=4, num_layers=3, dropout_rate=0.2)
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
