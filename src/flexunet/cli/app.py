"""The `flexunet` command: known faults in one line, proper exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import FlexunetError
from .exit_codes import BAD_INPUT, INTERRUPTED


class _Commands(TyperGroup):
    """The commands; Typer would turn an interruption into "Aborted!" and exit code 1 before we see it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            print(str(error) or "Interrupted.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=_Commands,
    name="flexunet",
    help="Pictures and masks in, honest segmentation models and maps out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Pictures and masks in, honest segmentation models and maps out."""


def main() -> None:
    """Entry point: runs a command and turns what goes wrong into one message and an exit code."""
    # PyTorch reads it before its first tensor: huge pages make fresh memory three times cheaper (Linux)
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # NumPy reads it when it is loaded: rooms bring their own threads, BLAS's would wait busily beside them
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if not debug:
        warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except FlexunetError as error:
        if debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except OSError as error:
        if debug:
            raise
        print(f"Error: {_system_fault(error)}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (MemoryError, RuntimeError) as error:
        if debug or not _is_out_of_memory(error):
            raise
        print(f"Error: {_memory_fault(error)}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def _system_fault(error: OSError) -> str:
    """What the system refused: the file, where it names one, the reason, and the cure of a full disk."""
    reason = str(error.strerror or error)
    text = f"{error.filename}: {reason}" if error.filename else reason
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        text += ". A file lies where a folder is needed; name another folder."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += ". Free some space or write to another disk; what was there before is untouched."
    return text


def _is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether Python, or PyTorch for a CPU or a GPU, found no memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def _memory_fault(error: MemoryError | RuntimeError) -> str:
    reason = (str(error).splitlines() or ["no reason is told"])[0]
    return (
        f"the memory does not suffice ({reason}). Take smaller batches (train.batch_size, --batch-size), "
        f"pictures (data.size) or tiles (--tile)."
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does: half-written files are removed."""
    raise KeyboardInterrupt


def _register() -> None:
    """Adds every command; what they need beyond the standard library is imported when they run."""
    from . import (
        check,
        convert,
        demo,
        distill,
        ensemble,
        evaluate,
        fetch,
        gap,
        init,
        inspect,
        predict,
        prepare,
        preview,
        report,
        stats,
        train,
        tune,
    )

    check.register(app)
    convert.register(app)
    demo.register(app)
    distill.register(app)
    ensemble.register(app)
    evaluate.register(app)
    fetch.register(app)
    gap.register(app)
    init.register(app)
    inspect.register(app)
    predict.register(app)
    prepare.register(app)
    preview.register(app)
    report.register(app)
    stats.register(app)
    train.register(app)
    tune.register(app)


_register()
