"""The libraries of the extra `tune`, or one clear sentence about how to get them."""

from __future__ import annotations

from ..errors import MissingExtraError

try:
    import optuna
    import sqlalchemy
except ImportError as error:
    raise MissingExtraError(
        f'tuning needs {error.name}, which is not installed: pip install "flexunet[tune]"'
    ) from error

optuna.logging.set_verbosity(optuna.logging.WARNING)

__all__ = ["optuna", "sqlalchemy"]
