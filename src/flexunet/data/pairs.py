"""Which mask belongs to which image: by name, never by position."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.schema import DataConfig, SplitConfig
from ..errors import DataError, Problem
from ..raster import IMAGE_SUFFIXES
from .folders import MASK_SUFFIXES, Found, list_files

Key = Hashable
KeyRule = Callable[[Found], Key | None]

_ROLE_WORDS = frozenset(
    [
        "image",
        "images",
        "img",
        "mask",
        "masks",
        "label",
        "labels",
        "lbl",
        "gt",
        "groundtruth",
        "truth",
        "seg",
        "segmentation",
        "annotation",
        "annotations",
    ]
)
_LISTED = 12
_ORPHAN_CURE = (
    "Add what is missing, name folders of pictures without any object as negatives, or leave such files out: "
    'data.on_orphan = "skip".'
)


@dataclass(frozen=True)
class Pair:
    """An image and its mask; `id` is unique in its split and fit for a file name."""

    id: str
    image: Path
    mask: Path | None
    """None: a negative, every pixel is background."""


@dataclass(frozen=True)
class Pairing:
    """All pairs of a split, what had to be assumed to find them, and what is wrong."""

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


def find_pairs(folders: SplitConfig, data: DataConfig) -> tuple[Pair, ...]:
    """The pairs of a split, sorted by id; see `match_files` for the rules.

    Raises:
        DataError: folders missing, unreadable or empty; orphans (unless `data.on_orphan` is "skip"); names
        that could
            mean two files. Everything wrong is listed.
    """
    pairing = match_files(folders, data)
    if pairing.problems:
        raise DataError("images and masks do not pair up:", pairing.problems)
    return pairing.pairs


def match_files(folders: SplitConfig, data: DataConfig) -> Pairing:
    """Match images and masks by stem (Unicode NFC, any case of the extension).

    What has no partner by its exact stem is then matched, all of it or as far as it is unambiguous, by
    1. the words and numbers of the stem without words such as image, mask, label: `image_1` and `mask_1`,
       `Landslide003` and `LandslideLabel003`, `ZY_17` and `ZY_17_mask`, `tile 5` and `tile 05`;
    2. the numbers alone, if they tell all that is left apart and the rest of the names is the same in all
    images
       and the same in all masks: `S2_001` and `landcover-1`.
    Pairs found that way are listed in the notes. With `image_pattern` and `mask_pattern` their groups are
    the only key. Two files of one key are reported, never chosen from.
    """
    images: list[Found] = []
    masks: list[Found] = []
    problems: list[Problem] = []
    notes: list[str] = []
    skipped = 0
    if folders.images or folders.masks or not folders.negatives:
        images, problems, skipped = list_files(folders.images, IMAGE_SUFFIXES, "images")
        masks, more, others = list_files(folders.masks, MASK_SUFFIXES, "masks")
        problems, skipped = problems + more, skipped + others
    if skipped:
        notes.append(f"{skipped} files skipped that are not named like pictures")
    if problems and not (images and masks):
        negatives, more, _ = _negatives(folders)
        return Pairing((), tuple(notes), tuple(problems + more))
    if len({found.group for found in masks}) < 2 or len({found.group for found in images}) < 2:
        images = [Found(found.path, "") for found in images]
        masks = [Found(found.path, "") for found in masks]
    matcher = _Matcher(images, masks)
    if data.image_pattern is not None and data.mask_pattern is not None:
        _match_patterns(matcher, data.image_pattern, data.mask_pattern)
    else:
        _match_names(matcher)
    negatives, more, _ = _negatives(folders)
    problems += more + matcher.problems
    orphans = matcher.orphans()
    if data.on_orphan == "error":
        problems += orphans
    elif orphans:
        notes += [f"left out: {replace(orphan, cure=None)}" for orphan in orphans]
    pairs = _named([*matcher.pairs, *((found, None) for found in negatives)])
    if not pairs and not problems:
        problems.append(Problem("no image has a mask"))
    return Pairing(tuple(pairs), tuple(notes + matcher.notes), tuple(problems))


class _Matcher:
    """Images and masks still without partner, and the pairs made so far."""

    def __init__(self, images: list[Found], masks: list[Found]) -> None:
        self.images, self.masks = images, masks
        self.pairs: list[tuple[Found, Found | None]] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def match(self, image_key: KeyRule, mask_key: KeyRule, remark: str | None = None) -> None:
        """Pair what has the same key; keys that more than one image or mask has become problems."""
        by_image, by_mask = _grouped(self.images, image_key), _grouped(self.masks, mask_key)
        made = []
        used: set[Path] = set()
        for key, images in by_image.items():
            masks = by_mask.get(key, [])
            if len(images) == 1 and len(masks) == 1:
                made.append((images[0], masks[0]))
            elif masks or len(images) > 1:
                self.problems.append(_ambiguous(images, masks))
                if not masks:
                    self.problems += [Problem("has no mask", path=found.path) for found in images]
            else:
                continue
            used.update(found.path for found in (*images, *masks))
        for key, masks in by_mask.items():
            if len(masks) > 1 and key not in by_image:
                self.problems.append(_ambiguous([], masks))
                used.update(found.path for found in masks)
        self.pairs += made
        self.images = [found for found in self.images if found.path not in used]
        self.masks = [found for found in self.masks if found.path not in used]
        if made and remark:
            shown = ", ".join(f"{image.path.name} with {mask.path.name}" for image, mask in made[:_LISTED])
            more = f" and {len(made) - _LISTED} more" if len(made) > _LISTED else ""
            self.notes.append(f"{len(made)} pairs {remark}: {shown}{more}")

    def orphans(self) -> list[Problem]:
        """One problem for each file without partner; the cure stands at the last one."""
        problems = [Problem("has no mask", path=found.path) for found in self.images] + [
            Problem("has no image", path=found.path) for found in self.masks
        ]
        return [*problems[:-1], *(replace(problem, cure=_ORPHAN_CURE) for problem in problems[-1:])]


def _match_names(matcher: _Matcher) -> None:
    """Exact stems, then words without their role, then numbers alone."""
    matcher.match(_by_stem, _by_stem)
    if not (matcher.images and matcher.masks):
        return
    if _tells_apart(matcher.images, _by_words) and _tells_apart(matcher.masks, _by_words):
        matcher.match(_by_words, _by_words, "by the words and numbers of their names")
    if matcher.images and matcher.masks:
        rules = _number_rules(matcher.images, matcher.masks)
        if rules is not None:
            matcher.match(*rules, "by the numbers in their names")


def _match_patterns(matcher: _Matcher, image_pattern: str, mask_pattern: str) -> None:
    """Pair by the groups of the user's patterns."""
    if {found.path for found in matcher.images} & {found.path for found in matcher.masks}:
        # One folder holds both: each pattern also picks its files. Masks are often named image + suffix.
        matcher.masks = [found for found in matcher.masks if re.search(mask_pattern, found.stem)]
        taken = {found.path for found in matcher.masks}
        matcher.images = [
            found
            for found in matcher.images
            if found.path not in taken and re.search(image_pattern, found.stem)
        ]
    matcher.match(_by_groups(image_pattern), _by_groups(mask_pattern), "by pattern")


