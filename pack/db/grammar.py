"""The filter and order language: text in, a small tree out. Whoever compiles the tree never sees the text.

    filter := clause ( AND clause )*
    clause := name op value | name [NOT] IN ( value, ... ) | name IS [NOT] NULL
    name   := [entity .] key            keys may be `backquoted` or "double-quoted", after a dot 'quoted' too
    value  := number | 'text' | "text"  a quote inside is doubled
    op     := = != < <= > >= LIKE ILIKE
    order  := name [ASC | DESC]

The language is MLflow's (interoperability facts, REST API, section 13). Reading takes one pass and time in proportion
to the text; an error says at which character and what was expected there, and repeats nothing of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from pack.errors import InvalidValue

MAX_TEXT = 65_536
MAX_CLAUSES = 100
MAX_ORDERS = 20
Value: TypeAlias = str | int | float | tuple[str | int | float, ...] | None
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|(?<![\w`"])\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?)(?![\w.])
      | (?P<single>'(?:[^']|'')*')
      | (?P<double>"(?:[^"]|"")*")
      | (?P<back>`(?:[^`]|``)*`)
      | (?P<op><=|>=|!=|==|<>|=|<|>)
      | (?P<mark>[(),.])
      | (?P<word>[^\W\d][\w\-/:]*|\d[\w\-/:]*)
    )""",
    re.VERBOSE,
)
_SAME = {"==": "=", "<>": "!="}
_COMPARE = {"LIKE", "ILIKE"}
_HINT = "clauses look like metrics.accuracy > 0.9 AND params.optimizer = 'adam'"


@dataclass(frozen=True)
class Name:
    """What is compared or sorted by: `metrics.loss` is the entity `metrics` and the key `loss`; `at` is its place."""

    entity: str | None
    key: str
    at: int


@dataclass(frozen=True)
class Clause:
    """One comparison. `op` is `= != < <= > >= LIKE ILIKE IN`, `NOT IN`, `IS NULL` or `IS NOT NULL`."""

    name: Name
    op: str
    value: Value = None
    at: int = 0


@dataclass(frozen=True)
class Order:
    """One term of an order."""

    name: Name
    descending: bool = False


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


def parse_filter(text: str | None) -> tuple[Clause, ...]:
    """Read a filter; an empty one has no clauses. Raises `InvalidValue` with the place of the fault."""
    reader = _Reader(text or "", "filter")
    if reader.next.kind == "end":
        return ()
    clauses = [reader.clause()]
    while reader.next.kind != "end":
        if reader.next.upper != "AND":
            reader.fail("AND or the end")
        reader.take()
        clauses.append(reader.clause())
        if len(clauses) > MAX_CLAUSES:
            reader.fail(f"at most {MAX_CLAUSES} clauses")
    return tuple(clauses)


def parse_order(texts: Sequence[str] | None) -> tuple[Order, ...]:
    """Read the terms of an order; raises `InvalidValue` with the place of the fault, and for a term given twice."""
    given = [texts] if isinstance(texts, str) else texts or ()
    if not isinstance(given, (list, tuple)):
        raise InvalidValue("an order is a list of terms", hint='write it like ["metrics.accuracy DESC"]')
    if len(given) > MAX_ORDERS:
        raise InvalidValue(f"an order has at most {MAX_ORDERS} terms")
    orders = [_order(text) for text in given]
    names = [(order.name.entity, order.name.key) for order in orders]
    if len(set(names)) != len(names):
        raise InvalidValue("an order names the same thing twice", hint="leave out the second")
    return tuple(orders)


def quoted(text: str) -> str:
    """A text as a value of a filter."""
    return "'" + text.replace("'", "''") + "'"


def refuse(what: str, at: int, noun: str = "filter", hint: str = _HINT) -> NoReturn:
    """Raise `InvalidValue` for what stands at a place of a filter or order."""
    raise InvalidValue(f"the {noun} cannot be used, character {at + 1}: {what}", hint=hint, position=at)


def _order(text: str) -> Order:
    reader = _Reader(text, "order")
    name = reader.name()
    descending = False
    if reader.next.upper in {"ASC", "DESC"}:
        descending = reader.take().upper == "DESC"
    if reader.next.kind != "end":
        reader.fail("ASC, DESC or the end")
    return Order(name, descending)


