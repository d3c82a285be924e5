"""Optimisers decay kernels only; clipping and the moving average do what their formulas say."""

import pytest
import torch
from torch import nn

from flexunet.bands import Bands
from flexunet.config import EncoderUNetConfig, TrainConfig
from flexunet.nets import initial_network, learned_parameters
from flexunet.training.optim import MovingAverage, OptimizerStep, build_optimizer, clip_gradients


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_biases_and_norms_never_decay(name: str) -> None:
    net = network()
    train = TrainConfig.model_validate(
        {"optimizer": name, "learning_rate": 0.1, "weight_decay": 0.5, "momentum": 0.0}
    )
    optimizer = build_optimizer(net, train)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter, old in zip(net.parameters(), before, strict=True):
        shrinks = parameter.ndim > 1 and name != "adam"
        assert torch.allclose(parameter, old * (1 - 0.1 * 0.5) if shrinks else old)


def test_weights_that_have_learned_before_get_their_own_rate() -> None:
    bands = Bands(names=("r", "g", "b"), mean=(0.0,) * 3, std=(1.0,) * 3)
    net = initial_network(EncoderUNetConfig(decoder_widths=(4,)), bands, 2)
    groups = build_optimizer(net, TrainConfig(encoder_rate=0.25)).param_groups
    assert [(group["rate_factor"], group["weight_decay"]) for group in groups] == [
        (1.0, 0.01), (1.0, 0.0), (0.25, 0.01), (0.25, 0.0),
    ]  # fmt: skip
    learned = {id(parameter) for parameter in learned_parameters(net)}
    assert {id(parameter) for group in groups[2:] for parameter in group["params"]} == learned
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))


def test_gradients_are_clipped_by_value_and_then_by_norm() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([9.0, -0.3])
    clip_gradients([parameter], 0.4, None)
    assert parameter.grad.tolist() == pytest.approx([0.4, -0.3])
    clip_gradients([parameter], 0.4, 0.25)
    assert parameter.grad.tolist() == pytest.approx([0.2, -0.15], rel=1e-4)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_step_inside_the_backward_pass_is_the_step_after_it(name: str) -> None:
    train = TrainConfig.model_validate({"optimizer": name, "clip_value": 0.01, "clip_norm": None})
    images = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    weights = []
    for inside in (True, False):
        net = network()
        step = OptimizerStep(build_optimizer(net, train), train, gradients_final=inside)
        assert step.inside_backward == inside
        for _ in range(3):
            net(images).square().mean().backward()
            assert all((parameter.grad is None) == inside for parameter in net.parameters())
            step.finish()
        assert all(parameter.grad is None for parameter in net.parameters())
        weights.append(net.state_dict())
    for mine, theirs in zip(weights[0].values(), weights[1].values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("needs_all", [{"clip_norm": 1.0}, {"clip_norm": None, "accumulate": 2}])
def test_what_needs_all_gradients_waits_for_them(needs_all: dict[str, object]) -> None:
    train = TrainConfig.model_validate(needs_all)
    assert not OptimizerStep(build_optimizer(network(), train), train, gradients_final=True).inside_backward


def test_the_average_follows_weights_and_norm_statistics_with_a_warm_start() -> None:
    net = network()
    average = MovingAverage(net, 0.9)
    theirs, ours = net.state_dict(), average.network.state_dict()
    start = theirs["0.weight"].clone()
    theirs["0.weight"] += 1
    theirs["1.running_mean"] += 5
    theirs["1.num_batches_tracked"] += 3
    average.update(1)
    decay = 2 / 11
    assert torch.allclose(ours["0.weight"], start + 1 - decay)
    assert torch.allclose(ours["1.running_mean"], torch.full((3,), 5 * (1 - decay)))
    assert int(ours["1.num_batches_tracked"]) == 3
    average.update(100_000)
    assert torch.allclose(ours["0.weight"], start + 1 - 0.9 * decay)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
