"""What a model was trained on, as far as it is here, and whether what it is judged on leaks from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..check.verdict import Verdict, not_checked, quick_verdict
from ..config.schema import DataConfig
from ..data import Store, has_validation, open_store
from ..data.folders import Split
from ..errors import FlexunetError
from ..modelfile import ORIGINS, ModelRecord, others_of
from .opening import as_read_by


@dataclass(frozen=True)
class Trained:
    """The splits with the pictures that a model was trained on; empty where they are not known."""

    stores: Mapping[Split, Store] = field(default_factory=dict)
    why_unknown: str = ""


def trained_on(record: ModelRecord, data: DataConfig) -> Trained:
    """The splits of `data` that hold what a model, or the members of an ensemble, were trained on.

    Train; of an ensemble of folds also the validation split, for each member is trained on most of both.
    """
    data = as_read_by(record, data)
    if len(members_prints(record)) > 1:  # the table of one fold says nothing about the others
        data = data.model_copy(update={"folds": None, "fold": None})
    try:
        train = open_store(data, "train")
    except FlexunetError:
        return Trained(why_unknown="the training pictures are not here")
    if len(members_prints(record)) > 1:
        return _trained_on_by_members(record, data, train)
    if record.fingerprint and train.fingerprint != record.fingerprint:
        return Trained(why_unknown="the model was trained on other pictures than those in train")
    return Trained({"train": train})


def leakage_of(
    record: ModelRecord, trained: Trained, data: DataConfig, split: Split, store: Store
) -> Verdict:
    """Whether pictures of the split are, or have copies among, those the model was trained on.

    Models that it came of count: where they were trained on the split's pictures it is a leak, and where they
    were trained on pictures that are not here the verdict says so.
    """
    if split == "train":
        return not_checked(split, "these are the training pictures themselves")
    not_compared = []
    known = {trained_store.fingerprint for trained_store in trained.stores.values()}
    for part, other in others_of(record):
        pictures = other.get("learned_from")
        if pictures and store.fingerprint in pictures:
            reason = f"{ORIGINS[part]}, {other['name']}, was trained on these pictures"
            return Verdict("leak", "full", split, pictures=len(store), reason=reason)
        if not pictures or not known.issuperset(pictures):
            not_compared.append(f"{ORIGINS[part]} ({other['name']})")
    verdict = _own_leakage(record, trained, data, split, store)
    return replace(verdict, not_compared=tuple(dict.fromkeys(not_compared)))


def _own_leakage(
    record: ModelRecord, trained: Trained, data: DataConfig, split: Split, store: Store
) -> Verdict:
    if not trained.stores:
        return not_checked(split, trained.why_unknown)
    if split in trained.stores:
        reason = "members of the ensemble were trained on these pictures"
        return Verdict(
            "leak", "full", split, pictures=len(store), reason=reason, trained=tuple(trained.stores)
        )
    stores = trained.stores
    return quick_verdict(stores["train"], store, split, as_read_by(record, data), valid=stores.get("valid"))


def members_prints(record: ModelRecord) -> dict[str | None, int | None]:
    """Number of training images by their fingerprint, of the members of an ensemble."""
    return {member.fingerprint: member.training.get("images") for member in record.members}


def _trained_on_by_members(record: ModelRecord, data: DataConfig, train: Store) -> Trained:
    valid = None
    if has_validation(data):
        try:
            valid = open_store(data, "valid")
        except FlexunetError:
            return Trained(why_unknown="the pictures that its members were trained on are not all here")
    prints = members_prints(record)
    whole = {train.fingerprint} | ({valid.fingerprint} if valid is not None else set())
    parts = [images for print_, images in prints.items() if print_ not in whole]
    if parts and not _are_folds(parts, len(train) + (0 if valid is None else len(valid))):
        return Trained(why_unknown="its members were trained on other pictures than those in train")
    stores: dict[Split, Store] = {"train": train}
    if valid is not None and (parts or valid.fingerprint in prints):
        stores["valid"] = valid
    return Trained(stores)


def _are_folds(images: list[int | None], whole: int) -> bool:
    """Whether parts of so many images can be a whole without one fold each: together (n - 1) times it."""
    known = [number for number in images if number is not None]
    return len(known) == len(images) > 1 and sum(known) == (len(known) - 1) * whole
