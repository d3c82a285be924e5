"""An ensemble as a model file like any other: its members inside, the mean of their probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import ConfigError
from ..nets import EnsembleNetwork
from .agreement import check_agreement
from .inputs import shared_size
from .record import Calibration, ModelRecord
from .store import Model, load_model, save_model


def save_ensemble(
    path: Path,
    models: Sequence[Path],
    scores: dict[str, Any] | None = None,
    calibration: Calibration | None = None,
) -> ModelRecord:
    """Write the models as one file; members that are ensembles themselves are taken apart.

    Settings of prediction are those of the first one; the size is the largest, at which each member sees
    pictures as large as in its training. No member's calibration is applied, for none was fitted on the mean.
    scores: by split, for the record. calibration: of the mean.

    Raises:
        ConfigError: no model, or models that disagree about classes or bands.
        ModelFileError: a model file cannot be used.
    """
    if not models:
        raise ConfigError("an ensemble needs at least one model.")
    loaded = [load_model(model) for model in models]
    check_agreement([model.record for model in loaded], [str(model) for model in models])
    ensemble = combine(loaded)
    record = ensemble.record.model_copy(update={"scores": scores or {}, "calibration": calibration})
    save_model(path, ensemble.network, record)
    return record


def combine(models: Sequence[Model]) -> Model:
    """Models that agree (see `check_agreement`) as one; each counts as much as it has members."""
    networks: list[nn.Module] = []
    records: list[ModelRecord] = []
    for model in models:
        if isinstance(model.network, EnsembleNetwork):
            networks += list(model.network.members)
            records += model.record.members
        else:
            networks.append(model.network)
            records.append(model.record)
    first = records[0]
    record = ModelRecord(
        model=first.model,
        classes=first.classes,
        bands=first.bands,
        data=first.data.model_copy(update={"size": shared_size([item.data for item in records])}),
        predict=first.predict,
        applicability=first.applicability,
        training={"members": len(records), "precision": _precision(records)},
        fingerprint=first.fingerprint if len({item.fingerprint for item in records}) == 1 else None,
        members=tuple(records),
    )
    return Model(EnsembleNetwork(networks, record.places, record.scales).eval(), record)


def _precision(records: Sequence[ModelRecord]) -> Any:
    """32 where any member was trained so: it is not to be rounded harder than it is used to."""
    found = [record.training.get("precision") for record in records]
    return "32" if "32" in found else found[0]
