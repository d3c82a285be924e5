"""Roads that climb no more than they must, the cuts they need, and houses beside them."""

from __future__ import annotations

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Season
from .noise import Field, blur, fractal, ramp
from .terrain import Terrain


def paint_roads_and_houses(
    canvas: Canvas,
    season: Season,
    terrain: Terrain,
    water: Field,
    generator: np.random.Generator,
) -> None:
    """Up to two roads, paved or of earth, and a hamlet along some of them."""
    paved = np.array([178, 176, 170], np.float32)
    for _ in range(int(generator.integers(0, 3))):
        line = _lay_road(terrain, generator)
        is_paved = generator.random() < 0.45
        width = float(generator.uniform(1.6, 3.0) if is_paved else generator.uniform(1.0, 1.9))
        road = _draw_line(line, width, canvas.size)
        # Cut slopes: soil laid open on the uphill side, where the ground is steep enough to need a cut.
        wide = _draw_line(line, width + float(generator.uniform(3, 7)), canvas.size)
        level = blur(terrain.height_m * (road > 0.5), 4) / np.maximum(
            blur((road > 0.5).astype(np.float32), 4), 1e-3
        )
        uphill = ramp(terrain.height_m - level, 0.2, 1.5) * ramp(terrain.slope_deg, 16, 26)
        ragged = ramp(fractal(canvas.size, generator, largest=12, octaves=3), -0.6, 0.4)
        canvas.paint(wide * uphill * ragged * 0.85, season.soil * 0.97)
        canvas.paint(road, paved if is_paved else season.soil * 1.05)
        if is_paved or generator.random() < 0.5:
            _build_houses(canvas, line, terrain, water, generator)


def _lay_road(terrain: Terrain, generator: np.random.Generator, cell: int = 8) -> NDArray[np.float64]:
    """(n, 2) points (y, x) of the cheapest way between two edges of the scene, where climbing is dear."""
    height = terrain.height_m[::cell, ::cell]
    count = height.shape[0]
    sides = generator.permutation(4)[:2]
    ends = []
    for side in sides:
        place = int(generator.integers(2, count - 2))
        ends.append([(0, place), (place, 0), (count - 1, place), (place, count - 1)][int(side)])
    toll = 1 + 0.25 * np.exp(generator.standard_normal((count, count)))
    cost = {ends[0]: 0.0}
    came: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(0.0, ends[0])]
    levels, tolls = height.tolist(), toll.tolist()
    neighbours = [(a, b, (a * a + b * b) ** 0.5) for a in range(-2, 3) for b in range(-2, 3) if a or b]
    while queue:
        spent, here = heapq.heappop(queue)
        if here == ends[1]:
            break
        if spent > cost[here]:
            continue
        for dy, dx, distance in neighbours:
            row, column = here[0] + dy, here[1] + dx
            if 0 <= row < count and 0 <= column < count:
                run = distance * cell * terrain.pixel_size_m
                grade = (levels[row][column] - levels[here[0]][here[1]]) / run
                price = spent + distance * tolls[row][column] * (1 + (grade / 0.09) ** 2)
                if price < cost.get((row, column), np.inf):
                    cost[row, column], came[row, column] = price, here
                    heapq.heappush(queue, (price, (row, column)))
    cells = [ends[1]]
    while cells[-1] != ends[0]:
        cells.append(came[cells[-1]])
    line = np.array(cells, np.float64) * cell
    for _ in range(3):  # Chaikin's corner cutting
        line = np.concatenate(
            [
                line[:1],
                np.stack([0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]], 1).reshape(
                    -1, 2
                ),
                line[-1:],
            ]
        )
    return line


def _draw_line(line: NDArray[np.float64], width: float, size: int, scale: int = 4) -> Field:
    """Share of each pixel that a line of `width` pixels covers."""
    large = np.zeros((size * scale, size * scale), np.uint8)
    points = np.round((line[:, ::-1] + 0.5) * scale).astype(np.int32)
    cv2.polylines(large, [points], False, 255, max(1, round(width * scale)))
    return (cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) / 255).astype(np.float32)


def _build_houses(
    canvas: Canvas, line: NDArray[np.float64], terrain: Terrain, water: Field, generator: np.random.Generator
) -> None:
    roofs = np.array(
        [[196, 196, 198], [150, 98, 84], [120, 130, 152], [168, 160, 150], [98, 92, 90]], np.float32
    )
    slope = terrain.slope_deg
    centre = line[int(generator.integers(len(line)))]
    for _ in range(int(generator.integers(3, 22))):
        spot = centre + generator.normal(0, 14, 2)
        row, column = (round(value) for value in spot)
        if not (6 <= row < canvas.size - 6 and 6 <= column < canvas.size - 6):
            continue
        if slope[row, column] > 14 or water[row, column] > 0.05:
            continue
        edges = generator.uniform(2.2, 6.5, 2)
        box = cv2.boxPoints(((column * 4.0, row * 4.0), tuple(edges * 4), float(generator.uniform(0, 180))))
        large = np.zeros((canvas.size * 4, canvas.size * 4), np.uint8)
        cv2.fillConvexPoly(large, np.round(box).astype(np.int32), 255)
        share = cv2.resize(large, (canvas.size, canvas.size), interpolation=cv2.INTER_AREA) / np.float32(255)
        roof = roofs[int(generator.integers(len(roofs)))] + np.float32(generator.normal(0, 6))
        canvas.paint(share, roof, 5.0)
