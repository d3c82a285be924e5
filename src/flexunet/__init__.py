"""Pictures and masks in, honest segmentation models and maps out."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` alone costs more than all the rest of this import
if TYPE_CHECKING:
    from .config import Config as Config
    from .config import load_config as load_config
    from .errors import FlexunetError as FlexunetError
    from .evaluation import evaluate as evaluate
    from .nets import FlexUNet as FlexUNet
    from .prediction import Predictor as Predictor
    from .training import train as train

__version__ = "0.1.0"
__all__ = ["Config", "FlexUNet", "FlexunetError", "Predictor", "evaluate", "load_config", "train"]

_ROOMS = {
    "Config": ".config",
    "load_config": ".config",
    "FlexunetError": ".errors",
    "evaluate": ".evaluation",
    "FlexUNet": ".nets",
    "Predictor": ".prediction",
    "train": ".training",
}


def __getattr__(name: str) -> object:
    """Public names are imported when first asked for, so that `import flexunet` stays instant."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'flexunet' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
