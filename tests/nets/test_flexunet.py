"""FlexUNet computes what the reference's network computes, whatever its arguments and the image's size."""

from __future__ import annotations

import math
import pickle
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, sampled_from
from torch import Tensor, nn

from flexunet.config.schema import Activation, FlexUNetConfig, ResUNetConfig
from flexunet.errors import ConfigError
from flexunet.nets import FlexUNet, ResUNet, build_network, probabilities
from reference_network import reference_logits


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Biases and batch norms that are not their initial values, so that forgetting one shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            values = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(values + 0.5 if name.endswith(("weight", "running_var")) else values - 0.5)
        elif tensor.ndim == 4:
            tensor.mul_(0.2)  # or `exponential` overflows
    return network.eval()


@settings(max_examples=40, deadline=None)
@given(
    channels=integers(1, 5),
    classes=integers(1, 4),
    levels=integers(2, 4),
    kernel=integers(1, 8),
    dilation=integers(1, 3),
    filters=integers(1, 3),
    norm=booleans(),
    activation=sampled_from(get_args(Activation)),
    height=integers(1, 20),
    width=integers(1, 20),
)
def test_the_network_is_the_one_of_the_specification(
    channels: int,
    classes: int,
    levels: int,
    kernel: int,
    dilation: int,
    filters: int,
    norm: bool,
    activation: Activation,
    height: int,
    width: int,
) -> None:
    network = randomise(
        FlexUNet(
            channels, classes, filters, (kernel, kernel), levels, 0.1, (dilation, dilation), norm, activation
        )
    ).double()
    images = torch.randn(2, channels, height, width, dtype=torch.float64)
    expected = reference_logits(images, network.state_dict(), levels, kernel, dilation, norm, activation)
    with torch.no_grad():
        logits = network(images)
    assert logits.shape == (2, classes, height, width)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_gradients_are_those_of_the_specification(activation: Activation) -> None:
    network = randomise(FlexUNet(2, 2, 2, (4, 4), 2, 0.0, (2, 2), True, activation)).double()
    images = torch.randn(1, 2, 6, 5, dtype=torch.float64)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    leaves = {name: weights[name].requires_grad_() for name, _ in network.named_parameters()}
    reference_logits(images, weights, 2, 4, 2, True, activation).square().sum().backward()  # type: ignore[no-untyped-call]
    network(images).square().sum().backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, leaves[name].grad, rtol=1e-8, atol=1e-8)


def test_the_published_bijie_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = FlexUNet(3, 2, 16, (11, 11), 8, 0.04)
    assert sum(parameter.numel() for parameter in network.parameters()) == 126_809_218


def test_the_published_pannuke_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = FlexUNet(3, 6, 16, (9, 9), 8, 0.05, (3, 3))
    assert sum(parameter.numel() for parameter in network.parameters()) == 124_996_934


def test_dropout_grows_with_the_level_and_is_the_same_on_both_sides() -> None:
    network = FlexUNet(3, 2, 2, 3, 4, 0.1)
    rates = [getattr(block.dropout, "p", 0.0) for block in (*network.encoder, *network.decoder)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.2, 0.1, 0])


def test_initial_weights_are_those_of_keras() -> None:
    torch.manual_seed(0)
    network = FlexUNet(3, 2, 32, 5, 3)
    conv = network.get_parameter("encoder.1.conv2.weight")
    std = math.sqrt(2 / (64 * 9))
    assert conv.std().item() == pytest.approx(std, rel=0.02)
    assert conv.abs().max().item() <= 2 * std / 0.8796 + 1e-6
    up = network.get_parameter("ups.0.weight")
    assert up.abs().max().item() == pytest.approx(math.sqrt(6 / (4 * 128 + 4 * 64)), rel=0.01)
    assert all(not p.any() for name, p in network.named_parameters() if name.endswith("bias"))


def test_of_two_different_kernel_numbers_the_last_counts() -> None:
    network = FlexUNet(1, 2, 1, (3, 7), 2)
    assert network.get_parameter("encoder.0.conv1.weight").shape[2:] == (7, 7)


def test_two_different_dilations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"dilation \(1, 2\)"):
        FlexUNet(1, 2, 1, 3, 2, dilation=(1, 2))


