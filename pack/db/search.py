"""Filters and orders as SQL: names become columns from a fixed table, values become binds, pages go by keys.

A page starts after the key of the last row, not after a number of rows, so that the thousandth page costs what the
first one does. What a row lacks sorts last, and NaN just before it, in both directions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pack.db import paging
from pack.db.database import Connection
from pack.db.grammar import Clause, Name, Order, parse_filter, parse_order, refuse

_TEXT_OPS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
_NUMBER_OPS = ("=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
# SQLite matches no longer pattern than 50,000 bytes, and a character has at most six of them when its case is folded.
MAX_PATTERN = 8000
MAX_NUMBERS = 100


@dataclass(frozen=True)
class Column:
    """A column of the table itself: its SQL, what it holds, and whether rows can be sorted by it.

    `order` is what rows are sorted by where that is not the column as it is compared: ids are texts that count.
    """

    sql: str
    kind: Literal["text", "number"] = "text"
    sortable: bool = True
    nullable: bool = False
    order: str = ""


@dataclass(frozen=True)
class Facts:
    """Keys and values in a table of their own, such as params; `owner` joins a fact `f` to its row.

    `holds` is "text" or, for metrics, "metric": their key is a number, and NaN has a column.
    """

    table: str
    owner: str
    holds: Literal["text", "metric"] = "text"


@dataclass(frozen=True)
class Linked:
    """Columns behind a join, such as the datasets of a run: `source` ends in a WHERE that joins them."""

    source: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """What can be searched: a table, the names that a filter may use, and the order where none is given.

    `ties` makes an order complete: columns that are never NULL, ending with one that no two rows share.
    """

    noun: str
    table: str
    columns: Mapping[str, Column]
    ties: tuple[tuple[str, bool], ...]
    facts: Mapping[str, Facts] = field(default_factory=dict)
    linked: Mapping[str, Linked] = field(default_factory=dict)
    entities: Mapping[str, str] = field(default_factory=dict)
    select: str = ""
    most: int = 50_000

    def names(self) -> str:
        """What a filter may name, for an error."""
        facts = [f"{name}.KEY" for name in self.facts]
        linked = [f"{name}.{key}" for name, found in self.linked.items() for key in found.columns]
        return ", ".join([*self.columns, *facts, *linked])


@dataclass(frozen=True)
class Search:
    """One search: what is asked, of which rows (`where`, SQL with `binds`), how many, and from where."""

    target: Target
    filter_string: str | None = None
    order_by: Sequence[str] | None = None
    where: str = "1"
    binds: Mapping[str, Any] = field(default_factory=dict)
    max_results: int = 1000
    page_token: str | None = None

    def rows(self, connection: Connection) -> paging.Page[Any]:
        """A page of rows."""
        size = paging.check_size(self.max_results, self.target.most)
        query = _Query(self.target, self.binds)
        wheres = [self.where, *(query.clause(clause) for clause in parse_filter(self.filter_string))]
        orders = parse_order(self.order_by)
        terms = query.terms(orders)
        asked = paging.question(self.target.noun, self.where, self.filter_string or "", orders, self.binds)
        start = _start(paging.read_token(self.page_token, asked, 2 * len(terms)))
        rows: list[Any] = []
        for statement, binds in query.stretches(wheres, terms, start):
            rows += connection.all(f"{statement} LIMIT :most", {**binds, "most": size + 1 - len(rows)})
            if len(rows) > size:
                last = rows[size - 1]
                key = [last[f"{part}{place}"] for place in range(len(terms)) for part in ("rank_", "value_")]
                return paging.Page(rows[:size], paging.write_token(asked, key))
        return paging.Page(rows)

    def count(self, connection: Connection) -> int:
        """How many rows there are, without loading them."""
        query = _Query(self.target, self.binds)
        wheres = [self.where, *(query.clause(clause) for clause in parse_filter(self.filter_string))]
        table = self.target.table
        row = connection.one(f"SELECT count(*) AS n FROM {table} WHERE {' AND '.join(wheres)}", query.binds)
        return int(row["n"]) if row else 0


@dataclass(frozen=True)
class _Term:
    """One term of an order: how its rank (0 a value, 1 NaN, 2 nothing) and its value are read, from which join."""

    rank: str
    value: str
    descending: bool
    join: str = ""
    metric: str = ""


class _Query:
    """Collects the binds while clauses and terms become SQL."""

    def __init__(self, target: Target, binds: Mapping[str, Any]) -> None:
        self.target = target
        self.binds: dict[str, Any] = dict(binds)

    def bind(self, value: Any) -> str:
        """A new bind for a value, as it stands in SQL."""
        name = f"v{len(self.binds)}"
        self.binds[name] = value
        return f":{name}"

    def clause(self, clause: Clause) -> str:
        """A comparison as SQL."""
        entity, key = self._named(clause.name)
        if entity in self.target.facts:
            return self._fact(self.target.facts[entity], key, clause)
        if entity in self.target.linked:
            return self._link(self.target.linked[entity], key, clause)
        column = self._column(key, clause.name, "filter")
        _check(clause, column.kind)
        return self._compare(column.sql, clause)

    def terms(self, orders: Sequence[Order]) -> list[_Term]:
        """The terms of an order, completed by the ties."""
        found = [self._term(order, place) for place, order in enumerate(orders)]
        given = {term.value for term in found}
        ties = [_Term("0", self.target.columns[name].sql, down) for name, down in self.target.ties]
        return found + [tie for tie in ties if tie.value not in given]

    def stretches(
        self, wheres: Sequence[str], terms: Sequence[_Term], start: Sequence[Any] | None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The statements whose rows, one after the other, make up the order.

        An order that starts with a metric is walked in three stretches, along the index of values, so that a page
        of it does not sort every run.
        """
        first = terms[0]
        if not first.metric:
            yield self._statement(self.target.table, wheres, terms, start, ranks=None)
            return
        for rank in range(int(start[0]) if start else 0, 3):
            goes_on = start if start and rank == int(start[0]) else None
            if rank < 2:
                source = f"latest_metrics o0 CROSS JOIN {self.target.table} ON {self.target.table}.id = o0.run"
                inside = [f"o0.key = {first.metric}", f"o0.is_nan = {rank}"]
            else:
                source = self.target.table
                absent = f"SELECT 1 FROM latest_metrics WHERE run = {source}.id AND key = {first.metric}"
                inside = [f"NOT EXISTS ({absent})"]
            value = {0: "o0.value", 1: "NULL", 2: "NULL"}[rank]
            fixed = _Term(str(rank), value, first.descending)
            yield self._statement(source, [*inside, *wheres], [fixed, *terms[1:]], goes_on, ranks=rank)

    def _statement(
        self,
        source: str,
        wheres: Sequence[str],
        terms: Sequence[_Term],
        start: Sequence[Any] | None,
        *,
        ranks: int | None,
    ) -> tuple[str, dict[str, Any]]:
        joins = " ".join(term.join for term in terms if term.join)
        keys = ", ".join(f"{term.rank} AS rank_{n}, {term.value} AS value_{n}" for n, term in enumerate(terms))
        after = [self._after(terms, start)] if start else []
        order = ", ".join(
            part
            for n, term in enumerate(terms)
            for part in (
                *([] if term.rank.isdigit() else [f"rank_{n}"]),
                *([] if term.value == "NULL" else [f"{term.value} {'DESC' if term.descending else 'ASC'}"]),
            )
        )
        what = self.target.select or f"{self.target.table}.*"
        return (
            f"SELECT {what}, {keys} FROM {source} {joins} WHERE {' AND '.join([*wheres, *after])} ORDER BY {order}",
            self.binds,
        )

    def _after(self, terms: Sequence[_Term], start: Sequence[Any]) -> str:
        """Whether a row stands behind the place `start` in the order."""
        cases = []
        same: list[str] = []
        for place, term in enumerate(terms):
            rank, value = start[2 * place], start[2 * place + 1]
            here = self.bind(rank)
            beyond = [] if term.rank.isdigit() else [f"{term.rank} > {here}"]
            if value is not None and term.value != "NULL":
                sign = "<" if term.descending else ">"
                further = f"{term.value} {sign} {self.bind(value)}"
                beyond.append(further if term.rank.isdigit() else f"({term.rank} = {here} AND {further})")
            if beyond:
                cases.append(" AND ".join([*same, f"({' OR '.join(beyond)})"]))
            if not term.rank.isdigit():
                same.append(f"{term.rank} = {here}")
            if term.value != "NULL":
                same.append(f"{term.value} IS {self.bind(value)}")
        bound = self._bound(terms[0], start)
        return f"{bound}({' OR '.join(cases) or '0'})"

    def _bound(self, term: _Term, start: Sequence[Any]) -> str:
        """What an index can use of the first term."""
        if not term.rank.isdigit() or term.value == "NULL" or start[1] is None:
            return ""
        return f"{term.value} {'<=' if term.descending else '>='} {self.bind(start[1])} AND "

    def _term(self, order: Order, place: int) -> _Term:
        entity, key = self._named(order.name, "order")
        alias = f"o{place}"
        if entity in self.target.facts:
            facts = self.target.facts[entity]
            metric = facts.holds == "metric"
            owner = facts.owner.replace("f.", f"{alias}.")
            bound = self._metric_key(key) if metric else self.bind(key)
            join = f"LEFT JOIN {facts.table} {alias} ON {owner} AND {alias}.key = {bound}"
            rank = f"CASE WHEN {alias}.key IS NULL THEN 2 ELSE {f'{alias}.is_nan' if metric else '0'} END"
            leads = place == 0 and metric and self.target.table == "runs"
            return _Term(rank, f"{alias}.value", order.descending, join, bound if leads else "")
        if entity in self.target.linked:
            refuse(f"{self.target.noun} cannot be sorted by {entity}", order.name.at, "order", "sort by something else")
        column = self._column(key, order.name, "order")
        if not column.sortable:
            refuse("nothing is sorted by this name", order.name.at, "order", f"use one of {self.target.names()}")
        rank = f"CASE WHEN {column.sql} IS NULL THEN 2 ELSE 0 END" if column.nullable else "0"
        return _Term(rank, column.order or column.sql, order.descending)

    def _named(self, name: Name, noun: str = "filter") -> tuple[str, str]:
        """The entity in its canonical spelling, and the key."""
        if name.entity is None:
            return "attributes", name.key
        entity = self.target.entities.get(name.entity, name.entity)
        if entity not in {"attributes", *self.target.facts, *self.target.linked}:
            refuse("this name is not known here", name.at, noun, f"use one of {self.target.names()}")
        return entity, name.key

    def _column(self, key: str, name: Name, noun: str) -> Column:
        column = self.target.columns.get(key)
        if column is None:
            refuse("this name is not known here", name.at, noun, f"use one of {self.target.names()}")
        return column

    def _fact(self, facts: Facts, key: str, clause: Clause) -> str:
        metric = facts.holds == "metric"
        bound = self._metric_key(key) if metric else self.bind(key)
        inside = f"SELECT 1 FROM {facts.table} f WHERE {facts.owner} AND f.key = {bound}"
        if clause.op == "IS NULL":
            return f"NOT EXISTS ({inside})"
        if clause.op == "IS NOT NULL":
            return f"EXISTS ({inside})"
        _check(clause, "number" if metric else "text")
        compared = self._compare("f.value", _as_doubles(clause) if metric else clause)
        if metric:
            compared = f"(f.is_nan = 1 OR {compared})" if clause.op == "!=" else f"f.is_nan = 0 AND {compared}"
        return f"EXISTS ({inside} AND {compared})"

    def _link(self, linked: Linked, key: str, clause: Clause) -> str:
        column = linked.columns.get(key)
        if column is None:
            refuse("this name is not known here", clause.name.at, hint=f"use one of {self.target.names()}")
        if clause.op in {"IS NULL", "IS NOT NULL"}:
            refuse("this can be compared with a text only", clause.at)
        _check(clause, "text")
        return f"EXISTS (SELECT 1 FROM {linked.source} AND {self._compare(column, clause)})"

    def _metric_key(self, key: str) -> str:
        return f"(SELECT id FROM metric_keys WHERE name = {self.bind(key)})"

    def _compare(self, sql: str, clause: Clause) -> str:
        if clause.op in {"IS NULL", "IS NOT NULL"}:
            return f"{sql} {clause.op}"
        if isinstance(clause.value, tuple):
            return f"{sql} {clause.op} ({self._listed(clause.value)})"
        if clause.op == "ILIKE":
            return f"fold({sql}) LIKE fold({self.bind(clause.value)})"
        return f"{sql} {clause.op} {self.bind(clause.value)}"

    def _listed(self, values: tuple[Any, ...]) -> str:
        """A list in SQL; numbers one by one, since a number in JSON is read less exactly than one that is bound."""
        if isinstance(values[0], str):
            return f"SELECT value FROM json_each({self.bind(json.dumps(values))})"
        return ", ".join(map(self.bind, values))


