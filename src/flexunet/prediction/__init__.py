"""Pictures and scenes to classes: the predictor, tiles and blending, test-time augmentation, files."""

from .applicability import FAR, Familiar
from .calibrate import calibrate, decide
from .locate import Located, config_of_run, locate_model
from .one_picture import Prediction
from .outputs import find_images
from .predict_files import FilesReport, predict_files
from .predictor import Predictor
from .unsure import Unsure

__all__ = [
    "FAR",
    "Familiar",
    "FilesReport",
    "Located",
    "Prediction",
    "Predictor",
    "Unsure",
    "calibrate",
    "config_of_run",
    "decide",
    "find_images",
    "locate_model",
    "predict_files",
]
