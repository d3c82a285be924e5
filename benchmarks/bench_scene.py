"""Claim: a scene of any size is predicted in little memory, as fast as the network alone allows.

    python benchmarks/bench_scene.py --model model.safetensors --peer-python MONAI/bin/python
    python benchmarks/bench_scene.py --pipeline-size 40000 --only pipeline

peer: `flexunet predict` against MONAI's `sliding_window_inference` on the whole scene in memory: the same
network, tiles, overlap and precision, in turns; megapixels a second, peak memory, ratios.
share: tiles a second of `flexunet predict` over those of the network alone on batches in memory; the route is
held up every second or so to time the network alone, so that both meet the same machine.
pipeline: the scene route with a network that costs next to nothing, on a scene and on one of twice the
height: megapixels a second, peak memory; twice the scene takes the same memory and twice the time.

Every measured run is a process of its own; its peak memory is the largest resident size it had (Linux).
Scenes are made by `make_scene.py` in the folder `--work` and kept there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from machine import machine_facts, save, spread
from make_scene import write_scene

HERE = Path(__file__).resolve().parent
WORKER, PEER = HERE / "scene_worker.py", HERE / "monai_worker.py"


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("WORK/scenes"), help="where scenes and maps go")
    parser.add_argument("--model", type=Path, help="model file of three 8-bit bands (peer, share)")
    parser.add_argument("--peer-python", type=Path, help="an environment with torch, monai and rasterio")
    parser.add_argument("--size", type=int, default=8000, help="edge of the scene of peer and share, pixels")
    parser.add_argument("--pipeline-size", type=int, default=40_000, help="edge of the scene of pipeline")
    parser.add_argument("--max-memory", help="handed on to the scene route in pipeline")
    parser.add_argument("--precisions", nargs="+", default=["32", "bf16"], choices=("32", "bf16"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--only", nargs="+", choices=("peer", "share", "pipeline"))
    parser.add_argument("--quick", action="store_true", help="one round, nothing saved")
    options = parser.parse_args()
    options.rounds = 1 if options.quick else options.rounds
    wanted = options.only or ["peer", "share", "pipeline"]
    if options.model is None and {"peer", "share"} & set(wanted):
        parser.error("peer and share need --model")
    if "peer" in wanted and options.peer_python is None:
        parser.error("peer needs --peer-python")
    options.work.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"machine": machine_facts(options.threads)}
    for name, measure in (("peer", peer), ("share", share), ("pipeline", pipeline)):
        if name in wanted:
            result[name] = measure(options)
            print(json.dumps({name: result[name]}, indent=1), flush=True)
    result["load_after"] = round(os.getloadavg()[0], 2)
    if not options.quick:
        print(save("scene" if len(wanted) > 1 else f"scene_{wanted[0]}", result))


def peer(options: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turns, precision by precision."""
    place = scene(options.work, options.size, options.size)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        network = Path(folder) / "network.ts"
        run([sys.executable, WORKER, "export", options.model, network])
        measured = {
            precision: in_turns(
                {
                    "flexunet": lambda p=precision: ours(options, place, network, p),
                    "monai": lambda p=precision: monai(options, place, Path(folder), network, p),
                },
                options.rounds,
            )
            for precision in options.precisions
        }
        maps = [read_map(Path(folder) / f"{side}.tif") for side in ("flexunet", "monai")]
    rows: dict[str, Any] = {
        "scene": f"{options.size} x {options.size}",
        "model": options.model.parent.name,
        "rounds": options.rounds,
        "by_precision": {},
    }
    for precision, sides in measured.items():
        mine, theirs = sides["flexunet"], sides["monai"]
        rows["by_precision"][precision] = sides | {
            "times_as_fast": round(mine["mpx_per_s"]["median"] / theirs["mpx_per_s"]["median"], 3),
            "memory_ratio": round(mine["peak_gb"]["max"] / theirs["peak_gb"]["max"], 3),
        }
    rows["same_class_share_last_precision"] = round(float((maps[0] == maps[1]).mean()), 6)
    return rows


def ours(options: argparse.Namespace, place: Path, network: Path, precision: str) -> dict[str, float]:
    """`flexunet predict` as a user types it, from start to end of the process."""
    model, folder = network.with_suffix(".safetensors"), network.parent
    line = [sys.executable, "-m", "flexunet", "predict", model, place, "--out", folder, "--tiled"]
    line += ["--no-tta", "--precision", precision, "--threads", options.threads, "--overwrite"]
    facts = run(line)
    (folder / place.name).replace(folder / "flexunet.tif")
    return facts | {"mpx": megapixels(place)}


