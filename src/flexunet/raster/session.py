"""Settings of GDAL for a piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
import rasterio.env


@contextmanager
def gdal_session(cache_bytes: int) -> Iterator[None]:
    """Work with a block cache of this size; requests over a network are repeated and cached.

    Within another session the smaller cache holds: who knows what memory there is comes first.
    """
    around = rasterio.env.getenv().get("GDAL_CACHEMAX") if rasterio.env.hasenv() else None
    with rasterio.Env(
        GDAL_CACHEMAX=min(cache_bytes, around) if isinstance(around, int) else cache_bytes,
        GDAL_HTTP_MAX_RETRY=3,
        GDAL_HTTP_RETRY_DELAY=1,
        VSI_CACHE=True,
    ):
        yield
