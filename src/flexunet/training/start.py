"""Starting from a trained model: its network, its weights, and how it sees the bands."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..bands import Bands
from ..config import Config
from ..errors import ConfigError
from ..modelfile import load_model, read_record, require_bands, require_classes
from ..nets import EncoderUNet, colours_in_words, initial_network


def with_network_of_start(config: Config) -> Config:
    """`config` with the network of the model file that `train.start_from` names, if it names one.

    Raises:
        ModelFileError: the file cannot be used.
        ConfigError: it is an ensemble, or knows other classes.
    """
    path = config.train.start_from
    if path is None:
        return config
    record = read_record(path)
    if record.members:
        raise ConfigError(
            f"{path} is an ensemble of {len(record.members)}; training starts from one network: take a "
            f"member's file."
        )
    require_classes(str(path), record, config.data.class_table())
    return config.model_copy(update={"model": record.model})


def bands_of_start(path: Path | None, bands: Bands) -> Bands:
    """The bands of a run, normalised as the weights that it starts from know them.

    Raises:
        ConfigError: the model takes other bands.
    """
    if path is None:
        return bands
    record = read_record(path)
    require_bands(str(path), record, bands)
    return bands.model_copy(update={"mean": record.bands.mean, "std": record.bands.std})


def start_in_words(config: Config, bands: Bands) -> str | None:
    """Where the weights come from, if that is anything to be told."""
    if config.train.start_from is None:
        return colours_in_words(config.model, bands)
    start, network = config.train.start_from, config.model.architecture
    return f"Starts from the weights of {start}, and trains its network ({network})."


def first_network(config: Config, bands: Bands, device: torch.device) -> nn.Module:
    """The network with the weights that training starts from; the seed decides what is drawn of them."""
    torch.manual_seed(config.train.seed)
    network = _network_of(config, bands)
    # on CPUs the images' layout decides, and the optimiser would copy kernels that are channels last
    last = config.train.channels_last and device.type != "cpu"
    layout = torch.channels_last if last else torch.contiguous_format
    return network.to(device).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def _network_of(config: Config, bands: Bands) -> nn.Module:
    if config.train.start_from is None:
        return initial_network(config.model, bands, len(config.data.classes))
    network = load_model(config.train.start_from).network
    if isinstance(network, EncoderUNet):
        network.encoder_has_learned = True
    return network
