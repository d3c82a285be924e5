"""The layer table tells the truth: sizes, parameters, arithmetic, and how far a pixel sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flexunet.config.schema import EncoderUNetConfig, FlexUNetConfig, ModelConfig, ResUNetConfig
from flexunet.nets import FlexUNet, ResUNet, build_network, layer_table, memory_estimate, stages, summarise

BIJIE = FlexUNetConfig(base_filters=16, base_kernels=(11, 11), num_layers=8, dropout_rate=0.04)
FLEX = FlexUNetConfig(base_filters=4, base_kernels=(5, 5), num_layers=3, dilation=(2, 2), normalization=True)
RES = ResUNetConfig(widths=(4, 6, 8), depths=(2, 1))
ENCODER = EncoderUNetConfig(decoder_widths=(8, 6, 4))


def test_the_published_network_has_the_published_numbers() -> None:
    summary = summarise(BIJIE, 2, (3, 512, 512), 2)
    assert summary.parameters == 126_809_218
    assert round(summary.flops / 1e9) == 182
    assert summary.layers[-1].output_chw == (2, 512, 512)


@pytest.mark.parametrize("model", [FLEX, RES, ENCODER])
def test_sums_agree_with_pytorchs_own_counting(model: ModelConfig) -> None:
    network = build_network(model, 5, 3)
    rows = layer_table(network, (5, 48, 64))
    assert sum(row.parameters for row in rows) == sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 5, 48, 64))
    assert sum(row.flops for row in rows) == counter.get_total_flops()


def test_asking_changes_nothing() -> None:
    network = build_network(RES, 3, 2).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layer_table(network, (3, 33, 47))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def widest_view(network: nn.Module, length: int) -> int:
    """Most input columns that change one output column; all weights are positive, so nothing cancels."""
    for name, tensor in network.double().eval().state_dict().items():
        if tensor.is_floating_point() and "running_mean" not in name:
            tensor.fill_(1.0)
    still = torch.ones(1, 1, 16, length, dtype=torch.float64)
    disturbed = still + 1e6 * torch.eye(length, dtype=torch.float64)[:, None, None]  # one column an image
    with torch.no_grad():
        changed = network(disturbed)[:, 0, 8] > network(still)[:, 0, 8] * (1 + 1e-12)
    return int(changed.sum(0).max())


@pytest.mark.parametrize(
    "make",
    [
        lambda: FlexUNet(1, 1, 1, 3, 2),
        lambda: FlexUNet(1, 1, 1, 5, 3),
        lambda: FlexUNet(1, 1, 1, 4, 2, normalization=True),
        lambda: ResUNet(1, 1, (1, 1), (1,)),
        lambda: ResUNet(1, 1, (1, 1), (2,)),
    ],
)
def test_the_receptive_field_is_what_an_output_pixel_really_sees(make: Callable[[], nn.Module]) -> None:
    network = make()
    claimed = layer_table(network, (1, 128, 128))[-1].receptive_field
    measured = widest_view(network, 2 * claimed // 16 * 16 + 32)
    assert measured == claimed


def test_a_dilated_kernel_sees_no_more_than_is_said() -> None:
    network = FlexUNet(1, 1, 1, 3, 2, dilation=3)
    claimed = layer_table(network, (1, 64, 64))[-1].receptive_field
    # its gaps can leave the outermost pixel of a 2x2 cell unseen
    assert claimed - 1 <= widest_view(network, 112) <= claimed


def test_stages_are_the_blocks_of_the_u() -> None:
    found = stages(layer_table(build_network(FLEX, 3, 2), (3, 64, 32)))
    assert [stage.side for stage in found] == ["down", "down", "bridge", "up", "up", "head"]
    assert [stage.output_chw for stage in found] == [
        (4, 64, 32), (8, 32, 16), (16, 16, 8), (8, 32, 16), (4, 64, 32), (2, 64, 32),
    ]  # fmt: skip
    assert found[0].kernel == "5x5 dilation 2"
    assert [stage.convolutions for stage in found] == [2, 2, 2, 2, 2, 1]
    rows = stages(layer_table(build_network(RES, 3, 2), (3, 64, 64)))
    assert [stage.convolutions for stage in rows] == [1, 4, 2, 2, 2, 1]
    rows = stages(layer_table(build_network(ENCODER, 3, 2), (3, 64, 64)))
    assert [stage.output_chw[0] for stage in rows] == [16, 24, 40, 112, 8, 6, 4, 2]
    assert [stage.side for stage in rows] == ["down"] * 3 + ["bridge"] + ["up"] * 3 + ["head"]


def test_memory_grows_with_the_batch_but_not_the_weights() -> None:
    one, four = (memory_estimate(FLEX, 2, (3, 64, 64), batch) for batch in (1, 4))
    assert one.weights == four.weights
    maps_one, maps_four = (estimate.training - 4 * estimate.weights for estimate in (one, four))
    assert maps_four == pytest.approx(4 * maps_one, rel=0.1)
    assert one.prediction < one.training


def test_memory_holds_at_least_what_the_backward_pass_keeps() -> None:
    network = build_network(FLEX, 3, 2).train()
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network(torch.zeros(2, 3, 64, 64)).sum()
    estimate = memory_estimate(FLEX, 2, (3, 64, 64), 2)
    assert sum(kept.values()) < estimate.training < 4 * (sum(kept.values()) + 4 * estimate.weights)
    assert loss.requires_grad
