"""What a search means, said once more in plain Python: the store's answers are compared with it."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float | None
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass
class Row:
    """Something that is found: columns, facts by key (such as metrics), and linked things with columns of their own."""

    id: str
    columns: dict[str, Value] = field(default_factory=dict)
    facts: dict[str, dict[str, Value]] = field(default_factory=dict)
    linked: dict[str, list[dict[str, Value]]] = field(default_factory=dict)

    def values(self, entity: str, key: str) -> list[Value]:
        """What a name stands for: one value, None where the row has none; of linked things as many as there are."""
        if entity in self.linked:
            return [one[key] for one in self.linked[entity]]
        return [self.facts[entity].get(key) if entity in self.facts else self.columns[key]]


@dataclass(frozen=True)
class Condition:
    """One comparison; `value` is a tuple for lists."""

    entity: str
    key: str
    op: str
    value: Any = None

    def text(self) -> str:
        """The comparison as people write it."""
        name = f"{self.entity}.`{self.key}`"
        if self.value is None:
            return f"{name} {self.op}"
        if isinstance(self.value, tuple):
            return f"{name} {self.op} ({', '.join(map(_literal, self.value))})"
        return f"{name} {self.op} {_literal(self.value)}"

    def holds(self, row: Row) -> bool:
        """Whether a row fits."""
        return any(self._fits(value) for value in row.values(self.entity, self.key))

    def _fits(self, value: Value) -> bool:
        if self.op in {"IS NULL", "IS NOT NULL"}:
            return (value is None) == (self.op == "IS NULL")
        if value is None:
            return False  # what a row lacks fits nothing, not even !=
        if self.op in {"IN", "NOT IN"}:
            return not _nan(value) and (value in self.value) == (self.op == "IN")
        if self.op in {"LIKE", "ILIKE"}:
            return like(str(value), self.value, fold=self.op == "ILIKE")
        return _ORDERED[self.op](value, self.value)


@dataclass(frozen=True)
class Term:
    """One term of an order."""

    entity: str
    key: str
    descending: bool = False

    def text(self) -> str:
        """The term as people write it."""
        return f"{self.entity}.`{self.key}`{' DESC' if self.descending else ''}"


def chosen(
    rows: Iterable[Row], conditions: Sequence[Condition], terms: Sequence[Term], ties: Sequence[Term]
) -> list[str]:
    """The ids of the rows that fit, in their order."""
    found = [row for row in rows if all(condition.holds(row) for condition in conditions)]
    for term in reversed([*terms, *ties]):
        found = _sorted(found, term)
    return [row.id for row in found]


def like(value: str, pattern: str, *, fold: bool = False) -> bool:
    """Whether a text has a form, where `%` is any text and `_` any character."""
    if fold:
        value, pattern = value.casefold(), pattern.casefold()
    parts = ({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _sorted(rows: list[Row], term: Term) -> list[Row]:
    """Rows by one term, others left as they stand; NaN and then nothing at all come last in both directions."""
    keyed = [(row.values(term.entity, term.key)[0], row) for row in rows]
    plain: list[tuple[Any, Row]] = [(value, row) for value, row in keyed if value is not None and not _nan(value)]
    # Python keeps equal ones in their order, also when it sorts in reverse.
    plain.sort(key=lambda pair: pair[0], reverse=term.descending)
    return [
        *(row for _, row in plain),
        *(row for value, row in keyed if _nan(value)),
        *(row for value, row in keyed if value is None),
    ]


def _nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
