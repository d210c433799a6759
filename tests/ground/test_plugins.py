from __future__ import annotations

import pytest

from pack.errors import MissingPackage, NotFound
from pack.plugins import Entry, Table

SHAPES = Table("shape", {"circle": Entry("fractions:Fraction"), "far": Entry("not_there_at_all:Far", needs="far-away")})


def test_a_row_is_imported_when_it_is_used() -> None:
    from fractions import Fraction

    assert SHAPES.load("circle") is Fraction


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFound, match="no shape is named 'square'") as error:
        SHAPES["square"]
    assert "circle" in (error.value.hint or "")


def test_a_missing_package_gives_the_exact_command() -> None:
    with pytest.raises(MissingPackage) as error:
        SHAPES.load("far")
    assert error.value.hint == "install it: pip install far-away"


def test_a_table_is_a_mapping_of_its_rows() -> None:
    assert sorted(SHAPES) == ["circle", "far"]
    assert len(SHAPES) == 2
    assert "circle" in SHAPES
    assert "square" not in SHAPES
