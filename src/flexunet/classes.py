"""Class names, indices, colours and the ignore index."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

IGNORE_INDEX = 255
"""The label of pixels that count neither in the loss nor in any score."""

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]


class Classes(BaseModel):
    """The ordered classes of a model; the position of a class is its label.

    Class 0 is the background unless `background` is None, in which case every class is foreground.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    background: int | None = 0

    @model_validator(mode="after")
    def _consistent(self) -> Classes:
        if not 2 <= len(self.names) <= IGNORE_INDEX:
            raise ValueError(f"{len(self.names)} classes given; 2 to {IGNORE_INDEX} are possible")
        if len(self.colours) != len(self.names):
            raise ValueError(f"{len(self.names)} class names but {len(self.colours)} colours")
        for what, values in (("name", self.names), ("colour", self.colours)):
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"the class {what} {twice[0]!r} is given twice")
        if self.background is not None and not 0 <= self.background < len(self.names):
            raise ValueError(f"background {self.background} is not one of the {len(self.names)} classes")
        return self

    def __len__(self) -> int:
        return len(self.names)

    @property
    def foreground(self) -> tuple[int, ...]:
        """Labels of all classes but the background."""
        return tuple(index for index in range(len(self.names)) if index != self.background)


def palette_colour(index: int) -> Colour:
    """Colour `index` of the Pascal VOC palette: each bit of the index sets a high bit of one channel."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]
