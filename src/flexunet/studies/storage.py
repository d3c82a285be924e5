"""The database of a study: one SQLite file that one command holds at a time, and its own study only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..errors import InUseError, OutputExistsError, TrainingError
from ..locks import locked
from .libraries import optuna, sqlalchemy

NAME = "flexunet"
IDENTITY, SECONDS = "identity", "seconds"
WAIT_SECONDS = 20
"""How long a database that another program is writing to is waited for."""


@contextmanager
def held(database: Path) -> Iterator[None]:
    """The database for this command alone; its workers are part of it.

    Raises:
        TrainingError: another command holds it.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(database.with_suffix(".lock")))
        except InUseError as error:
            raise TrainingError(
                f"{database} is in use by another `flexunet tune` ({error}). Wait until it is done or stop "
                f"it with Ctrl-C, then give the same command again; for more trials at once use its "
                f"--workers; or choose another folder with --out."
            ) from error
        yield


@contextmanager
def readable_database_errors(database: Path) -> Iterator[None]:
    """What SQLite and Optuna say of a database, in the user's words.

    Raises:
        TrainingError: it is locked by another program, or cannot be written.
        OutputExistsError: it is no database of Optuna's.
    """
    try:
        yield
    except (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _explained(database, error) from error


def _explained(database: Path, error: Exception) -> TrainingError | OutputExistsError:
    text = " ".join(str(found) for found in (error, error.__cause__) if found is not None)
    if "locked" in text:
        return TrainingError(
            f"{database} is locked by another program. Close what has it open (a database browser, a "
            f"backup), then give the same command again: everything is kept."
        )
    if "not a database" in text or "malformed" in text:
        return OutputExistsError(
            f"{database} is no database of Optuna's, or damaged. Move it away, or choose another folder with "
            f"--out."
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return TrainingError(
        f"{database}: {reason} Look for a full disk or missing rights, then give the same command again."
    )


def open_study(database: Path, pruner: Any) -> Any:
    """The study in the database, made where there is none yet.

    Raises:
        OutputExistsError: the file is something else, or holds the study of another program.
        TrainingError: it is locked or cannot be written.
    """
    with readable_database_errors(database):
        fresh = not database.is_file() or database.stat().st_size == 0
        if not fresh:
            _check(database)
        try:
            storage = _storage(database)
        except RuntimeError as error:  # a schema of another version of Optuna
            raise OutputExistsError(f"{database} cannot be read by this Optuna: {error}") from error
        return optuna.create_study(
            storage=storage, study_name=NAME, direction="maximize", load_if_exists=True, pruner=pruner
        )


def join_study(database: Path, pruner: Any) -> Any:
    """The study as a worker sees it."""
    with readable_database_errors(database):
        return optuna.load_study(study_name=NAME, storage=_storage(database), pruner=pruner)


def remove_study(database: Path) -> None:
    """Forget the study; the file stays."""
    with readable_database_errors(database):
        optuna.delete_study(study_name=NAME, storage=_storage(database))


def _storage(database: Path) -> Any:
    url = sqlalchemy.URL.create("sqlite", database=database.as_posix())
    return optuna.storages.RDBStorage(
        url.render_as_string(), engine_kwargs={"connect_args": {"timeout": WAIT_SECONDS}}
    )


def _check(database: Path) -> None:
    """Refuse what is no database, or one of other studies, before Optuna writes its tables into it."""
    connection = sqlite3.connect(database, timeout=2)
    try:
        connection.execute("BEGIN IMMEDIATE")  # finds a lock of another program
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        names = (
            {str(name) for (name,) in connection.execute("SELECT study_name FROM studies")}
            if "studies" in tables
            else set()
        )
        connection.rollback()
    finally:
        connection.close()
    if tables and "studies" not in tables:
        raise OutputExistsError(f"{database} is a database of another program. Choose another --out.")
    if names - {NAME}:
        raise OutputExistsError(
            f"{database} holds the study {', '.join(sorted(names - {NAME}))}, which `flexunet tune` did not "
            f"make. Move it away, or choose another folder with --out."
        )


def check_identity(study: Any, identity: dict[str, Any], database: Path) -> None:
    """Refuse a study of another search; write down what a new one is.

    Raises:
        OutputExistsError: what is searched, trained or measured differs from what the study began with.
    """
    earlier = study.user_attrs.get(IDENTITY)
    if earlier is None:
        study.set_user_attr(IDENTITY, identity)
        return
    now = json.loads(json.dumps(identity))
    differing = [
        f"{part}.{key}" if part != "search space" else f"the search space of {key}"
        for part in {**earlier, **now}
        for key in {**earlier.get(part, {}), **now.get(part, {})}
        if earlier.get(part, {}).get(key) != now.get(part, {}).get(key)
    ]
    if differing:
        raise OutputExistsError(
            f"{database} is of another study, which differs in {', '.join(differing)}. Its trials "
            f"cannot be compared with new ones. Undo the change, begin another study with --out, or replace "
            f"this one with --overwrite."
        )
