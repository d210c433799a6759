"""The page on adding a flavor shows the package that stands in examples/, which has its own tests there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "packml-perpetual"
BLOCKS = re.findall(
    r"```(?:python|toml)\n(.*?)```", (ROOT / "docs" / "adding-a-flavor.md").read_text("utf-8"), re.DOTALL
)


@pytest.mark.parametrize("name", ["pyproject.toml", "packml_perpetual.py", "test_perpetual.py"])
def test_the_page_shows_the_file(name: str) -> None:
    assert (PACKAGE / name).read_text(encoding="utf-8") in BLOCKS
