"""Prediction against truth: scores, tables, pictures."""

from .evaluate import Evaluation, evaluate
from .inputs import Job, evaluate_job, job_of
from .scores import ImageScores
from .table import score_table

__all__ = ["Evaluation", "ImageScores", "Job", "evaluate", "evaluate_job", "job_of", "score_table"]
