"""A network that sees its images at another size than its caller has them."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Scale = tuple[float, float]
"""Height and width as a network sees them, over those of the images."""
AS_IT_IS: Scale = (1.0, 1.0)


def seen_at(scale: Scale, call: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What `call` makes of images (B, C, H, W) that it sees `scale` times as large, at their own size.

    By area where pixels become fewer, as pictures are brought to the size of training; bilinear where they
    become more. `call` gives planes (B, K, h, w) of the size it is given.
    """
    if scale == AS_IT_IS:
        return call(images)
    height, width = images.shape[-2:]
    size = (max(1, round(height * scale[0])), max(1, round(width * scale[1])))
    fewer = size[0] <= height and size[1] <= width
    seen = F.interpolate(images, size=size, mode="area" if fewer else "bilinear")
    return F.interpolate(call(seen), size=(height, width), mode="bilinear")
