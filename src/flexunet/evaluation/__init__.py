"""Prediction against truth: scores, tables, pictures."""

from .evaluate import Evaluation, evaluate
from .fitting import calibrate_model, describe_calibration, fit_calibration
from .inputs import Job, evaluate_job, job_of, report_places
from .scene import SceneEvaluation, evaluate_scene, scene_table
from .scores import ImageScores
from .table import score_table

__all__ = [
    "Evaluation",
    "ImageScores",
    "Job",
    "SceneEvaluation",
    "calibrate_model",
    "describe_calibration",
    "evaluate",
    "evaluate_job",
    "evaluate_scene",
    "fit_calibration",
    "job_of",
    "report_places",
    "scene_table",
    "score_table",
]
