"""`flexunet demo`."""

from __future__ import annotations

from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    out: Path = typer.Option(Path("flexunet-demo"), "--out", help="Folder to make."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the folder of an earlier demo."),
) -> None:
    """Show the whole chain in minutes, with no data at hand.

    Makes a procedural landscape with landslides, trains a small network on it, evaluates and predicts scenes
    that it has never seen, and says where everything lies.

    Example: flexunet demo --out flexunet-demo
    """
    from ..demo.run import run_demo
    from .progress import show_progress

    with show_progress() as progress:
        result = run_demo(out, overwrite=overwrite, say=typer.echo, progress=progress, show=True)
    threshold = result.threshold
    typer.echo(f"\nLandslide on held-out scenes       IoU {result.iou:.3f}   F1 {result.f1:.3f}")
    typer.echo(f"Best threshold ({threshold.feature}, chosen with the truth)   IoU {threshold.iou:.3f}")
    typer.echo(f"Best threshold on brightness alone   IoU {threshold.brightness_iou:.3f}")
    typer.echo("Seconds: " + ", ".join(f"{stage} {value:.0f}" for stage, value in result.seconds.items()))
    typer.echo(f"\n{'picture':<12}{result.picture}")
    for name, path in (
        ("dataset", "dataset"), ("model", "run/model.safetensors"), ("curves", "run/curves.png"),
        ("scores", "evaluation/scores.json"), ("predictions", "predictions"),
    ):  # fmt: skip
        typer.echo(f"{name:<12}{result.dir / path}")
