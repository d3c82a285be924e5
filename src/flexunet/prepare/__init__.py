"""Raw material to a dataset folder: pairs, groups, an honest split, a manifest."""

from .dataset import Prepared, prepare
from .manifest import read_manifest_options
from .options import LAYOUTS, Options

__all__ = ["LAYOUTS", "Options", "Prepared", "prepare", "read_manifest_options"]