def _by_stem(found: Found) -> Key:
    return found.group, found.stem


def _by_words(found: Found) -> Key | None:
    words = [word for word in _words(found.stem) if word not in _ROLE_WORDS]
    return (found.group, *words) if words else None


def _by_groups(pattern: str) -> KeyRule:
    compiled = re.compile(pattern)

    def key(found: Found) -> Key | None:
        match = compiled.search(found.stem)
        return (found.group, *match.groups()) if match else None

    return key


def _words(stem: str) -> list[str | int]:
    """Words in lower case and numbers as integers: "LandslideLabel003" gives landslide, label, 3."""
    parts = re.findall(r"\d+|[^\W\d_]+", stem)
    words: list[str | int] = []
    for part in parts:
        if part.isdecimal():
            words.append(int(part))
        else:
            words += [word.lower() for word in re.findall(r"[A-Z]?[^A-Z]+|[A-Z]+", part)]
    return words


def _tells_apart(found: list[Found], rule: KeyRule) -> bool:
    """Whether no two files share a key."""
    keys = [key for key in map(rule, found) if key is not None]
    return len(set(keys)) == len(keys)


def _number_rules(images: list[Found], masks: list[Found]) -> tuple[KeyRule, KeyRule] | None:
    """Keys by numbers, or None unless they tell all files apart, match completely and stand in equal text.

    Where the names of one side have more numbers, those that never change (the 2 of `S2_`) are left out.
    """
    columns = []
    for side in (images, masks):
        if len({re.sub(r"\d+", "#", found.stem) for found in side}) != 1:
            return None
        columns.append(list(zip(*(_numbers(found) for found in side), strict=True)))
    fewest = min(map(len, columns))
    rules = []
    for table in columns:
        telling = [i for i, column in enumerate(table) if len(table) == fewest or len(set(column)) > 1]
        rules.append(_by_numbers(telling))
    keys = [[rule(found) for found in side] for rule, side in zip(rules, (images, masks), strict=True)]
    complete = fewest > 0 and set(keys[0]) == set(keys[1]) and len(set(keys[0])) == len(images) == len(masks)
    return (rules[0], rules[1]) if complete else None


def _numbers(found: Found) -> tuple[int, ...]:
    return tuple(word for word in _words(found.stem) if isinstance(word, int))


def _by_numbers(telling: list[int]) -> KeyRule:
    def key(found: Found) -> Key:
        numbers = _numbers(found)
        return (found.group, *(numbers[i] for i in telling))

    return key


def _grouped(files: Iterable[Found], rule: KeyRule) -> dict[Key, list[Found]]:
    groups: dict[Key, list[Found]] = defaultdict(list)
    for found in files:
        key = rule(found)
        if key is not None:
            groups[key].append(found)
    return groups


def _ambiguous(images: list[Found], masks: list[Found]) -> Problem:
    names = [str(found.path) for found in (*images, *masks)]
    side = "images" if len(images) > 1 else "masks"
    return Problem(f"{side} of one name: {', '.join(names)}", cure="Keep one of them, or pair by patterns.")


def _negatives(folders: SplitConfig) -> tuple[list[Found], list[Problem], int]:
    if not folders.negatives:
        return [], [], 0
    return list_files(folders.negatives, IMAGE_SUFFIXES, "negatives")


def _named(pairs: list[tuple[Found, Found | None]]) -> list[Pair]:
    """Pairs with ids: the stem, with its group or `negative` before it where stems meet."""
    count = Counter(image.stem.casefold() for image, _ in pairs)
    named = []
    taken: set[str] = set()
    for image, mask in pairs:
        name = image.stem
        if count[name.casefold()] > 1:
            parts = (image.group.replace("/", "-"), "negative" if mask is None else "", name)
            name = "_".join(part for part in parts if part)
        while name.casefold() in taken:
            name += f"_{image.path.suffix[1:].lower()}"
        taken.add(name.casefold())
        named.append(Pair(name, image.path, mask.path if mask else None))
    return sorted(named, key=lambda pair: pair.id)
