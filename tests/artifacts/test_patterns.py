"""Which files patterns choose."""

from __future__ import annotations

import pytest

from pack.artifacts.patterns import Patterns, chosen
from pack.errors import NotFound

FILES = ["MLmodel", "README.md", "data/a.bin", "data/deep/b.bin", "datas.bin", "[x].bin"]


@pytest.mark.parametrize(
    ("allow", "ignore", "expected"),
    [
        (None, None, FILES),
        ("*.bin", None, ["data/a.bin", "data/deep/b.bin", "datas.bin", "[x].bin"]),
        ("data/", None, ["data/a.bin", "data/deep/b.bin"]),
        ("data/*.bin", None, ["data/a.bin", "data/deep/b.bin"]),
        (["MLmodel", "*.md"], None, ["MLmodel", "README.md"]),
        (None, ["data/", "*.md"], ["MLmodel", "datas.bin", "[x].bin"]),
        ("*.bin", "data/deep/*", ["data/a.bin", "datas.bin", "[x].bin"]),
        ("[[]x].bin", None, ["[x].bin"]),
        ("mlmodel", "*", []),
        ([], None, []),
    ],
)
def test_patterns_choose(allow: Patterns, ignore: Patterns, expected: list[str]) -> None:
    if expected:
        assert chosen(FILES, allow, ignore) == expected
    else:
        with pytest.raises(NotFound, match="none of 6 files matches"):
            chosen(FILES, allow, ignore)


def test_no_files_and_no_patterns_are_no_error() -> None:
    assert chosen([]) == []
