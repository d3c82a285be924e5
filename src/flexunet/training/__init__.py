"""Training: the loop, losses, optimisers and schedules, the resumable state, the log."""

from .members import Ensemble, train_members
from .run import RunResult, train

__all__ = ["Ensemble", "RunResult", "train", "train_members"]