def _start(key: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """The place where a page starts; raises `InvalidValue` for one that no page ended with."""
    if key and not all(type(rank) is int and 0 <= rank <= 2 for rank in key[::2]):
        raise paging.foreign()
    return key


def _check(clause: Clause, kind: str) -> None:
    """Whether a comparison fits what is compared."""
    number = kind == "number"
    if clause.op not in (_NUMBER_OPS if number else _TEXT_OPS):
        refuse(f"{clause.op} does not compare {'numbers' if number else 'texts'}", clause.at)
    values = clause.value if isinstance(clause.value, tuple) else (clause.value,)
    if clause.op in {"IS NULL", "IS NOT NULL"}:
        return
    if any(isinstance(value, str) == number for value in values):
        expected = "a number, without quotes" if number else "a text, in quotes"
        refuse(f"expected {expected}", clause.at)
    if number and len(values) > MAX_NUMBERS:
        refuse(f"a list has at most {MAX_NUMBERS} numbers", clause.at)
    if clause.op in {"LIKE", "ILIKE"} and len(str(clause.value)) > MAX_PATTERN:
        refuse(f"a pattern has at most {MAX_PATTERN:,} characters", clause.at)


def _as_doubles(clause: Clause) -> Clause:
    """What a metric is compared with, as the kind of number that metrics are."""
    if isinstance(clause.value, tuple):
        return replace(clause, value=tuple(map(float, clause.value)))
    return replace(clause, value=float(clause.value or 0))
