"""Pictures and scenes to classes: the predictor, tiles and blending, test-time augmentation, files."""

from .calibrate import calibrate, decide
from .locate import Located, config_of_run, locate_model
from .outputs import find_images
from .predict_files import FilesReport, predict_files
from .predictor import Prediction, Predictor

__all__ = [
    "FilesReport",
    "Located",
    "Prediction",
    "Predictor",
    "calibrate",
    "config_of_run",
    "decide",
    "find_images",
    "locate_model",
    "predict_files",
]
