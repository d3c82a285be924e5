"""Which decoder pays on a CPU: the plain one of `nets/encoder_unet.py` against four that papers recommend.

    python benchmarks/bench_decoders.py --root WORK/bijie --work WORK/decoders

EfficientNet-Lite0 from ImageNet weights, the same epochs, seeds and data; what differs is what comes behind
the encoder. Recorded in `benchmarks/results/decoders.json` after every run: landslide IoU on validation and
test, CPU seconds of training, milliseconds of a 256 x 256 picture, parameters. What is recorded is not run
again. The losers live here and nowhere else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flexunet as fx
from flexunet.classes import IGNORE_INDEX
from flexunet.nets import build
from flexunet.nets.encoder_unet import EncoderUNet
from flexunet.nets.resunet import ConvNorm
from flexunet.training import run as training_run
from flexunet.training.scored import Scored
from machine import RESULTS, machine_facts, save

CONFIG = Path(__file__).resolve().parents[1] / "examples" / "bijie-pretrained.toml"


class Plain(EncoderUNet):
    """The one that is shipped."""


class AttentionGates(EncoderUNet):
    """What a level takes from the way down is weighted by a gate (Oktay et al. 2018, eq. 1)."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        *skips, deepest = self.encoder.widths
        below = (deepest, *(level[1].norm.num_features for level in self.decoder))
        self.gates = nn.ModuleList(
            Gate(skip, source) for skip, source in zip(reversed(skips), below, strict=False)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K, H, W)."""
        *skips, x = self.encoder((images * self.input_scale + self.input_shift).to(images.dtype))
        for level, gate in zip(self.decoder, self.gates, strict=True):
            skip = skips.pop()
            up = self.upsample(x, skip)
            x = level(torch.cat([up, gate(skip, up)], dim=1))
        logits: Tensor = self.enlarge(self.head(self.dropout(x)), images)
        return logits


class Gate(nn.Module):
    """sigmoid(psi(relu(W_x x + W_g g))) times x, at the size of x."""

    def __init__(self, skip: int, signal: int) -> None:
        super().__init__()
        inner = max(skip // 2, 8)
        self.of_skip, self.of_signal = nn.Conv2d(skip, inner, 1), nn.Conv2d(signal, inner, 1, bias=False)
        self.psi = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """(B, S, h, w) and (B, G, h, w) to (B, S, h, w)."""
        weighted: Tensor = skip * torch.sigmoid(
            self.psi(torch.relu(self.of_skip(skip) + self.of_signal(signal)))
        )
        return weighted


class Depthwise(EncoderUNet):
    """3 x 3 a channel, then 1 x 1 (Howard et al. 2017), in place of each full 3 x 3."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        for level in self.decoder:
            for index in (0, 1):
                conv = level[index].conv
                inside, outside = conv.in_channels, conv.out_channels
                level[index] = nn.Sequential(
                    ConvNorm(inside, inside, 3, 1, "relu", depthwise=True),
                    ConvNorm(inside, outside, 1, 1, "relu"),
                )


class DeepSupervision(EncoderUNet):
    """Every level says what it sees and is told what is true (Lee et al. 2015); only the last is used."""

    aside: list[Tensor] = []  # noqa: RUF012 - of the one network that trains in a process
    WEIGHT = 0.4
    """Of the loss of the level before the last; half of that for each one below."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        widths = [level[1].norm.num_features for level in self.decoder]
        self.heads = nn.ModuleList(nn.Conv2d(width, self.head.out_channels, 1) for width in widths[:-1])

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K, H, W)."""
        *skips, x = self.encoder((images * self.input_scale + self.input_shift).to(images.dtype))
        aside = []
        for number, level in enumerate(self.decoder):
            skip = skips.pop()
            x = level(torch.cat([self.upsample(x, skip), skip], dim=1))
            if self.training and number < len(self.heads):
                aside.append(self.heads[number](x))
        DeepSupervision.aside = aside
        logits: Tensor = self.enlarge(self.head(self.dropout(x)), images)
        return logits


