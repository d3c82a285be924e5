"""Scenes of any size as a stream: a raster in, a class map and what belongs to it out."""

from ...raster.names import is_address
from .batch import ScenesReport, check_outputs, predict_scenes
from .files import SceneFiles, refuse_existing
from .job import SceneJob, plan_scene
from .journal import Workbench, forget_work, only_products_missing, open_workbench
from .memory import parse_bytes
from .options import Products, SceneOptions, SceneResult
from .products import make_products, products_cache
from .run import (
    compute_missing,
    compute_parts,
    finish_scene,
    predict_scene,
    results_of,
)
from .sources import find_sources, is_scene

__all__ = [
    "Products",
    "SceneFiles",
    "SceneJob",
    "SceneOptions",
    "SceneResult",
    "ScenesReport",
    "Workbench",
    "check_outputs",
    "compute_missing",
    "compute_parts",
    "find_sources",
    "finish_scene",
    "forget_work",
    "is_address",
    "is_scene",
    "make_products",
    "only_products_missing",
    "open_workbench",
    "parse_bytes",
    "plan_scene",
    "predict_scene",
    "predict_scenes",
    "products_cache",
    "refuse_existing",
    "results_of",
]
