"""A rectangle of pixels: rows and columns of a picture or scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """`height` x `width` pixels whose first one is (`row`, `col`); rows count downwards, both from 0."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.row < 0 or self.col < 0:
            raise ValueError(f"a window cannot start at row {self.row}, column {self.col}")
        if self.height <= 0 or self.width <= 0:
            raise ValueError(f"a window of {self.height} x {self.width} pixels holds nothing")

    @property
    def rows(self) -> slice:
        """The rows as a slice."""
        return slice(self.row, self.row + self.height)

    @property
    def cols(self) -> slice:
        """The columns as a slice."""
        return slice(self.col, self.col + self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    def within(self, height: int, width: int) -> bool:
        """Whether a picture of `height` x `width` pixels holds the whole window."""
        return self.row + self.height <= height and self.col + self.width <= width

    def grown(self, halo: int, height: int, width: int) -> Window:
        """The window with `halo` more pixels a side, cut at the edges of a `height` x `width` picture."""
        top, left = max(self.row - halo, 0), max(self.col - halo, 0)
        bottom = min(self.row + self.height + halo, height)
        right = min(self.col + self.width + halo, width)
        return Window(top, left, bottom - top, right - left)
