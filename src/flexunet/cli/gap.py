"""`flexunet gap`: what the score becomes on the next mountain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..config import Loaded


def gap(
    dataset: Path = typer.Argument(
        ..., help="Prepared dataset folder ({train,valid}/{images,masks}), or a config file."
    ),
    config: Path | None = typer.Option(
        None, "--config", help="The recipe; left out: what `flexunet init` would write for the dataset."
    ),
    quality: str | None = typer.Option(
        None, "--quality", help="quick, good or best: decides whatever the recipe does not."
    ),
    budget: str | None = typer.Option(
        None, "--budget", help="Time of each run such as 30m; the first run makes it a number of epochs."
    ),
    folds: int = typer.Option(5, "--folds", help="Parts that are held out at random and by groups."),
    seeds: int = typer.Option(1, "--seeds", help="Runs a part, each with a seed of its own."),
    groups: Path | None = typer.Option(
        None, "--groups", help="CSV (id, group): images that share ground; left out: by manifest.json."
    ),
    region_pattern: str | None = typer.Option(
        None, "--region-pattern", help="Regular expression on file names that finds the region: '^[a-z]+'."
    ),
    regions: Path | None = typer.Option(None, "--regions", help="CSV with id and the region of each image."),
    region_column: str = typer.Option("region", "--region-column", help="Column of --regions."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a setting."),
    out: Path | None = typer.Option(None, "--out", help="Folder; left out: `gap` in output.dir."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace what is in the folder."),
) -> None:
    """Train one recipe with images held out at random, by groups and by regions, and compare the scores.

    The same images are scored each time, those of train and valid; the test split is not opened. The same
    command goes on after a stop, finished runs are kept.

    Example: flexunet gap WORK/bijie --quality good --budget 20m
    """
    from ..studies import measure_gap
    from .train import minutes

    overrides = [*set_, *([] if quality is None else [f"quality={quality}"])]
    loaded = _recipe(dataset, config, overrides)
    for note in loaded.notes:
        typer.echo(f"Note: {note}", err=True)
    found = measure_gap(
        loaded.config, parts=folds, seeds=seeds, budget_minutes=None if budget is None else minutes(budget),
        groups=groups, region_pattern=region_pattern, regions=regions, region_column=region_column,
        out=out, overwrite=overwrite, show=True,
    )  # fmt: skip
    typer.echo(found.text)
    typer.echo(str(found.dir / "gap.png"))


def _recipe(dataset: Path, config: Path | None, overrides: list[str]) -> Loaded:
    """The config of a file, of a file on another dataset, or one made for the dataset."""
    from ..check.survey import survey
    from ..check.survey_config import config_text
    from ..config import read_config
    from ..config.loading import parse_config
    from ..errors import ConfigError
    from .progress import show_progress

    if dataset.is_file():
        if config is not None:
            raise ConfigError(f"{dataset} is a config already; --config is for a dataset folder.")
        return read_config(dataset, overrides)
    if config is not None:
        loaded = read_config(config, overrides)
        moved = loaded.config.model_copy(update={"data": loaded.config.data.at(dataset)})
        return replace(loaded, config=moved)
    with show_progress() as progress:
        found = survey(dataset, progress=progress)
    return parse_config(config_text(found), Path.cwd() / f"{dataset.name}.toml", overrides)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gap")(gap)