KERAS_VALUES: dict[str, tuple[float, float]] = {  # f(-1.5), f(0.7), from Keras 2.10
    "relu": (0.0, 0.7),
    "relu6": (0.0, 0.7),
    "leaky_relu": (-0.3, 0.7),
    "elu": (math.exp(-1.5) - 1, 0.7),
    "selu": (1.05070098 * 1.67326324 * (math.exp(-1.5) - 1), 1.05070098 * 0.7),
    "gelu": (-1.5 * 0.5 * math.erfc(1.5 / math.sqrt(2)), 0.7 * 0.5 * math.erfc(-0.7 / math.sqrt(2))),
    "swish": (-1.5 / (1 + math.exp(1.5)), 0.7 / (1 + math.exp(-0.7))),
    "silu": (-1.5 / (1 + math.exp(1.5)), 0.7 / (1 + math.exp(-0.7))),
    "mish": (-1.5 * math.tanh(math.log1p(math.exp(-1.5))), 0.7 * math.tanh(math.log1p(math.exp(0.7)))),
    "softplus": (math.log1p(math.exp(-1.5)), math.log1p(math.exp(0.7))),
    "softsign": (-0.6, 0.7 / 1.7),
    "tanh": (math.tanh(-1.5), math.tanh(0.7)),
    "sigmoid": (1 / (1 + math.exp(1.5)), 1 / (1 + math.exp(-0.7))),
    "hard_sigmoid": (0.2, 0.64),
    "exponential": (math.exp(-1.5), math.exp(0.7)),
    "linear": (-1.5, 0.7),
}


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_is_keras_own(name: Activation) -> None:
    from flexunet.nets.activations import activation_function

    result = activation_function(name)(torch.tensor([-1.5, 0.7]))
    assert result.tolist() == pytest.approx(KERAS_VALUES[name], abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(height=integers(1, 40), width=integers(1, 40), channels=integers(1, 4), batch=integers(1, 2))
def test_the_residual_network_takes_any_size_also_in_training(
    height: int, width: int, channels: int, batch: int
) -> None:
    network = ResUNet(channels, 3, (2, 3, 4, 5), (1, 2, 1), 0.2, "swish")
    logits = network(torch.randn(batch, channels, height, width))
    assert logits.shape == (batch, 3, height, width)
    assert torch.isfinite(logits).all()
    logits.sum().backward()


def test_neighbours_in_a_batch_do_not_change_a_prediction() -> None:
    images = torch.randn(3, 3, 33, 47)
    for network in (FlexUNet(3, 2, 4, 5, 3, 0.1, normalization=True), ResUNet(3, 2, (4, 6, 8), (1, 1))):
        with torch.no_grad():
            together = randomise(network)(images)
            alone = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@given(classes=integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_probabilities_sum_to_one(classes: int) -> None:
    logits = 30 * torch.randn(2, classes, 3, 4)
    result = probabilities(logits)
    assert result.shape == (2, max(2, classes), 3, 4)
    torch.testing.assert_close(result.sum(1), torch.ones(2, 3, 4))


@pytest.mark.parametrize("activation", get_args(Activation))
def test_networks_travel_to_other_processes(activation: Activation) -> None:
    images = torch.randn(1, 3, 8, 8)
    for network in (
        FlexUNet(3, 2, 2, 3, 2, activation=activation),
        ResUNet(3, 2, (2, 3), (1,), 0.1, activation),
    ):
        copy = pickle.loads(pickle.dumps(randomise(network)))
        with torch.no_grad():
            assert torch.equal(copy(images), network(images))


def test_one_logit_is_the_probability_of_the_second_class() -> None:
    result = probabilities(torch.tensor([[[[2.0]]]]))
    assert result.flatten().tolist() == pytest.approx([1 - 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-2))])


def test_a_config_builds_its_network() -> None:
    def outputs(network: nn.Module) -> int:
        image: Tensor = torch.zeros(1, 4, 16, 16)
        return int(network.eval()(image).shape[1])

    assert outputs(build_network(FlexUNetConfig(base_filters=2, num_layers=2), 4, 5)) == 5
    assert outputs(build_network(FlexUNetConfig(base_filters=2, num_layers=2, sigmoid=True), 4, 2)) == 1
    assert outputs(build_network(ResUNetConfig(widths=(4, 8), depths=(1,)), 4, 3)) == 3
    with pytest.raises(ConfigError, match="two classes, not 3"):
        build_network(FlexUNetConfig(sigmoid=True), 3, 3)
