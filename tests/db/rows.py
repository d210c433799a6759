"""Words, numbers, comparisons and pages that the tests of searches share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from pack.db.paging import Page
from tests.db.oracle import Condition, Term

T = TypeVar("T")
EXAMPLES = 400 if os.environ.get("PACK_TEST_FULL_SIZE") else 60
WORDS = ["a", "A", "ab", "a%", "a_b", "é", "É", "ß", "SS", "", "'; DROP TABLE runs; --", 'a"`b', "🚀", "10", "9"]
KEYS = ["k", "k 2", "a.b/c-d", "é", "5"]
NUMBERS = [0.0, -0.0, 0.1, 0.3, 0.1 + 0.2, 1.0, -1.0, 1e308, 5e-324, 2.0**53]
TEXT_OPS = ["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"]
NUMBER_OPS = ["=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN"]

words = st.sampled_from(WORDS)
numbers = st.sampled_from(NUMBERS)
metrics = st.sampled_from([*NUMBERS, math.nan, math.inf, -math.inf])


def tables(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(KEYS), values, max_size=3)


def conditions(texts: Sequence[tuple[str, str]], counts: Sequence[tuple[str, str]]) -> st.SearchStrategy[Condition]:
    """Comparisons of names that hold texts, and of names that hold numbers."""

    def compared(
        names: Sequence[tuple[str, str]], ops: list[str], values: st.SearchStrategy[Any]
    ) -> st.SearchStrategy[Condition]:
        def valued(op: str) -> st.SearchStrategy[Any]:
            return st.lists(values, min_size=1, max_size=3).map(tuple) if op.endswith("IN") else values

        return st.sampled_from(ops).flatmap(
            lambda op: st.builds(
                lambda name, value: Condition(name[0], name[1], op, value), st.sampled_from(names), valued(op)
            )
        )

    patterns = words | st.text("aAb%_éß", max_size=4)
    return compared(texts, TEXT_OPS, patterns) | compared(counts, NUMBER_OPS, numbers | st.integers(0, 2))


def names(entity: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    return [(entity, key) for key in keys]


def orders(found: Sequence[tuple[str, str]]) -> st.SearchStrategy[list[Term]]:
    """Up to three terms of different names."""
    term = st.builds(lambda name, down: Term(name[0], name[1], down), st.sampled_from(found), st.booleans())
    return st.lists(term, max_size=3, unique_by=lambda term: (term.entity, term.key))


def joined(page: Callable[[int, str | None], Page[T]], size: int) -> list[T]:
    """Every page of a search, one after the other."""
    found: list[T] = []
    token = None
    for _ in range(1000):
        got = page(size, token)
        assert len(got) == size or got.token is None
        found += got
        token = got.token
        if token is None:
            return found
    raise AssertionError("the pages never end")