class DeepLabHead(EncoderUNet):
    """Atrous pyramid at a sixteenth, joined once with a quarter (Chen et al. 2018, DeepLabV3+)."""

    RATES = (1, 2, 4, 6)
    WIDTH = 128

    def __init__(
        self, in_channels: int, num_classes: int, encoder: str = "", decoder_widths: Sequence[int] = (),
        dropout_rate: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, num_classes, encoder, decoder_widths, dropout_rate)
        widths = self.encoder.widths
        self.decoder, deep, fine = nn.ModuleList(), widths[-2], widths[1]
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(deep, self.WIDTH, 3, padding=rate, dilation=rate, bias=False),
                nn.BatchNorm2d(self.WIDTH), nn.ReLU(),
            ) for rate in self.RATES
        )  # fmt: skip
        self.whole = nn.Sequential(nn.Conv2d(deep, self.WIDTH, 1), nn.ReLU())
        self.project = ConvNorm(self.WIDTH * (len(self.RATES) + 1), self.WIDTH, 1, 1, "relu")
        self.low = ConvNorm(fine, 48, 1, 1, "relu")
        self.joined = nn.Sequential(
            ConvNorm(self.WIDTH + 48, self.WIDTH, 3, 1, "relu"), ConvNorm(self.WIDTH, 64, 3, 1, "relu")
        )
        self.head = nn.Conv2d(64, num_classes, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K, H, W)."""
        maps = self.encoder((images * self.input_scale + self.input_shift).to(images.dtype))
        deep, fine = maps[-2], self.low(maps[1])
        whole = self.whole(deep.mean((2, 3), keepdim=True)).expand(-1, -1, *deep.shape[2:])
        x = self.project(torch.cat([*(branch(deep) for branch in self.pyramid), whole], dim=1))
        x = self.joined(torch.cat([self.enlarge(x, fine), fine], dim=1))
        logits: Tensor = self.enlarge(self.head(self.dropout(x)), images)
        return logits


DECODERS: dict[str, type[EncoderUNet]] = {
    "plain": Plain,
    "attention gates": AttentionGates,
    "depthwise": Depthwise,
    "deep supervision": DeepSupervision,
    "DeepLabV3+ head": DeepLabHead,
}


def main() -> None:
    """Train what is missing, save after every run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="dataset with train/valid/test folders")
    parser.add_argument("--work", type=Path, default=Path("WORK/decoders"))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--decoders", nargs="*", choices=DECODERS, default=list(DECODERS))
    parser.add_argument("--at-a-time", type=int, default=os.cpu_count(), help="runs, one thread each")
    options = parser.parse_args()
    out, setting = RESULTS / "decoders.json", {"size": options.size, "epochs": options.epochs}
    record: dict[str, Any] = {"machine": machine_facts(1), "setting": setting, "runs": {}}
    if out.exists():
        record = json.loads(out.read_text(encoding="utf-8"))
        if record["setting"] != setting:
            raise SystemExit(f"{out} is of {record['setting']}; move it away to measure {setting}")
    missing = {
        f"{name}, seed {seed}": (name, seed)
        for seed in range(options.seeds)
        for name in options.decoders
        if f"{name}, seed {seed}" not in record["runs"]
    }
    with ProcessPoolExecutor(options.at_a_time, get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(one_run, *what, options): key for key, what in missing.items()}
        for done in as_completed(running):
            record["runs"][running[done]] = done.result()
            save("decoders", record)
            print(running[done], done.result(), flush=True)
    print(table(list(record["runs"].values())))


def one_run(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one decoder and score it, in a process of its own."""
    torch.set_num_threads(1)
    kind = DECODERS[name]
    build.EncoderUNet = kind  # type: ignore[misc]
    if kind is DeepSupervision:
        training_run.objective = supervised(training_run.objective)
    folder = options.work.resolve() / f"{name.replace(' ', '_').replace('+', '')}_{seed}"
    config = fx.load_config(
        CONFIG,
        [
            f"data.root={options.root.resolve()}", f"data.size=[{options.size},{options.size}]",
            f"train.epochs={options.epochs}", f"train.seed={seed}", "train.threads=1", "train.ema=0.99",
            "train.epoch_pictures=0", f"output.dir={folder}",
        ],
    )  # fmt: skip
    before = time.process_time()
    result = fx.train(config, overwrite=True)
    seconds = time.process_time() - before
    found = {split: fx.evaluate(result.model, config, split) for split in ("valid", "test")}
    network = kind(3, 2, "efficientnet_lite0", (128, 64, 48, 32)).eval()
    return {
        "decoder": name, "seed": seed,
        **{f"{split}_iou": landslide_iou(said.scores) for split, said in found.items()},
        "train_cpu_seconds": round(seconds, 1), "forward_ms": round(forward_ms(network), 1),
        "parameters": sum(weight.numel() for weight in network.parameters()),
    }  # fmt: skip


def landslide_iou(scores: dict[str, Any]) -> float:
    """Pooled over the images that show one."""
    found: float = scores["with_foreground"]["foreground"]["iou"]
    return found


def supervised(objective: Any) -> Any:
    """The objective and a share of the cross-entropy of every level's own logits."""

    def build_objective(*words: Any) -> Any:
        main = objective(*words)

        def loss(scored: Scored, images: Tensor) -> Tensor:
            total: Tensor = main(scored, images)
            share = DeepSupervision.WEIGHT
            for logits in reversed(DeepSupervision.aside):
                large = F.interpolate(logits.float(), scored.labels.shape[1:], mode="bilinear")
                total = total + share * F.cross_entropy(large, scored.labels, ignore_index=IGNORE_INDEX)
                share /= 2
            DeepSupervision.aside = []
            return total

        return loss

    return build_objective


def forward_ms(network: nn.Module) -> float:
    """Least CPU milliseconds of a picture of 256 x 256 on one thread in float32, of ten."""
    picture = torch.rand(1, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    taken = []
    with torch.inference_mode():
        for _ in range(10):
            started = time.process_time()
            network(picture)
            taken.append(time.process_time() - started)
    return 1000 * min(taken)


def table(rows: list[dict[str, Any]]) -> str:
    """Mean and spread over the seeds, and what it costs."""
    lines = [f"{'decoder':<18} {'valid IoU':>16} {'test IoU':>16} {'CPU s':>7} {'ms':>6} {'M par.':>7} seeds"]
    for name in DECODERS:
        same = [row for row in rows if row["decoder"] == name]
        if same:
            spreads = [
                f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"
                for values in ([row[key] for row in same] for key in ("valid_iou", "test_iou"))
            ]
            cost = [
                statistics.median(row[key] for row in same) for key in ("train_cpu_seconds", "forward_ms")
            ]
            lines.append(
                f"{name:<18} {spreads[0]:>16} {spreads[1]:>16} {cost[0]:>7.0f} {cost[1]:>6.1f} "
                f"{same[0]['parameters'] / 1e6:>7.2f} {len(same)}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