def monai(
    options: argparse.Namespace, place: Path, folder: Path, network: Path, precision: str
) -> dict[str, float]:
    """The peer, from start to end of the process."""
    out = folder / "monai.tif"
    line = [options.peer_python, PEER, place, out, network, "--precision", precision]
    return run([*line, "--threads", options.threads]) | {"mpx": megapixels(place)}


def share(options: argparse.Namespace) -> dict[str, Any]:
    """The scene route with the real network over the network alone, timed within it; no collar, no tile left
    out.
    """
    place = scene(options.work, options.size, options.size, collar=False)
    words = ["--model", options.model, "--threads", options.threads]
    found: dict[str, list[float]] = {}
    arithmetic = ""
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        for number in range(options.rounds):
            said = run([sys.executable, WORKER, "share", place, Path(folder) / "map.tif", *words])["said"]
            rate = said["tiles"] / (said["seconds"] - said["halted_seconds"])
            alone, arithmetic = said["alone_tiles"] / said["alone_seconds"], said["arithmetic"]
            turn = {"share": rate / alone, "scene_tiles_per_s": rate, "network_tiles_per_s": alone}
            shown = ", ".join(f"{key} {value:.3f}" for key, value in turn.items())
            print(f"round {number + 1} of {options.rounds}: {shown}", flush=True)
            for key, value in turn.items():
                found.setdefault(key, []).append(value)
    facts = {"scene": f"{options.size} x {options.size}", "model": options.model.parent.name}
    return facts | {key: spread(values) for key, values in found.items()} | {"arithmetic": arithmetic}


def pipeline(options: argparse.Namespace) -> dict[str, Any]:
    """A scene and one of twice the height, in turns."""
    edge = options.pipeline_size
    places = {"once": scene(options.work, edge, edge), "twice": scene(options.work, 2 * edge, edge)}
    words = ["--model", "cheap", "--threads", options.threads]
    words += ["--max-memory", options.max_memory] if options.max_memory else []

    def measured(place: Path) -> dict[str, float]:
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            facts = run([sys.executable, WORKER, "predict", place, Path(folder) / "map.tif", *words])
        return facts | {"mpx": facts["said"]["mpx"], "seconds": facts["said"]["seconds"]}

    rows: dict[str, Any] = in_turns(
        {name: lambda p=place: measured(p) for name, place in places.items()}, options.rounds
    )
    once, twice = rows["once"], rows["twice"]
    return {
        "scene": f"{edge} x {edge}, then {2 * edge} x {edge}",
        **rows,
        "time_ratio": round(twice["seconds"]["median"] / once["seconds"]["median"], 3),
        "memory_ratio": round(twice["peak_gb"]["max"] / once["peak_gb"]["max"], 3),
    }


def in_turns(sides: dict[str, Any], rounds: int) -> dict[str, Any]:
    """What each side measures, one turn each, `rounds` times."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return {
        name: {
            "seconds": spread([turn["seconds"] for turn in turns]),
            "cpu_seconds": spread([turn["cpu_seconds"] for turn in turns]),
            "mpx_per_s": spread([turn["mpx"] / turn["seconds"] for turn in turns]),
            "peak_gb": spread([turn["peak_gb"] for turn in turns]),
        }
        for name, turns in found.items()
    }


def run(line: list[Any]) -> dict[str, Any]:
    """Wall-clock and processor seconds and peak resident memory (GB) of a process, and the JSON it said."""
    words = [str(word) for word in line]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    environment.pop("OMP_NUM_THREADS", None)
    started, peak = time.monotonic(), 0.0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(words, stdout=said, env=environment)
        ended, status, usage = 0, 0, None
        while not ended:
            time.sleep(0.05)
            peak = max(peak, peak_gb(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}: exit code {process.returncode}")
        said.seek(0)
        last = (said.read().strip().splitlines() or [""])[-1]
    assert usage is not None
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gb": peak,
        "said": json.loads(last) if last.startswith("{") else {},
    }


def peak_gb(pid: int) -> float:
    """The largest resident size so far; not `ru_maxrss`, which counts the parent's from before `exec`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) * 1024 / 1e9 if found else 0.0


def scene(work: Path, height: int, width: int, *, collar: bool = True) -> Path:
    """The scene of that size; made once."""
    path = work / f"scene_{height}x{width}{'' if collar else '_full'}.tif"
    if not path.exists():
        write_scene(path, (height, width), collar=collar)
    return path


def megapixels(path: Path) -> float:
    """Size of a raster."""
    with rasterio.open(path) as source:
        return float(source.width * source.height / 1e6)


def read_map(path: Path) -> np.ndarray:
    """The classes of a map."""
    with rasterio.open(path) as source:
        labels: np.ndarray = source.read(1)
    return labels


if __name__ == "__main__":
    main()
