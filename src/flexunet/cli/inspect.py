"""`flexunet inspect FILE|RUN|CONFIG`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import ConfigError, OutputExistsError

if TYPE_CHECKING:
    from ..modelfile import ModelRecord
    from ..nets import LayerRow, NetworkSummary


def register(app: typer.Typer) -> None:
    """Adds the command to `app`."""
    app.command("inspect")(inspect_command)


def inspect_command(
    source: Path = typer.Argument(
        ..., metavar="FILE|RUN|CONFIG", help="Model file, run folder, or config of either dialect."
    ),
    size: str = typer.Option(
        None, "--size", help="Height x width of the image in pixels, as 512x512; left out: as trained."
    ),
    channels: int = typer.Option(
        None,
        "--channels",
        min=1,
        help="Bands of the image, for a config that leaves them to the files; else 3.",
    ),
    batch: int = typer.Option(
        None, "--batch", min=1, help="Images a step for the memory; left out: as configured."
    ),
    picture: Path = typer.Option(None, "--picture", help="PNG file to draw the network in, as a U."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the picture that is there."),
) -> None:
    """Show a network's layers, parameters, arithmetic, receptive field and memory.

    One multiply-add counts as 2 operations. Nothing is computed and no image is needed.

    Example: flexunet inspect model.safetensors --picture u.png
    """
    asked = _parse_size(size) if size else None
    if picture is not None and picture.exists() and not overwrite:
        raise OutputExistsError(f"{picture} is there already. Use --overwrite, or name another file.")
    from ..config import read_config
    from ..modelfile import MODEL_SUFFIXES, is_model_file, read_record
    from ..nets import summarise

    if source.is_dir():
        from ..prediction import locate_model

        source = locate_model(source).model
    if is_model_file(source) or source.suffix.lower() in MODEL_SUFFIXES:
        record = read_record(source)
        _print_record(record)
        _print_members(record)
        model, bands, classes, trained = (
            record.model,
            len(record.bands),
            len(record.classes),
            record.data.size,
        )
        train_batch = record.training.get("batch_size")
        train_batch = train_batch if isinstance(train_batch, int) else 1
    else:
        config = read_config(source).config
        model, data, train_batch = config.model, config.data, config.train.batch_size
        bands = channels or data.channels or (len(data.bands) if data.bands else 3)
        classes, trained = len(data.classes), data.size
    height, width = asked or trained
    summary = summarise(model, classes, (bands, height, width), batch or train_batch)
    _print_layers(summary.layers)
    _print_summary(summary)
    if picture:
        from ..views import draw_network

        title = (
            f"{summary.name}: {summary.parameters / 1e6:.4g} M parameters, "
            f"{summary.flops / 1e9:.4g} GFLOP an image of {height} × {width}"
        )
        draw_network(summary.stages, (bands, height, width), picture, title)
        typer.echo(str(picture))


def _parse_size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().replace("×", "x").partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise ConfigError(f"--size {text}: expected height x width in pixels, such as 512x512.")
    return int(height), int(width)


def _print_record(record: ModelRecord) -> None:
    colours = zip(record.classes.names, record.classes.colours, strict=True)
    rows = {
        "classes": ", ".join(f"{label} {name} {colour}" for label, (name, colour) in enumerate(colours)),
        "bands": ", ".join(record.bands.names) + f" ({record.bands.dtype})",
        "mean": ", ".join(f"{value:.6g}" for value in record.bands.mean),
        "deviation": ", ".join(f"{value:.6g}" for value in record.bands.std),
        "trained at": f"{record.data.size[0]} x {record.data.size[1]}, {record.data.sizing}",
        "ground": _ground(record.data.ground_resolution),
        "written by": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
        "created": record.created,
        **_flat("training", record.training),
        **_flat("scores", record.scores),
    }
    wide = max(len(key) for key in rows)
    for key, value in rows.items():
        typer.echo(f"{key:<{wide}}  {value}")
    typer.echo()


def _print_members(record: ModelRecord) -> None:
    """An ensemble's members, one a row; the layers that follow are those of the first one."""
    if not record.members:
        return
    typer.echo(f"An ensemble: the mean of the probabilities of {len(record.members)} members.")
    for number, member in enumerate(record.members, 1):
        score = member.scores.get("valid", {}).get("val_iou")
        seed = member.training.get("config", {}).get("train", {}).get("seed")
        parts = [f"{number:3}  {member.model.architecture}", "" if seed is None else f"seed {seed}"]
        parts += ["" if score is None else f"val_iou {score:.4f}"]
        typer.echo("  ".join(filter(None, parts)))
    typer.echo("Layers, arithmetic and memory below are those of the first one.\n")


def _flat(name: str, value: object) -> dict[str, object]:
    """Nested tables as one row a value: `scores valid val_iou`."""
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: item for part, inner in value.items() for key, item in _flat(f"{name} {part}", inner).items()
    }


def _print_layers(layers: list[LayerRow]) -> None:
    name, kind = (max(len(getattr(row, part)) for row in layers) for part in ("name", "kind"))
    typer.echo(
        f"{'layer':<{name}}  {'kind':<{kind}}  {'output':>16}  {'parameters':>11}  {'MFLOP':>9}  {'sees':>5}"
    )
    for row in layers:
        shape = " x ".join(map(str, row.output_chw))
        parameters = f"{row.parameters:,}" if row.parameters else ""
        flops = f"{row.flops / 1e6:,.1f}" if row.flops else ""
        typer.echo(
            f"{row.name:<{name}}  {row.kind:<{kind}}  {shape:>16}  {parameters:>11}  {flops:>9}  "
            f"{row.receptive_field:>5}"
        )
    typer.echo()


def _print_summary(summary: NetworkSummary) -> None:
    memory = summary.memory
    typer.echo(f"network          {summary.name}")
    typer.echo(f"parameters       {summary.parameters:,}")
    typer.echo(
        f"arithmetic       {summary.flops / 1e9:,.1f} GFLOP forward an image, three times that in training"
    )
    typer.echo(f"receptive field  {summary.receptive_field} x {summary.receptive_field} pixels")
    typer.echo(
        f"memory           weights {_bytes(memory.weights)}, training {_bytes(memory.training)}, prediction "
        f"{_bytes(memory.prediction)} (float32, batch {memory.batch_size}, Adam; without the program itself)"
    )


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _ground(resolution: tuple[float, float] | None) -> str:
    """Metres of a pixel as the network sees it."""
    if resolution is None:
        return "not known"
    return f"{resolution[0]:.4g} x {resolution[1]:.4g} m a pixel"
