"""Any convolutional classifier of timm as an encoder, where the user has a timm that works."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError, MissingExtraError

PREFIX = "timm:"
"""What an encoder's name begins with in a config: `timm:resnet34`."""


class TimmEncoder(nn.Module):
    """Images (B, C, H, W) to `levels` feature maps (B, K, h, w), largest first; `widths` are their K.

    A model file with such an encoder needs timm to be loaded, but never downloads anything.
    """

    def __init__(self, name: str, in_channels: int, levels: int) -> None:
        """The encoder with random weights.

        Raises:
            MissingExtraError: no timm, or one that does not work.
            ConfigError: no such classifier, or one with fewer feature maps.
        """
        super().__init__()
        self.timm = _features(name, in_channels, levels)
        self.widths: list[int] = list(self.timm.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """The feature maps, largest first."""
        return list(self.timm(images))


def learned_classifier(name: str, levels: int) -> tuple[dict[str, Tensor], tuple[Any, Any]]:
    """Weights of a three-band `TimmEncoder`, and mean and deviation (3,) it expects, 0 to 1.

    timm takes the weights from its cache, or downloads them.

    Raises:
        MissingExtraError, ConfigError: as `TimmEncoder`; also where the weights cannot be had.
    """
    try:
        model = _features(name, 3, levels, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f'model.encoder = "{name}": timm could not get its weights ({error}). Connect to the internet '
            f'once, or start from random weights with model.weights = "random".'
        ) from error
    expected = model.pretrained_cfg
    weights = {f"timm.{key}": value for key, value in model.state_dict().items()}
    return weights, (expected["mean"], expected["std"])


def first_kernel(name: str, levels: int) -> str:
    """The name of the weights that see the image: those whose shape hangs on the number of bands."""
    with torch.device("meta"):
        three, four = (_features(name, bands, levels).state_dict() for bands in (3, 4))
    (found,) = (key for key, value in three.items() if value.shape != four[key].shape)
    return f"timm.{found}"


def _features(name: str, in_channels: int, levels: int, *, pretrained: bool = False) -> Any:
    timm = import_timm()
    plain = name.removeprefix(PREFIX)
    if not timm.is_model(plain.split(".")[0]):
        near = difflib.get_close_matches(plain, timm.list_models(), 1)
        meant = f'Did you mean "{PREFIX}{near[0]}"?' if near else "timm.list_models() has the names."
        raise ConfigError(f'model.encoder = "{name}": timm knows no such classifier. {meant}')
    try:
        with torch.device("meta"):
            maps = len(timm.create_model(plain, features_only=True).feature_info.channels())
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ConfigError(
            f'model.encoder = "{name}": timm gives no feature maps of it ({error}). Take a convolutional '
            f"classifier, such as {PREFIX}resnet18."
        ) from error
    if maps < levels:
        raise ConfigError(
            f'model.encoder = "{name}" has {maps} feature maps: give {maps - 1} model.decoder_widths, not '
            f"{levels - 1}."
        )
    return timm.create_model(
        plain,
        pretrained=pretrained,
        features_only=True,
        in_chans=in_channels,
        out_indices=tuple(range(levels)),
    )


def import_timm() -> Any:
    """The package.

    Raises:
        MissingExtraError: there is none, or one that does not work.
    """
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name == "timm":
            raise MissingExtraError(
                "Encoders of timm need timm, which brings torchvision: pip install timm. The encoders "
                "efficientnet_lite0 to efficientnet_lite2 need neither."
            ) from error
        raise _broken(error) from error
    except (ImportError, RuntimeError, OSError) as error:  # torchvision of another torch
        raise _broken(error) from error


def _broken(error: Exception) -> MissingExtraError:
    return MissingExtraError(
        f"timm is installed but does not work here ({error}). It needs the torchvision that belongs to torch "
        f"{torch.__version__}: pip install --upgrade timm torchvision. The encoders efficientnet_lite0 to "
        f"efficientnet_lite2 need neither."
    )
