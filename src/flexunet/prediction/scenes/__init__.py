"""Scenes of any size as a stream: a raster in, a class map and what belongs to it out."""

from .job import SceneJob, plan_scene
from .journal import Workbench, open_workbench
from .options import SceneOptions, SceneResult
from .run import compute_missing, compute_parts, finish_scene, predict_scene, refuse_existing, result_files

__all__ = [
    "SceneJob",
    "SceneOptions",
    "SceneResult",
    "Workbench",
    "compute_missing",
    "compute_parts",
    "finish_scene",
    "open_workbench",
    "plan_scene",
    "predict_scene",
    "refuse_existing",
    "result_files",
]
