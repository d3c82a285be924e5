"""The page on augmentation names every key, and its example is a config."""

import re
import tomllib
from pathlib import Path

from flexunet.config import AugmentConfig, MixConfig

PAGE = (Path(__file__).parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")


def test_every_key_is_on_the_page() -> None:
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    named = set(re.findall(r"[a-z_]+", table))
    assert set(AugmentConfig.model_fields) - named - {"enabled", "mix"} == set()
    assert set(MixConfig.model_fields) - named == set()


def test_the_example_is_a_config() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    settings = AugmentConfig.model_validate(tomllib.loads(example)["augment"])
    assert settings.mix is not None
    assert settings.haze is not None
