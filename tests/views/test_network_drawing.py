"""The U is drawn for networks of any depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet.config.schema import EncoderUNetConfig, FlexUNetConfig, ModelConfig, ResUNetConfig
from flexunet.nets import summarise
from flexunet.views import draw_network


@pytest.mark.parametrize(
    ("model", "bands"),
    [
        (FlexUNetConfig(base_filters=1, num_layers=2), 1),
        (FlexUNetConfig(num_layers=7), 3),
        (ResUNetConfig(), 13),
        (EncoderUNetConfig(), 4),
    ],
)
def test_every_colour_of_the_u_is_on_the_picture(tmp_path: Path, model: ModelConfig, bands: int) -> None:
    shape = (bands, 128, 192)
    path = tmp_path / "Bilder ü" / "u.png"
    draw_network(summarise(model, 2, shape, 1).stages, shape, path, "cost: $5 and $6")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
        assert min(picture.size) > 300
    arrows = {"blue": (27, 108, 168), "green": (46, 139, 87), "grey": (154, 165, 177)}
    for colour in arrows.values():
        assert (np.abs(pixels - colour).max(1) < 12).sum() > 50
