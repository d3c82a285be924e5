"""`flexunet predict MODEL|RUN|CONFIG [FILES|FOLDERS]`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import ConfigError, DataError, Interrupted

if TYPE_CHECKING:
    from ..config import Config
    from ..prediction.predict_files import FilesReport


def register(app: typer.Typer) -> None:
    """Adds the command to `app`."""
    app.command("predict")(predict_command)


def predict_command(
    model: Path = typer.Argument(..., help="Model file, folder of a run, or config of a trained run."),
    images: list[Path] = typer.Argument(
        None, help="Pictures and folders of pictures; left out with a config: the folder it names."
    ),
    out: Path = typer.Option(
        None, "--out", "-o", help="Folder of the results; left out with a config: the folder it names."
    ),
    tta: bool = typer.Option(
        None, "--tta/--no-tta", help="Mean over the eight flips and quarter turns; takes eight times as long."
    ),
    tiled: bool = typer.Option(
        False, "--tiled", help="Overlapping tiles at native resolution, blended, for every picture."
    ),
    whole: bool = typer.Option(
        False, "--whole", help="Every picture in one piece, squeezed if training did so."
    ),
    tile: int = typer.Option(
        None,
        "--tile",
        min=1,
        help="Tile edge in pixels without halo; left out: training size less halo.",
    ),
    halo: int = typer.Option(
        None,
        "--halo",
        min=0,
        help="Overlap on each side of a tile, pixels; left out: training size / 8.",
    ),
    overlay: bool = typer.Option(False, "--overlay", help="Also the pictures with what was found drawn in."),
    probability: bool = typer.Option(
        False, "--probability", help="Also probabilities: grey PNG, or .npz for several foreground classes."
    ),
    batch_size: int = typer.Option(None, "--batch-size", min=1, help="Pictures or tiles a step."),
    uncalibrated: bool = typer.Option(
        False, "--uncalibrated", help="Leave out the temperature and threshold that the model file holds."
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:1 or mps."),
    precision: str = typer.Option("auto", "--precision", help="auto, 32 or bf16."),
    threads: int = typer.Option(None, "--threads", min=1, help="CPU threads; left out: one a core."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace results that are there already."),
) -> None:
    """Predict classes: a palette PNG of each picture's size in the class colours, named as the picture.

    Pictures with a georeference also give a GeoTIFF with the same grid. Without --tiled or --whole, pictures
    with an edge of more than twice what training showed are cut into overlapping tiles. Exit code 1: some
    pictures could not be used; 2: none could.

    Example: flexunet predict runs/bijie/model.safetensors photos --out predicted --tta --overlay
    """
    if tiled and whole:
        raise ConfigError("--tiled and --whole exclude each other.")
    from ..prediction import Predictor, find_images, locate_model, predict_files
    from .progress import show_progress

    located = locate_model(model)
    for note in located.notes:
        typer.echo(f"Note: {note}", err=True)
    sources, folder = _places(located.config, images or [], out, tiled)
    files = find_images(sources)
    predictor = Predictor.from_file(
        located.model,
        device=device,
        precision=precision,  # type: ignore[arg-type]  # checked there
        threads=threads,
        settings=located.config.predict if located.config is not None else None,
    )
    changed: dict[str, Any] = {"tile": tile, "halo": halo, "batch_size": batch_size, "tta": tta}
    changed["tiling"] = "tiled" if tiled else "whole" if whole else None
    predictor = predictor.with_settings(**{key: value for key, value in changed.items() if value is not None})
    if uncalibrated:
        predictor = predictor.uncalibrated()
    typer.echo(f"Predicting on {predictor.compute}.", err=True)
    started, done = time.monotonic(), 0

    def count(stage: str, items: int, total: int) -> None:
        nonlocal done
        done = items if stage == "predicting" else done
        tell(stage, items, total)

    try:
        with show_progress() as tell:
            report = predict_files(
                predictor,
                files,
                folder,
                overlay=overlay,
                probability=probability,
                overwrite=overwrite,
                progress=count,
            )
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"Interrupted: {done} of {len(files)} pictures are done in {folder}; no file is cut."
        ) from error
    _tell(report, folder, time.monotonic() - started)


def _places(
    config: Config | None, images: list[Path], out: Path | None, tiled: bool
) -> tuple[list[Path], Path]:
    """What to predict and where to write: as named, else as the config says."""
    if config is not None:
        predict = config.predict
        source = (predict.tiled_images if tiled else None) or predict.images
        target = (predict.tiled_out if tiled else None) or predict.out
        images = images or ([source] if source is not None else [])
        out = out or target
    if not images:
        raise DataError("name the pictures or folders to predict (or predict.images in the config).")
    if out is None:
        raise DataError("name the folder of the results with --out (or predict.out in the config).")
    return images, out


def _tell(report: FilesReport, folder: Path, seconds: float) -> None:
    for note in report.notes:
        typer.echo(f"Note: {note}", err=True)
    for problem in report.failed:
        typer.echo(f"Not predicted: {problem}", err=True)
    written, failed = len(report.written), len(report.failed)
    if written:
        typer.echo(f"{written} pictures in {seconds:.1f} s ({written / max(seconds, 1e-9):.1f} a second)")
        typer.echo(str(folder))
    if failed:
        typer.echo(f"{failed} of {written + failed} pictures could not be used, see above.", err=True)
        raise typer.Exit(1 if written else 2)
