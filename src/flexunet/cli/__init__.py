"""The command line: one thin file a command."""

from .app import main

__all__ = ["main"]
