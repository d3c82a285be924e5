"""Pictures and scenes to classes: the predictor, tiles and blending, test-time augmentation."""

from .predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]
