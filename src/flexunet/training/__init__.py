"""Training: the loop, losses, optimisers and schedules, the resumable state, the log."""

from .gathering import Ensemble
from .members import planned, train_members
from .resume import read_run
from .run import RunResult, train

__all__ = ["Ensemble", "RunResult", "planned", "read_run", "train", "train_members"]