class _Reader:
    """Reads tokens from left to right, one ahead."""

    def __init__(self, text: str, noun: str) -> None:
        if not isinstance(text, str):
            raise InvalidValue(f"the {noun} must be text, not {type(text).__name__}", hint=_HINT)
        if len(text) > MAX_TEXT:
            raise InvalidValue(f"the {noun} has {len(text):,} characters, {MAX_TEXT:,} are allowed")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidValue(f"the {noun} holds half a character (a lone surrogate)", hint=_HINT)
        self._text, self._noun, self._place = text, noun, 0
        self.next = self._read()

    def take(self) -> _Token:
        """The next token; the one after it becomes the next."""
        token, self.next = self.next, self._read()
        return token

    def fail(self, expected: str) -> NoReturn:
        """Refuse the next token."""
        hint = _HINT if self._noun == "filter" else "terms look like metrics.accuracy DESC"
        refuse(f"expected {expected}", self.next.at, self._noun, hint)

    def name(self) -> Name:
        """`key`, or `entity.key`; the key of an entity may hold dots."""
        first = self._word("a name like metrics.accuracy")
        if self.next.kind != "mark" or self.next.text != ".":
            return Name(None, _unquoted(first), first.at)
        self.take()
        parts = [_unquoted(self._word("a name after the dot", dotted=True))]
        while self.next.kind == "mark" and self.next.text == ".":
            self.take()
            parts.append(_unquoted(self._word("a name after the dot", dotted=True)))
        return Name(_unquoted(first), ".".join(parts), first.at)

    def clause(self) -> Clause:
        """One comparison."""
        name = self.name()
        token = self.next
        if token.kind == "op":
            self.take()
            at = self.next.at
            return Clause(name, _SAME.get(token.text, token.text), self._value(), at)
        if token.upper in _COMPARE:
            self.take()
            at = self.next.at
            return Clause(name, token.upper, self._value(), at)
        if token.upper == "IS":
            return Clause(name, self._null(), at=token.at)
        if token.upper in {"IN", "NOT"}:
            return self._listed(name)
        return self.fail("one of = != < <= > >= LIKE ILIKE IN IS")

    def _null(self) -> str:
        self.take()
        negated = self.next.upper == "NOT"
        if negated:
            self.take()
        if self.next.upper != "NULL":
            self.fail("NULL")
        self.take()
        return "IS NOT NULL" if negated else "IS NULL"

    def _listed(self, name: Name) -> Clause:
        negated = self.take().upper == "NOT"
        if negated:
            if self.next.upper != "IN":
                self.fail("IN")
            self.take()
        at = self.next.at
        self._mark("(")
        values = [self._value()]
        while self.next.text == "," and self.next.kind == "mark":
            self.take()
            values.append(self._value())
        self._mark(")")
        return Clause(name, "NOT IN" if negated else "IN", tuple(values), at)

    def _value(self) -> str | int | float:
        token = self.next
        if token.kind == "number":
            self.take()
            return self._number(token)
        if token.kind in {"single", "double"}:
            self.take()
            return _unquoted(token)
        return self.fail("a number or a text in quotes")

    def _number(self, token: _Token) -> int | float:
        whole = token.text.lstrip("+-").isdigit()
        if whole and -(2**63) <= int(token.text) < 2**63:
            return int(token.text)
        number = float(token.text)
        if abs(number) == float("inf"):
            refuse("this number is larger than any metric", token.at, self._noun)
        return number

    def _word(self, expected: str, *, dotted: bool = False) -> _Token:
        """A word or a quoted one; after a dot it may start with a digit, and have any quotes."""
        fits = self.next.kind in {"word", "double", "back"} or (dotted and self.next.kind in {"number", "single"})
        if not fits or (self.next.kind == "word" and not dotted and self.next.text[0].isdigit()):
            self.fail(expected)
        if self.next.kind in {"single", "double", "back"} and len(self.next.text) <= 2:
            self.fail(expected)
        return self.take()

    def _mark(self, text: str) -> None:
        if self.next.kind != "mark" or self.next.text != text:
            self.fail(f"{text!r}")
        self.take()

    def _read(self) -> _Token:
        match = _TOKEN.match(self._text, self._place)
        if match is None:
            rest = len(self._text) - len(self._text[self._place :].lstrip())
            if rest >= len(self._text):
                return _Token("end", "", len(self._text))
            return self._odd(rest)
        kind = str(match.lastgroup)
        self._place = match.end()
        return _Token(kind, match.group(kind), match.start(kind))

    def _odd(self, at: int) -> NoReturn:
        what = "a quote that is never closed" if self._text[at] in "'\"`" else "a character that has no meaning here"
        refuse(what, at, self._noun)


def _unquoted(token: _Token) -> str:
    if token.kind in {"word", "number"}:
        return token.text
    quote = token.text[0]
    return token.text[1:-1].replace(quote * 2, quote)
