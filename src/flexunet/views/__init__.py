"""Pictures people look at: curves, confusion matrices, overlays, contact sheets."""

from .confusion import draw_confusion
from .curves import draw_curves
from .gallery import Card, gallery
from .network_drawing import draw_network
from .pictures import display_rgb, outline, overlay

__all__ = [
    "Card",
    "display_rgb",
    "draw_confusion",
    "draw_curves",
    "draw_network",
    "gallery",
    "outline",
    "overlay",
]
