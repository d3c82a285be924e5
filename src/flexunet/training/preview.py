"""A contact sheet of training samples, as the network will see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from ..bands import Bands
from ..config import Config
from ..data import band_statistics, open_store
from ..errors import OutputExistsError
from ..views import Card, display_rgb, gallery
from .material import build_loaders


def preview(config: Config, out: Path, *, count: int = 24, epoch: int = 0, overwrite: bool = False) -> int:
    """Draw the first `count` samples of an epoch, with the outlines of their masks, into the PNG `out`.

    The very samples that training with this config and seed begins with; returns how many were drawn.

    Raises:
        DataError: the training split cannot be used.
        OutputExistsError: `out` is there and `overwrite` is False.
    """
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} is there already. Use --overwrite, or another file with --out.")
    store = open_store(config.data, "train")
    bands = band_statistics(store, config.data)
    fabric = Fabric(accelerator="cpu", devices=1)
    batches, _ = build_loaders(config, bands, store, None, fabric)
    cards: list[Card] = []
    for batch in batches.epoch(epoch):
        for image, labels, name in zip(batch.images.numpy(), batch.labels.numpy(), batch.ids, strict=True):
            if len(cards) < count:
                rgb = display_rgb(_raw(image, bands), band_names=bands.names)
                cards.append(Card(rgb, labels.astype(np.uint8), None, name))
        if len(cards) >= count:
            break
    height, width = config.data.size
    kind = "augmented" if config.augment.enabled else "not augmented"
    title = f"epoch {epoch}: {len(cards)} samples of {height} x {width} as the network sees them, {kind}"
    gallery(cards, config.data.class_table(), out, title=title, columns=4, panel_px=200)
    return len(cards)


def _raw(image: NDArray[np.float32], bands: Bands) -> NDArray[np.uint8] | NDArray[np.float32]:
    """A normalised image (C, H, W) in the values of its files; uint8 where these were."""
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (bands.mean, bands.std))
    raw = image * std + mean
    return raw.clip(0, 255).round().astype(np.uint8) if bands.dtype == "uint8" else raw.astype(np.float32)
