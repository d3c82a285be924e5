"""Raw material to a dataset folder: pairs, groups, an honest split, a manifest."""

from .dataset import Prepared, prepare

__all__ = ["Prepared", "prepare"]
