"""A model that the reference trained, as a model file of ours."""

from __future__ import annotations

from pathlib import Path

from ..bands import Bands
from ..config import Config, read_config
from ..errors import ModelFileError, OutputExistsError
from ..nets import KerasModel, build_network, load_keras_weights
from .inputs import InputRecord
from .record import ModelRecord
from .store import Model, save_model


def convert_keras_model(
    source: Path, config: Path, target: Path, *, overwrite: bool = False
) -> tuple[str, ...]:
    """Write the weights in `source` (Keras 2, HDF5) with all that `config` says about them to `target`.

    Returns what the user should know, one sentence each.

    Raises:
        OutputExistsError: `target` is there already.
        ConfigError: the config is not valid.
        ModelFileError: `source` cannot be read or is not the network of the config.
    """
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists already; --overwrite replaces it.")
    loaded = read_config(config)
    model, notes = model_from_keras(source, loaded.config)
    save_model(target, model.network, model.record)
    return (*loaded.notes, *notes)


def model_from_keras(path: Path, config: Config) -> tuple[Model, tuple[str, ...]]:
    """The network with the weights in `path`, its record, and notes on what the file knew better.

    Raises:
        ModelFileError: the file cannot be read or is not the network of the config.
    """
    data = config.data
    channels = data.channels or (len(data.bands) if data.bands else 3)
    classes = data.class_table()
    network = build_network(config.model, channels, len(classes)).eval()
    told = load_keras_weights(path, network)
    inputs = InputRecord.of(data)
    notes = []
    if told.input_hwc is not None and None not in told.input_hwc[:2] and told.input_hwc[:2] != data.size:
        notes.append(
            f"{path.name} was trained at {_size(told.input_hwc)}, the config says {_size(data.size)}: "
            "the file's size is kept."
        )
        inputs = inputs.model_copy(update={"size": told.input_hwc[:2]})
    record = ModelRecord(
        model=config.model,
        classes=classes,
        bands=_bands(path, config, channels, told),
        data=inputs,
        predict=config.predict,
        training={"source": path.name, "framework": f"Keras {told.keras_version}", "precision": "32"},
    )
    return Model(network, record), tuple(notes)


def _bands(path: Path, config: Config, channels: int, told: KerasModel) -> Bands:
    """Raw values divided by 255, or as they are: what the network did itself, done before it."""
    expected = "scale255" if told.divides_by_255 else "none"
    if config.data.normalisation != expected:
        does = "divides" if told.divides_by_255 else "does not divide"
        raise ModelFileError(
            f"{path}: its network {does} the input by 255, "
            f"but the config says otherwise. Set input_normalize = {told.divides_by_255} in [model] "
            f'(native: data.normalisation = "{expected}").'
        )
    names = config.data.band_names or (
        ("red", "green", "blue")
        if channels == 3
        else tuple(f"band_{number}" for number in range(1, channels + 1))
    )
    scale = 255.0 if told.divides_by_255 else 1.0
    return Bands(
        names=names, dtype="uint8", mean=(0.0,) * channels, std=(scale,) * channels, nodata=config.data.nodata
    )


def _size(size: tuple[int | None, ...]) -> str:
    return f"{size[0]} x {size[1]}"
