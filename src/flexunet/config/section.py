"""What every section of a config has in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .draft import KeyPath

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Contradiction:
    """Values that fit by themselves and not together."""

    keys: tuple[KeyPath, ...]
    """Where they stand, counted from the section; the one to blame first."""
    what: str
    """What is wrong, as a sentence without its full stop."""


CONTRADICTION = "contradiction"
"""Type of the validation error; its context lists them all under `found`."""


class Section(BaseModel):
    """Frozen, unknown keys are errors, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def contradictions(self) -> Iterator[Contradiction]:
        """Everything in the section that does not fit together."""
        yield from ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = tuple(self.contradictions())
        if found:
            text = "; ".join(item.what for item in found)
            raise PydanticCustomError(CONTRADICTION, "{text}", {"text": text, "found": found})
        return self
