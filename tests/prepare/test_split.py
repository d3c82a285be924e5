"""Groups never part, shares are met, and the draw depends on nothing but its inputs."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, integers, lists, sampled_from, tuples

from flexunet.prepare.split import SPLITS, share_strata, split_counts, split_groups

ITEMS = dictionaries(
    integers(0, 500).map(lambda number: f"item{number}"),
    tuples(sampled_from("abcdefghijklmnop"), sampled_from(["images", "negatives"])),
    min_size=1,
    max_size=60,
)


@given(count=integers(0, 1000), shares=lists(integers(0, 9), min_size=3, max_size=3).filter(any))
def test_counts_add_up_and_stay_within_one_of_the_exact_share(count: int, shares: list[int]) -> None:
    counts = split_counts(count, shares)
    assert sum(counts) == count
    assert all(abs(got - count * share / sum(shares)) < 1 for got, share in zip(counts, shares, strict=True))


@given(items=ITEMS, seed=integers(0, 99))
def test_groups_stay_together_in_any_order_of_the_items(items: dict[str, tuple[str, str]], seed: int) -> None:
    groups = {item: group for item, (group, _) in items.items()}
    strata = {item: stratum for item, (_, stratum) in items.items()}
    splits = split_groups(groups, strata, (70, 15, 15), seed)
    assert splits.keys() == items.keys()
    assert len({(groups[item], split) for item, split in splits.items()}) == len(set(groups.values()))
    backwards = dict(reversed(groups.items()))
    assert split_groups(backwards, strata, (70, 15, 15), seed) == splits


def test_single_items_meet_the_shares_of_each_stratum_exactly() -> None:
    items = {f"i{number:03d}": "images" if number < 200 else "negatives" for number in range(300)}
    splits = split_groups({item: item for item in items}, items, (70, 15, 15), seed=3)
    counts = Counter((items[item], split) for item, split in splits.items())
    assert [counts["images", split] for split in SPLITS] == [140, 30, 30]
    assert [counts["negatives", split] for split in SPLITS] == [70, 15, 15]


def test_another_seed_draws_another_split() -> None:
    items = {f"i{number}": f"i{number}" for number in range(50)}
    strata = dict.fromkeys(items, "images")
    assert split_groups(items, strata, (2, 1, 1), 1) != split_groups(items, strata, (2, 1, 1), 2)


@pytest.mark.parametrize("shares", [(1, 0, 0), (0.8, 0, 0.2)])
def test_a_split_without_share_gets_nothing_not_even_a_group_too_large(shares: tuple[float, ...]) -> None:
    groups = {f"i{number}": "one" if number < 9 else f"i{number}" for number in range(10)}
    splits = split_groups(groups, dict.fromkeys(groups, "images"), shares, seed=0)
    assert "valid" not in splits.values()


@given(seed=integers(0, 10_000), scenes=integers(3, 12), tiles=integers(1, 6))
def test_no_split_with_a_share_stays_empty_while_there_are_groups_enough(
    seed: int, scenes: int, tiles: int
) -> None:
    """As of Sichuan's ten scenes in four tiles each, of which one seed in three had no test split."""
    generator = np.random.default_rng(seed)
    groups = {f"s{scene}_{tile}": f"s{scene}" for scene in range(scenes) for tile in range(tiles)}
    strata = share_strata({name: float(generator.random()) for name in groups})
    chosen = split_groups(groups, strata, (70, 15, 15), seed)
    assert set(chosen.values()) == {"train", "valid", "test"}
    assert all(chosen[name] == chosen[f"{group}_0"] for name, group in groups.items())
