"""What a model file says beside the weights."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..bands import Bands
from ..classes import Classes
from ..config.schema import ModelConfig, PredictConfig
from ..errors import ModelFileError
from ..nets import Scale
from .applicability import Applicability
from .inputs import InputRecord, scale_of, shared_inputs

RECORD_VERSION = 6

Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: dict[int, Migration] = {
    1: lambda raw: {**raw, "calibration": None},
    2: lambda raw: {**raw, "data": {**raw["data"], "ground_resolution": None}},
    3: lambda raw: {**raw, "members": []},
    4: lambda raw: {**raw, "applicability": None},
    5: lambda raw: {**raw, "data": {"masks": None, **raw["data"]}},
}
"""What turns a record of version n into one of version n + 1."""


def _versions() -> dict[str, str]:
    names = ("flexunet", "torch", "numpy", "safetensors")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Calibration(BaseModel):
    """What was fitted on held-out pictures after training, and what it changed there.

    Applied to the finished probabilities of a picture, after flips, tiles and resizing: p_k ** (1 /
    temperature), divided by their sum. Fitted on the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Above 1: the network was too sure of itself."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Two classes: the calibrated probability from which a pixel is foreground; None: the likelier class."""
    image_threshold: float | None = None
    """Two classes: mean of the highest hundredth of a picture's calibrated probabilities from which the
    picture is said to hold foreground; None where pictures with or without any were missing."""
    tta: bool = False
    """Whether it was fitted under the mean of eight flips and turns."""
    fitted_on: dict[str, Any] = Field(default_factory=dict)
    """Split, images, fingerprint, and negative log-likelihood, ECE and IoU before and after; JSON values."""


class ModelRecord(BaseModel):
    """Everything the weights do not say."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )

    version: int = RECORD_VERSION
    model: ModelConfig
    classes: Classes
    bands: Bands
    data: InputRecord
    predict: PredictConfig = PredictConfig()
    """Defaults of prediction; folders are not kept."""
    training: dict[str, Any] = Field(default_factory=dict)
    """How the weights came about: epochs, seed, loss and so on, JSON values."""
    calibration: Calibration | None = None
    """Temperature and threshold of prediction; None: the network's probabilities as they are."""
    applicability: Applicability | None = None
    """What tells pictures like those of training from others; of an ensemble the first member's; None: not
    known."""
    scores: dict[str, Any] = Field(default_factory=dict)
    """Scores by split, JSON values."""
    versions: dict[str, str] = Field(default_factory=_versions)
    """Software that wrote the file."""
    fingerprint: str | None = None
    """Of the training data."""
    created: str = Field(default_factory=_now)
    """Date and time in UTC, ISO 8601."""
    members: tuple[ModelRecord, ...] = ()
    """An ensemble: what each member's own file would say; `model`, `bands` and `data` are the first one's,
    but for the size: the largest of theirs."""

    @property
    def inputs(self) -> tuple[Bands, ...]:
        """How raw bands are normalised: once, or once for every different input of an ensemble's members."""
        return shared_inputs([member.bands for member in self.members])[0] if self.members else (self.bands,)

    @property
    def places(self) -> tuple[slice, ...]:
        """The channels of each member of an ensemble in the stacked inputs."""
        return shared_inputs([member.bands for member in self.members])[1]

    @property
    def scales(self) -> tuple[Scale, ...]:
        """How large each member of an ensemble sees what the ensemble's size shows."""
        return tuple(scale_of(member.data, self.data) for member in self.members)


def migrate(
    raw: dict[str, Any], migrations: Mapping[int, Migration] = MIGRATIONS, current: int = RECORD_VERSION
) -> dict[str, Any]:
    """A record of any earlier version in today's form.

    Raises:
        ModelFileError: the version is newer than `current`, or no version at all.
    """
    found = raw.get("version")
    if not isinstance(found, int) or found < 1:
        raise ModelFileError(f"the record has no valid version number (it says {found!r}).")
    if found > current:
        writer = raw.get("versions", {}).get("flexunet", "a newer one")
        raise ModelFileError(
            f"written by flexunet {writer} (record version {found}); this flexunet reads up to "
            f"version {current}. Upgrade with: pip install --upgrade flexunet"
        )
    for step in range(found, current):
        raw = {**migrations[step](raw), "version": step + 1}
    if raw.get("members"):
        raw = {**raw, "members": [migrate(member, migrations, current) for member in raw["members"]]}
    return raw


def parse_record(text: str | None) -> ModelRecord:
    """The record from its JSON text, whatever version wrote it.

    Raises:
        ModelFileError: no record, not JSON, of a newer version, or of a model that is not known here.
    """
    if text is None:
        raise ModelFileError(
            "a safetensors file, but not of flexunet: it has no record of classes, bands and architecture."
        )
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ModelFileError(f"the record is not valid JSON ({error}).") from error
    if not isinstance(raw, dict):
        raise ModelFileError("the record is not a JSON object.")
    try:
        return ModelRecord.model_validate_json(json.dumps(migrate(raw)))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ModelFileError(f"the record does not describe a model that is known here: {faults}") from error
