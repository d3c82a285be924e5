"""The reference's dialect, `train_eval_infer.config`: read with the meaning its author intended."""

from .translate import read_reference

__all__ = ["read_reference"]
