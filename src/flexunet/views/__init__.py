"""Pictures people look at: curves, confusion matrices, overlays, contact sheets, maps."""

from .confusion import draw_confusion
from .curves import draw_curves
from .gallery import Card, gallery
from .html_map import write_html_map
from .network_drawing import draw_network
from .pictures import display_rgb, outline, overlay, write_note
from .scene_pictures import draw_error_map, draw_scene_overlay, draw_with_legend, scene_picture

__all__ = [
    "Card",
    "display_rgb",
    "draw_confusion",
    "draw_curves",
    "draw_error_map",
    "draw_network",
    "draw_scene_overlay",
    "draw_with_legend",
    "gallery",
    "outline",
    "overlay",
    "scene_picture",
    "write_html_map",
    "write_note",
]
