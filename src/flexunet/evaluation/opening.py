"""A split, opened for a model: decoded as its own input was, at full size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..config.schema import DataConfig
from ..data import Store, open_store
from ..errors import DataError
from ..modelfile import ModelRecord
from ..prediction.pictures import check_fit

Split = Literal["train", "valid", "test"]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, the images done and their number."""


def open_split(record: ModelRecord, data: DataConfig, split: Split, tell: Progress) -> Store:
    """The split's images and masks for this model.

    Raises:
        DataError: other classes or bands than the model's, or files that cannot be used.
    """
    ours, theirs = record.classes, data.class_table()
    if len(ours) != len(theirs):
        raise DataError(
            f"the model knows {len(ours)} classes ({', '.join(ours.names)}), the data have {len(theirs)} "
            f"({', '.join(theirs.names)}). Give data.classes as in training."
        )
    store = open_store(as_read_by(record, data), split, full_size=True, progress=tell)
    check_fit(store.image(0), record, "the data")
    return store


def as_read_by(record: ModelRecord, data: DataConfig) -> DataConfig:
    """The same data, with pictures read as the model's own were."""
    seen = ("bands", "channels", "nodata", "alpha", "exif_orientation")
    return data.model_copy(update={name: getattr(record.data, name) for name in seen})
