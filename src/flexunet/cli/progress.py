"""What the commands show of long work: see `flexunet.progress`."""

from ..progress import show_progress

__all__ = ["show_progress"]
