"""Public landslide datasets from the network: what there is, under which licence, downloaded and verified."""

from .download import RemoteFile, download_file
from .fetch import Listing, fetch, list_files
from .sources import SOURCES, Source, find_source

__all__ = [
    "SOURCES",
    "Listing",
    "RemoteFile",
    "Source",
    "download_file",
    "fetch",
    "find_source",
    "list_files",
]
