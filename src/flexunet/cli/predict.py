"""`flexunet predict MODEL|RUN|CONFIG [FILES|FOLDERS|SCENES]`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import ConfigError, DataError, Interrupted

if TYPE_CHECKING:
    from ..config import Config
    from ..prediction import FilesReport, Predictor

SCENES = "Scenes"


def register(app: typer.Typer) -> None:
    """Adds the command to `app`."""
    app.command("predict")(predict_command)


def predict_command(
    model: Path = typer.Argument(..., help="Model file, folder of a run, or config of a trained run."),
    images: list[str] = typer.Argument(
        None,
        help="Pictures and scenes: files, folders, quoted globs, lists (.txt), addresses such as "
        "/vsicurl/https://...; left out with a config: the folder it names.",
    ),
    out: Path = typer.Option(
        None, "--out", "-o", help="Folder of the results; left out with a config: the folder it names."
    ),
    with_models: list[Path] = typer.Option(
        None, "--with", help="Another model; the mean of the probabilities of all counts. Repeatable."
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
        False,
        "--probability",
        help="Also probabilities of the foreground: grey PNG or .npz; of scenes GeoTIFF.",
    ),
    unsure: str = typer.Option(
        None,
        "--unsure",
        metavar="LEVEL[,MARGIN]",
        help="Leave open, as one more class, what is less applicable than LEVEL (0.05: farther than 95 of "
        "100 held-out pictures) or decided by a smaller margin of probability (left out: LEVEL too).",
    ),
    uncalibrated: bool = typer.Option(
        False, "--uncalibrated", help="Without the temperature and threshold that the model file holds."
    ),
    as_scenes: bool = typer.Option(
        False, "--scene", help="Take every picture for a scene: GeoTIFF out, even without a georeference."
    ),
    probability_of: list[str] = typer.Option(
        None, "--probability-of", help="Scenes: probability of this class. Repeatable."
    ),
    probability_type: str = typer.Option(
        None,
        "--probability-type",
        help="Scenes: how probability and confidence are stored, uint8 (in 1/254; the usual) or float16.",
    ),
    confidence: str = typer.Option(None, "--confidence", help="Scenes: also how sure, entropy or margin."),
    applicability: bool = typer.Option(
        None,
        "--applicability/--no-applicability",
        help="Scenes: also how much the ground is like that of training; left out: where the model knows.",
    ),
    html: bool = typer.Option(False, "--html", help="Scenes: also a map for any browser, in one file."),
    polygons: str = typer.Option(
        None, "--polygons", help="Scenes: also polygons with attributes: gpkg, geojson, parquet or shp."
    ),
    min_area: float = typer.Option(0.0, "--min-area", help="Smallest polygon, m2 (pixels without a CRS)."),
    simplify: float = typer.Option(
        0.0, "--simplify", help="Bends of outlines that are left out, metres (pixels without a CRS)."
    ),
    dem: Path = typer.Option(None, "--dem", help="Elevations for slope, aspect, relief of each polygon."),
    truth: Path = typer.Option(
        None, "--evaluate", help="Scenes: score against this raster or these polygons, and map the errors."
    ),
    truth_attribute: str = typer.Option(
        None, "--truth-attribute", help="Attribute that says the class of each polygon of --evaluate."
    ),
    aoi: Path = typer.Option(
        None,
        "--aoi",
        help="Scenes: only inside the polygons of this file, or of one layer: 'file.gpkg|layername=a'.",
    ),
    resolution: float = typer.Option(
        None, "--resolution", help="Scenes: metres a pixel in training, where the model does not say so."
    ),
    strict: bool = typer.Option(
        False, "--strict", help="Scenes: refuse another ground resolution or unnamed bands."
    ),
    keep_black: bool = typer.Option(False, "--keep-black", help="Scenes: black is data, not a collar."),
    max_memory: str = typer.Option(None, "--max-memory", help="Scenes: memory of the process, such as 2GB."),
    dask: str = typer.Option(
        None, "--dask", help="Scenes: compute on a Dask cluster: local, local:4 or tcp://host:8786."
    ),
    batch_size: int = typer.Option(None, "--batch-size", min=1, help="Pictures or tiles a step."),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:1 or mps."),
    precision: str = typer.Option("auto", "--precision", help="auto, 32 or bf16."),
    threads: int = typer.Option(None, "--threads", min=1, help="CPU threads; left out: one a core."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace results that are there already."),
) -> None:
    """Predict classes: palette PNGs of pictures, class maps (Cloud-Optimised GeoTIFF) of scenes.

    Scenes are rasters with a georeference or too large for a picture; they may be of any size, and what was
    interrupted goes on where it was. Without --tiled or --whole, pictures with an edge of more than twice
    what training showed are cut into overlapping tiles. Exit code 1: some could not be used; 2: none could.

    Example: flexunet predict runs/bijie/model.safetensors photos --out predicted --tta --overlay

    Example: flexunet predict model.safetensors "scenes/*.tif" --out maps --probability --max-memory 2GB
    """
    if tiled and whole:
        raise ConfigError("--tiled and --whole exclude each other.")
    from ..prediction import Predictor, Unsure, locate_model
    from ..prediction.scenes import check_outputs, find_sources, is_address, is_scene
    from .predict_scenes import SceneWishes, predict_all_scenes

    located = locate_model(model)
    for note in located.notes:
        typer.echo(f"Note: {note}", err=True)
    named, folder = _places(located.config, images or [], out, tiled)
    found = find_sources(named)
    scenes = [source for source in found if as_scenes or is_scene(source)]
    pictures = [Path(source) for source in found if source not in scenes]
    models = [located.model, *(locate_model(path).model for path in with_models or [])]
    members = [
        Predictor.from_file(
            path,
            device=device,
            precision=precision,  # type: ignore[arg-type]  # checked there
            threads=threads,
            settings=located.config.predict if located.config is not None else None,
        )
        for path in models
    ]
    predictor = Predictor.ensemble(members, [str(path) for path in models])
    changed: dict[str, Any] = {"tile": tile, "halo": halo, "batch_size": batch_size, "tta": tta}
    changed["tiling"] = "tiled" if tiled else "whole" if whole else None
    predictor = predictor.with_settings(**{key: value for key, value in changed.items() if value is not None})
    if uncalibrated:
        predictor = predictor.uncalibrated()
    if unsure is not None:
        predictor = predictor.with_unsure(Unsure.parse(unsure))
        if predictor.familiar is None:
            typer.echo(
                "Note: the model file does not say how far pictures lie from those of training, so --unsure "
                "goes by the margin alone; flexunet evaluate RUN --calibrate adds it.",
                err=True,
            )
    typer.echo(f"Predicting on {predictor.compute}.", err=True)
    wishes = SceneWishes(
        probability=tuple(probability_of or ()) or ("all" if probability else ()),
        probability_type=probability_type,
        confidence=confidence,
        applicability=predictor.familiar is not None if applicability is None else applicability,
        overlay=overlay,
        html=html,
        aoi=aoi,
        resolution=resolution,
        strict=strict or predictor.settings.strict,
        keep_black=keep_black,
        max_memory=max_memory or predictor.settings.max_memory,
        dask=dask,
        polygons=polygons,
        min_area=min_area,
        simplify=simplify,
        dem=dem,
        truth=truth,
        truth_attribute=truth_attribute,
        overwrite=overwrite,
    )
    wishes.check(predictor.record.classes)
    if scenes:
        check_outputs(
            scenes,
            folder,
            wishes.options(predictor.record.classes),
            wishes.products(),
            [*models, *pictures],
        )
    failed = done = 0
    if pictures and wishes.only_scenes:
        typer.echo(
            f"Note: nothing comes of {', '.join(wishes.only_scenes)} for pictures, which have no "
            f"georeference and are not large ({len(pictures)} here); --scene takes every file for a scene.",
            err=True,
        )
    if pictures:
        needed = [*models, *wishes.files, *(Path(scene) for scene in scenes if not is_address(scene))]
        report = _predict_pictures(predictor, pictures, folder, overlay, probability, overwrite, needed)
        done, failed = len(report.written), len(report.failed)
    if scenes:
        finished = predict_all_scenes(
            predictor,
            scenes,
            folder,
            wishes,
            models=models,
            pictures=pictures,
            device=device,
            threads=threads,
        )
        done, failed = done + len(finished.results), failed + len(finished.failed)
    if done:
        typer.echo(str(folder))
    if failed:
        typer.echo(
            f"{failed} of {done + failed} {_what(scenes, pictures)} could not be used, see above.", err=True
        )
        raise typer.Exit(1 if done else 2)


def _what(scenes: list[Any], pictures: list[Any]) -> str:
    return "pictures" if not scenes else "scenes" if not pictures else "pictures and scenes"


def _places(
    config: Config | None, images: list[str], out: Path | None, tiled: bool
) -> tuple[list[str | Path], Path]:
    """What to predict and where to write: as named, else as the config says."""
    named: list[str | Path] = list(images)
    if config is not None:
        predict = config.predict
        source = (predict.tiled_images if tiled else None) or predict.images
        target = (predict.tiled_out if tiled else None) or predict.out
        named = named or ([source] if source is not None else [])
        out = out or target
    if not named:
        raise DataError("name the pictures, folders or scenes to predict (or predict.images in the config).")
    if out is None:
        raise DataError("name the folder of the results with --out (or predict.out in the config).")
    if out.exists() and not out.is_dir():
        raise DataError(f"--out {out}: is a file; name a folder for the results.")
    return named, out


def _predict_pictures(
    predictor: Predictor,
    files: list[Path],
    folder: Path,
    overlay: bool,
    probability: bool,
    overwrite: bool,
    needed: list[Path],
) -> FilesReport:
    from ..prediction import predict_files
    from .progress import show_progress

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
                needed=needed,
                progress=count,
            )
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"Interrupted: {done} of {len(files)} pictures are done in {folder}; no file is cut."
        ) from error
    for note in report.notes:
        typer.echo(f"Note: {note}", err=True)
    for problem in report.failed:
        typer.echo(f"Not predicted: {problem}", err=True)
    written, seconds = len(report.written), time.monotonic() - started
    if written:
        pictures = "1 picture" if written == 1 else f"{written} pictures"
        typer.echo(f"{pictures} in {seconds:.1f} s ({written / max(seconds, 1e-9):.1f} a second)")
    return report
