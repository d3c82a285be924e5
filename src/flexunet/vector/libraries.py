"""The libraries of the extra `geo`, or one clear sentence about how to get them."""

from __future__ import annotations

from ..errors import MissingExtraError

try:
    import pyarrow
    import pyogrio
    import pyproj
    import shapely
except ImportError as error:
    raise MissingExtraError(
        f'polygons and vector files need {error.name}, which is not installed: pip install "flexunet[geo]"'
    ) from error

__all__ = ["pyarrow", "pyogrio", "pyproj", "shapely"]
