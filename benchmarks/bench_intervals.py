"""How often 95 % intervals of a pooled IoU hold the truth, on simulated groups whose truth is known.

    python benchmarks/bench_intervals.py --samples 2000

The groups are those of tests/metrics/test_bootstrap.py. For each number of groups: the share of samples in
which the percentile interval, BCa and ours hold the IoU of the whole population. `results/intervals.json`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "metrics"))

from test_bootstrap import draw_groups, iou

from flexunet.metrics.bootstrap import bootstrap_interval
from machine import machine_facts, save

NORMAL = NormalDist()


def plain_intervals(counts: np.ndarray, rng: np.random.Generator, draws: int) -> dict[str, np.ndarray]:
    """Percentile and BCa interval (Efron 1987) of the IoU over groups, float64 (2,) each."""
    number, value = len(counts), float(iou(counts.sum(0, keepdims=True))[0])
    drawn = iou(rng.multinomial(number, np.full(number, 1 / number), draws) @ counts)
    left_out = iou(counts.sum(0) - counts)
    away = left_out.mean() - left_out
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    bias = NORMAL.inv_cdf(float(np.clip((drawn < value).mean(), 1e-4, 1 - 1e-4)))
    tails = [
        NORMAL.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        for z in (NORMAL.inv_cdf(0.025), NORMAL.inv_cdf(0.975))
    ]
    return {"percentile": np.quantile(drawn, [0.025, 0.975]), "BCa": np.quantile(drawn, tails)}


def main() -> None:
    """Print one line a number of groups, and save all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1200)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--groups", type=int, nargs="+", default=[15, 30, 87])
    given = parser.parse_args()
    shares: dict[str, dict[str, float]] = {}
    truth = float(iou(draw_groups(2_000_000, np.random.default_rng(99)).sum(0, keepdims=True))[0])
    for number in given.groups:
        rng = np.random.default_rng(11)
        held = {"percentile": 0, "BCa": 0, "ours": 0}
        for _ in range(given.samples):
            counts = draw_groups(number, rng)
            found = plain_intervals(counts, rng, given.draws)
            ours = bootstrap_interval(counts, iou, draws=given.draws)
            if ours is not None:
                found["ours"] = np.array([ours.low, ours.high])
            for name, (low, high) in found.items():
                held[name] += low <= truth <= high
        shares[f"{number} groups"] = {name: round(count / given.samples, 4) for name, count in held.items()}
        shown = ", ".join(f"{name} {share:.3f}" for name, share in shares[f"{number} groups"].items())
        print(f"{number} groups, {given.samples} samples: {shown}", flush=True)
    setting = {"samples": given.samples, "draws": given.draws, "true_iou": round(truth, 4)}
    save("intervals", {"machine": machine_facts(1), **setting, "share_that_hold_the_truth": shares})


if __name__ == "__main__":
    main()
