"""Training: the loop, losses, optimisers and schedules, the resumable state, the log."""

from .run import RunResult, train

__all__ = ["RunResult", "train"]
