"""Simplified polygons have the borders of their neighbours, whatever the raster."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from flexunet.vector import Tracer
from flexunet.vector.simplify import simplified


@settings(max_examples=40, deadline=None)
@given(
    size_hw=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    classes=st.integers(2, 4),
    block_pixels=st.integers(1, 300),
    tolerance_px=st.sampled_from([0.5, 1.0, 3.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_gap_no_overlap_no_polygon_lost(
    size_hw: tuple[int, int], classes: int, block_pixels: int, tolerance_px: float, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, size_hw).astype(np.uint8).repeat(2, 0)
    tracer = Tracer(size_hw[1], skip=(0,), together=True, block_pixels=block_pixels)
    for batch in [*tracer.add(labels), *tracer.finish()]:
        smooth = simplified(batch.outlines, tolerance_px)
        shapes = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, smooth.coordinates, (smooth.ring_offsets, smooth.polygon_offsets)
        )
        assert len(shapes) == len(batch)
        assert shapely.is_valid(shapes).all()
        assert not shapely.is_empty(shapes).any()
        assert shapely.coverage_is_valid(shapes)


def test_without_the_libraries_the_pip_command_is_named() -> None:
    code = (
        "import sys; sys.modules['shapely'] = None\n"
        "from flexunet.errors import MissingExtraError\n"
        "try:\n    import flexunet.vector\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "flexunet[geo]"' in done.stdout
