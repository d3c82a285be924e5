"""Several models as one: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..bands import Bands
from ..errors import ConfigError, Problem
from ..modelfile import ModelRecord
from .tta import ProbabilitiesOf


def mean_of_models(calls: Sequence[ProbabilitiesOf], places: Sequence[slice]) -> ProbabilitiesOf:
    """Images that carry the input of every model, (B, C1 + C2 + ..., H, W), to the mean probabilities.

    `places` are the channels of each model. Models that normalise alike share theirs.
    """

    def mean(images: Tensor) -> Tensor:
        total: Tensor | None = None
        for call, place in zip(calls, places, strict=True):
            found = call(images[:, place])
            total = found.clone() if total is None else total.add_(found)
        assert total is not None
        return total.div_(len(calls))

    return mean


def shared_inputs(bands: Sequence[Bands]) -> tuple[tuple[Bands, ...], tuple[slice, ...]]:
    """The different inputs among those of several models, and where each model finds its own."""
    different = tuple(dict.fromkeys(bands))
    starts = {item: sum(len(other) for other in different[:index]) for index, item in enumerate(different)}
    return different, tuple(slice(starts[item], starts[item] + len(item)) for item in bands)


def check_agreement(records: Sequence[ModelRecord], names: Sequence[str]) -> None:
    """Refuse models that cannot be averaged.

    Raises:
        ConfigError: other classes or other bands than the first one's; all that disagree are named.
    """
    first = records[0]
    problems = []
    for record, name in zip(records[1:], names[1:], strict=True):
        if (record.classes.names, record.classes.background) != (
            first.classes.names,
            first.classes.background,
        ):
            problems.append(Problem(f"{name} knows the classes {', '.join(record.classes.names)}"))
        if (record.bands.names, record.bands.dtype) != (first.bands.names, first.bands.dtype):
            problems.append(
                Problem(f"{name} takes the bands {', '.join(record.bands.names)} ({record.bands.dtype})")
            )
    if problems:
        raise ConfigError(
            f"these models cannot be averaged; {names[0]} knows the classes "
            f"{', '.join(first.classes.names)} and takes the bands {', '.join(first.bands.names)} "
            f"({first.bands.dtype}):",
            problems,
        )
