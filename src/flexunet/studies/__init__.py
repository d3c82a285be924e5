"""Many runs, one question: which settings are best (`tune`), what the score becomes elsewhere (`gap`)."""

from .tuning import Tuned, tune

__all__ = ["Tuned", "tune"]
