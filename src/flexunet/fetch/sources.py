"""The public landslide datasets that flexunet knows.

Files, sizes, checksums and licence of a Zenodo record are published by its interface and are read from there
before a download: they are pinned by the record, whose number stands for one version for ever. Of datasets
without such an interface nothing is pinned; their page says how to get them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import DataError

_ZENODO = "https://zenodo.org/api/records/"


@dataclass(frozen=True)
class Source:
    """One dataset."""

    name: str
    title: str
    page: str
    """Address for people."""
    record: str | None
    """Address of a Zenodo record's JSON; None where files have to be fetched from the page by hand."""
    licence: str
    citation: str
    how: str = ""
    """What to do where there is no record, and after the download."""


SOURCES: tuple[Source, ...] = (
    Source(
        "bijie",
        "Bijie: 770 landslide and 2003 other crops, TripleSat 0.8 m, masks, DEM",
        "http://gpcv.whu.edu.cn/data/Bijie_pages.html",
        None,
        "none stated by its authors; for research",
        "Ji, Yu, Shen, Li, Xu (2020), Landslides 17, 1337-1352",
        "Download it from the page, unpack it, then: flexunet prepare FOLDER DST.",
    ),
    Source(
        "landslide4sense",
        "Landslide4Sense: 3799 training chips of 128 x 128, 14 bands (Sentinel-2, slope, DEM), HDF5",
        "https://zenodo.org/records/10463239",
        f"{_ZENODO}10463239",
        "as its Zenodo record says, shown before the download",
        "Ghorbanzadeh, Xu, Ghamisi, Kopp, Kreil (2022), IEEE TGRS 60, doi:10.1109/TGRS.2022.3215209",
        "Unpack the archives, then: flexunet prepare FOLDER DST.",
    ),
    Source(
        "cas",
        "CAS Landslide Dataset: 20 865 chips of nine regions, satellite and UAV",
        "https://zenodo.org/records/10294997",
        f"{_ZENODO}10294997",
        "as its Zenodo record says, shown before the download",
        "Xu, Ouyang, Xu, Wang, Zhao, Luo (2024), Scientific Data 11, 12, doi:10.1038/s41597-023-02847-z",
        "Unpack the archives; each holds img, label and mask.",
    ),
    Source(
        "hr-gldd",
        "HR-GLDD: PlanetScope 3 m, four bands, ten regions, chips with masks",
        "https://doi.org/10.5281/zenodo.7189381",
        f"{_ZENODO}7189381",
        "as its Zenodo record says, shown before the download",
        "Meena, Nava, Bhuyan et al. (2023), Earth Syst. Sci. Data 15, 3283-3298",
    ),
    Source(
        "sichuan",
        "Sichuan: aerial images of landslides and debris flows, 0.2 to 0.9 m, with interpretation",
        "https://doi.org/10.11922/sciencedb.j00001.00222",
        None,
        "CC BY 4.0",
        "Zeng, Cao, Su et al. (2021), Science Data Bank, doi:10.11922/sciencedb.j00001.00222",
        "Download it from the page (Science Data Bank may ask you to sign in), then: flexunet prepare.",
    ),
    Source(
        "mmlsv2",
        "MMLSv2: 664 Martian chips of 128 x 128, seven bands",
        "https://github.com/MAIN-Lab/MMLS_v2",
        None,
        "MIT (its repository)",
        "Paheding et al. (2026), MMLSv2, CVPR Workshops, arXiv:2602.08112",
        "The repository says where the tiles are.",
    ),
)


def find_source(name: str) -> Source:
    """The dataset of a name.

    Raises:
        DataError: there is none of that name; the nearest is told.
    """
    by_name = {source.name: source for source in SOURCES}
    found = by_name.get(name.strip().lower())
    if found is None:
        near = get_close_matches(name.lower(), by_name, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"no dataset is called {name!r}.{hint} Known are: {', '.join(by_name)}.")
    return found
