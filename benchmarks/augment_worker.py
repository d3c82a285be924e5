"""One library's data path on one thread, told what to do line by line; run by `bench_augment.py`.

    python augment_worker.py albumentations|kornia IMAGE MASK [IMAGE MASK ...]

A line "OPERATIONS SIZE SOURCE" on standard input (source: memory or files) is answered by a line of JSON with
the CPU seconds and the wall seconds that one pass over the pictures took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import cv2
import numpy as np

cv2.setNumThreads(1)
MEAN, STD = (100.0, 105.0, 90.0), (50.0, 45.0, 42.0)
BATCH = 16
Pair = tuple[np.ndarray, np.ndarray]


def read(pair: tuple[str, str]) -> Pair:
    """RGB (H, W, 3) and classes (H, W), both uint8."""
    image = cv2.cvtColor(cv2.imread(pair[0], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return image, (cv2.imread(pair[1], cv2.IMREAD_GRAYSCALE) > 127).astype(np.uint8)


def albumentations_pass(operations: str, size: int) -> Callable[[Iterator[Pair]], None]:
    """Every picture through a pipeline of Albumentations, to float32 (3, H, W) and uint8 (H, W)."""
    import albumentations as A

    border = cv2.BORDER_REFLECT_101
    steps: list[Any] = [
        A.Resize(size, size),
        A.HorizontalFlip(p=0.5),
        A.VerticalFlip(p=0.5),
        A.RandomRotate90(p=0.75),
        A.Affine(
            scale=(0.7, 1.4), translate_percent=(-0.1, 0.1), rotate=(-180, 180), border_mode=border, p=1
        ),
    ]
    if operations != "default":
        steps += [
            A.Perspective(scale=(0.05, 0.1), border_mode=border, p=0.5),
            A.ElasticTransform(alpha=300, sigma=8, border_mode=border, p=0.5),
            A.GridDistortion(border_mode=border, p=0.5),
        ]
    saturation = 0.0 if operations == "default" else 0.2
    steps.append(
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=(1 - saturation, 1 + saturation), hue=0, p=1)
    )
    if operations != "default":
        steps += [A.Sharpen(p=0.2), A.RandomGamma(gamma_limit=(70, 150), p=0.5)]
        if operations == "everything":
            steps += [A.RandomShadow(p=0.2), A.RandomFog(p=0.2)]
        steps += [
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.5), p=0.3),
            A.GaussNoise(std_range=(0.005, 0.03), p=0.3),
            A.ImageCompression(quality_range=(30, 90), p=0.3),
            A.ChannelDropout(p=0.2),
        ]
    steps.append(A.Normalize(mean=[m / 255 for m in MEAN], std=[s / 255 for s in STD]))
    pipeline = A.Compose(steps, seed=0)

    def one_pass(pairs: Iterator[Pair]) -> None:
        for image, mask in pairs:
            made = pipeline(image=image, mask=mask)
            np.ascontiguousarray(made["image"].transpose(2, 0, 1))

    return one_pass


def kornia_pass(operations: str, size: int) -> Callable[[Iterator[Pair]], None]:
    """Batches through a pipeline of kornia, to float32 (B, 3, H, W) and (B, 1, H, W)."""
    import kornia.augmentation as K
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(1)
    torch.manual_seed(0)
    steps: list[Any] = [
        K.RandomHorizontalFlip(p=0.5),
        K.RandomVerticalFlip(p=0.5),
        K.RandomAffine(180, translate=(0.1, 0.1), scale=(0.7, 1.4), padding_mode="reflection", p=1.0),
    ]
    if operations != "default":
        steps += [
            K.RandomPerspective(0.2, p=0.5),
            K.RandomElasticTransform(kernel_size=(33, 33), sigma=(8.0, 8.0), p=0.5),
        ]
    saturation = 0.0 if operations == "default" else 0.2
    steps.append(K.ColorJiggle(0.2, 0.2, saturation, 0.0, p=1.0))
    if operations != "default":
        steps += [
            K.RandomSharpness(p=0.2),
            K.RandomGamma((0.7, 1.5), p=0.5),
            K.RandomGaussianBlur((9, 9), (0.4, 1.5), p=0.3),
            K.RandomGaussianNoise(std=0.02, p=0.3),
            K.RandomJPEG((30.0, 90.0), p=0.3),
            K.RandomChannelDropout(p=0.2),
        ]
    steps.append(K.Normalize(torch.tensor(MEAN) / 255, torch.tensor(STD) / 255))
    pipeline = K.AugmentationSequential(*steps, data_keys=["input", "mask"])

    def resized(image: np.ndarray, mask: np.ndarray) -> tuple[Any, Any]:
        picture = torch.from_numpy(image).permute(2, 0, 1)[None].float().div_(255)
        labels = torch.from_numpy(mask)[None, None].float()
        shown = F.interpolate(picture, (size, size), mode="bilinear", antialias=True)
        return shown, F.interpolate(labels, (size, size), mode="nearest")

    def one_pass(pairs: Iterator[Pair]) -> None:
        waiting: list[tuple[Any, Any]] = []
        for pair in pairs:
            waiting.append(resized(*pair))
            if len(waiting) == BATCH:
                pipeline(*(torch.cat(each) for each in zip(*waiting, strict=True)))
                waiting.clear()
        if waiting:
            pipeline(*(torch.cat(each) for each in zip(*waiting, strict=True)))

    return one_pass


def main() -> None:
    """Answer until the input ends."""
    library, files = sys.argv[1], sys.argv[2:]
    names = list(zip(files[::2], files[1::2], strict=True))
    decoded = [read(pair) for pair in names]
    make = {"albumentations": albumentations_pass, "kornia": kornia_pass}[library]
    passes: dict[tuple[str, int], Callable[[Iterator[Pair]], None]] = {}
    for line in sys.stdin:
        operations, size, source = line.split()
        key = (operations, int(size))
        if key not in passes:
            passes[key] = make(*key)
            passes[key](iter(decoded[:3]))
        wall, cpu = time.perf_counter(), time.process_time()
        passes[key](iter(decoded) if source == "memory" else map(read, names))
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)


if __name__ == "__main__":
    main()
