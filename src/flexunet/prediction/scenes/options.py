"""What a user may ask of a scene, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...raster import Grid

ShareType = Literal["uint8", "float16"]
Confidence = Literal["entropy", "margin"]
PolygonFormat = Literal["gpkg", "geojson", "parquet", "shp"]

Progress = Callable[[str, int, int], None]
"""What is being done and in which unit, how much is done, how much there is in all."""


@dataclass(frozen=True)
class SceneOptions:
    """How a scene is predicted and what is written; a plain value that other machines can be sent."""

    probability: tuple[int, ...] = ()
    """Labels of the classes whose probabilities are written."""
    probability_type: ShareType = "uint8"
    """In 1/254 of a byte, or as 16-bit floats; the confidence too."""
    confidence: Confidence | None = None
    """Also how sure the model is, 0 to 1: 1 - entropy / ln K, or best probability less the second best."""
    applicability: bool = False
    """Also how much the ground is like that of training, 0 to 1, tile by tile; the model file has to know."""
    max_memory: int | None = None
    """Bytes that the process shall not exceed; None: moderate buffers beside what the network needs."""
    resolution: tuple[float, float] | None = None
    """Ground size of a training pixel in metres (height, width), where the model file does not say it."""
    strict: bool = False
    """Refuse a scene of another ground resolution or bands taken by position; else adapt and say so."""
    aoi: Path | None = None
    """Polygons; what lies outside is not predicted and has no data in the results."""
    black_is_data: bool = False
    """Do not look for a black collar."""
    overwrite: bool = False
    """Replace results that are there."""
    part_rows: int | None = None
    """Rows of tiles that are written together; None: as many as make a part of some 30 Mpx."""


@dataclass(frozen=True)
class Products:
    """What is wanted beside the rasters."""

    polygons: PolygonFormat | None = None
    min_area: float = 0.0
    """Of a polygon, in square metres; pixels where the scene has no CRS."""
    simplify: float = 0.0
    """Bends that are left out of polygons, in metres; pixels where the scene has no CRS."""
    dem: Path | None = None
    """Elevations for the polygons' terrain attributes."""
    overlay: bool = False
    html: bool = False
    truth: Path | None = None
    """Labels that the caller scores the class map against."""

    def check(self, grid: Grid, shape: tuple[int, int]) -> None:
        """Refuse what cannot be made for a scene of `shape` (height, width) before it is predicted.

        Raises:
            DataError, RasterError: elevations that cannot be read or laid over the scene.
            MissingExtraError: polygons without the extra `geo`.
        """
        if self.polygons is None:
            return
        from ...vector.measure import Surveyor
        from ...vector.relief import Terrain

        surveyor = Surveyor(grid, shape)
        if self.dem is not None:
            Terrain(self.dem, surveyor).close()


@dataclass(frozen=True)
class SceneResult:
    """The files of one scene."""

    class_map: Path
    """COG, uint8: labels, 255 = no data."""
    probability: Path | None
    """COG, a band for each class asked for; value = stored number * the band's scale."""
    confidence: Path | None
    applicability: Path | None
    """COG, 0 to 1: the share of held-out pictures of the training region that are at least as far."""
    notes: tuple[str, ...]
    """What the owner may want to know: resampled, bands reordered, a collar taken off, work resumed."""
    megapixels: float
    seconds: float
    """From the first read to the last file."""
