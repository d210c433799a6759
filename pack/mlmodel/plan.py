"""Enforcement, compiled once from a signature and then run on every call.

A `Plan` lets data that matches through as it is, converts what keeps every value, and refuses the rest by name. How
data becomes a frame follows MLflow (interoperability facts, signature schema, section 6.1).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pack.errors import InvalidValue, SchemaMismatch
from pack.mlmodel import columns, csv_text, tables, tensors, wire
from pack.mlmodel.frames import as_frame, dtypes_of, has_pandas, is_frame
from pack.mlmodel.nested import listed
from pack.mlmodel.params import ParamSchema, ParamSpec, convert
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import Array, Object


def compile_plan(signature: ModelSignature | None) -> Plan:
    """The plan for a signature; without one, everything passes as it is."""
    inputs = signature.inputs if signature else None
    params = signature.params if signature else None
    if inputs is None:
        return Plan(None, params)
    return TensorPlan(inputs, params) if inputs.is_tensor_spec() else ColumnPlan(inputs, params)


class Plan:
    """What every call goes through before the model; this one, without input schema, lets all data pass.

    A plan may be used by many threads at once.
    """

    def __init__(self, schema: Schema | None, params: ParamSchema | None) -> None:
        self.schema = schema
        self._params = params

    def data(self, data: Any) -> Any:
        """The data as the model gets it; raises `SchemaMismatch` naming the column."""
        return data

    def params(self, params: Mapping[str, Any] | None, *, drop_unknown: bool = False) -> dict[str, Any]:
        """The given params as their types, the others at their defaults; raises `InvalidValue` naming the wrong."""
        if params is not None and not isinstance(params, Mapping):
            raise InvalidValue(f"params must be a dict, not {type(params).__name__}")
        given = {str(name): value for name, value in (params or {}).items()}
        known = {param.name: param for param in self._params or ()}
        unknown = [name for name in given if name not in known]
        if unknown and not drop_unknown:
            takes = listed(known, most=20) if known else "none"
            raise InvalidValue(f"the model takes no param {listed(unknown)}", hint=f"it takes: {takes}")
        wrong, found = [], {}
        for name, param in known.items():
            try:
                found[name] = convert(param, given[name]) if name in given else _own(param.default)
            except InvalidValue as error:
                wrong.append(error.message)
        if wrong:
            raise InvalidValue("; ".join(wrong))
        return found

    @property
    def declared_params(self) -> tuple[ParamSpec, ...]:
        """The params that the model takes."""
        return self._params.params if self._params else ()

    def wire_split(self, names: list[Any] | None, rows: list[list[Any]]) -> Any:
        """The data of a `dataframe_split` or `dataframe_records` body: rows of JSON values under their names."""
        return wire.plain_frame(names, rows)

    def wire_inputs(self, value: Any) -> Any:
        """The data of an `inputs` or `instances` body."""
        return wire.plain_inputs(value)

    def wire_csv(self, text: str) -> Any:
        """The data of a CSV body with a header row."""
        names, rows = csv_text.csv_rows(text)
        return wire.plain_frame(names, csv_text.guessed_rows(rows))

    def wire_table(self, table: Any) -> Any:
        """The data of a typed table that was sent, such as an Arrow table read from Parquet."""
        return as_frame(table)


class TensorPlan(Plan):
    """Enforcement for tensors."""

    schema: Schema

    def data(self, data: Any) -> Any:
        """Arrays of the declared dtypes and shapes; the same array where it matches."""
        return tensors.fit_tensors(self.schema, data)

    def wire_split(self, names: list[Any] | None, rows: list[list[Any]]) -> Any:
        """A frame's values as the declared tensors; without pandas, straight from the rows."""
        if not has_pandas():
            return wire.tensors_of_table(self.schema, names, rows)
        return tensors.fit_tensors(self.schema, wire.tensor_frame(self.schema, names, rows))

    def wire_inputs(self, value: Any) -> Any:
        """Nested lists as the declared tensors."""
        return wire.tensors_of(self.schema, value)

    def wire_csv(self, text: str) -> Any:
        """A table's values as the declared tensors."""
        names, rows = csv_text.csv_rows(text)
        return self.wire_split(names, csv_text.guessed_rows(rows))

    def wire_table(self, table: Any) -> Any:
        """A table's columns as the declared tensors."""
        return self.data(table)


@dataclass(frozen=True)
class Layout:
    """How frames with these labels and dtypes become what is declared: which columns to take, which to look at."""

    labels: Any
    dtypes: list[Any]
    take: tuple[int, ...] | None
    look: tuple[tuple[int, Any, ColSpec], ...]
    block: str | None

    def covers(self, frame: Any) -> bool:
        """Whether a frame has these labels and dtypes."""
        labels = frame.columns
        return (labels is self.labels or labels.equals(self.labels)) and bool(dtypes_of(frame) == self.dtypes)

    def fit(self, frame: Any) -> Any:
        """The frame itself where every value is as declared, else one with the converted columns."""
        frame = frame if self.take is None else _in_our_order(frame).iloc[:, list(self.take)]
        if self.block:
            values = frame.to_numpy()
            if columns.first_changed(values, self.block) is None:
                return type(frame)(values.astype(self.block), index=frame.index, columns=frame.columns)
        changed = {}
        for place, name, spec in self.look:
            series = frame[name]
            fitted = columns.fit(spec, series)
            if fitted is not series:
                changed[place] = fitted
        return _replaced(frame, changed) if changed else frame


def _in_our_order(frame: Any) -> Any:
    """A frame whose numbers are in the machine's order of bytes: of others pandas cannot take columns."""
    foreign = {
        name: dtype.newbyteorder("=")
        for name, dtype in zip(frame.columns, dtypes_of(frame), strict=True)
        if isinstance(dtype, np.dtype) and not dtype.isnative
    }
    return frame.astype(foreign) if foreign else frame


class ColumnPlan(Plan):
    """Enforcement for columns."""

    schema: Schema

    def __init__(self, schema: Schema, params: ParamSchema | None) -> None:
        super().__init__(schema, params)
        self._specs: dict[str | int, ColSpec] = dict(zip(schema.input_names(), schema.inputs, strict=True))  # type: ignore[arg-type]
        self._order = list(self._specs)
        self._named = schema.has_input_names()
        self._nested = any(isinstance(spec.type, (Array, Object)) for spec in schema.inputs)
        # JSON keys are always text, so "0" over the wire may stand for the column 0, where no column "0" is declared.
        self._by_text = {str(name): name for name in self._order if isinstance(name, int)}
        # What was found out about the last frame's labels and dtypes; swapped as a whole, so threads need no lock.
        self._layout: Layout | None = None
        self._warned = False

    def data(self, data: Any) -> Any:
        """A frame with the declared columns; the same frame where it matches."""
        frame = data if is_frame(data) else self._frame(as_frame(data))
        layout = self._layout
        if layout is None or not layout.covers(frame):
            layout = self._layout = self._lay_out(frame)
        return layout.fit(frame) if layout.look or layout.take else frame

    def wire_split(self, names: list[Any] | None, rows: list[list[Any]]) -> Any:
        """Rows of JSON values as a frame of the declared columns; extra, missing and double columns are errors."""
        return self.data(wire.frame_of(self._specs, self._labels(names, rows), rows))

    def wire_inputs(self, value: Any) -> Any:
        """A dict of columns, a list of records, or a list of values for columns without names."""
        names, rows = wire.rows_of(value, named=self._named, nested=self._nested, width=len(self._order))
        return self.wire_split(names, rows)

    def wire_csv(self, text: str) -> Any:
        """CSV text as a frame of the declared columns, each cell read as its declared type."""
        names, rows = csv_text.csv_rows(text)
        labels = self._labels(names, rows)
        return self.data(wire.frame_of(self._specs, labels, csv_text.typed_rows(self._specs, labels, rows)))

    def wire_table(self, table: Any) -> Any:
        """A typed table as a frame of the declared columns; Parquet, too, knows only text for names."""
        frame = as_frame(table)
        return self.data(frame.set_axis(self._labels(list(frame.columns), []), axis="columns"))

    def _frame(self, data: Any) -> Any:
        single = None if self._named or len(self._order) > 1 else self._specs[0]
        return data if is_frame(data) else tables.frame_of(data, nested=self._nested, single=single)

    def _labels(self, names: Sequence[Any] | None, rows: list[list[Any]]) -> list[str | int]:
        """The declared name of each column that came over the wire; all that are required, no other, none twice."""
        if names is None:
            if self._named and self._order != list(range(len(self._order))):
                raise SchemaMismatch("the columns came without names", hint=f"name them: {self._shown()}")
            names = range(len(rows[0]) if rows and isinstance(rows[0], list) else len(self._order))
        labels = [self._label(wire.label(name)) for name in names]
        wire.check_unique(labels)
        came = set(labels)
        missing = [name for name, spec in self._specs.items() if spec.required and name not in came]
        extra = [name for name in labels if name not in self._specs]
        if missing or extra:
            raise self._misfit(missing, extra)
        return labels

    def _label(self, name: str | int) -> str | int:
        return self._by_text.get(name, name) if isinstance(name, str) and name not in self._specs else name

    def _lay_out(self, frame: Any) -> Layout:
        """Find out, once for all frames alike, what is to be done with one; raises `SchemaMismatch`."""
        take = self._taken(list(frame.columns), frame.columns.is_unique)
        dtypes = dtypes_of(frame)
        places = range(len(dtypes)) if take is None else take
        names = self._order if take is None or not self._named else [frame.columns[place] for place in take]
        specs = [self._specs[name] for name in names]
        look = tuple(
            (index, frame.columns[place], spec)
            for index, (place, spec) in enumerate(zip(places, specs, strict=True))
            if not columns.always_fits(spec, dtypes[place])
        )
        found = [dtypes[place] for place in places]
        block = columns.block_dtype(specs, found) if len(look) == len(found) > 0 else None
        return Layout(frame.columns, dtypes, take, look, block)

    def _taken(self, found: list[Any], unique: bool) -> tuple[int, ...] | None:
        """The places of the columns that are taken, in the declared order; None for all as they stand."""
        if not unique:
            raise SchemaMismatch(f"columns came twice: {_doubles(found)}", hint=f"the model takes: {self._shown()}")
        if not self._named:
            return self._first(len(found))
        place = {name: index for index, name in enumerate(found)}
        missing = [name for name, spec in self._specs.items() if spec.required and name not in place]
        extra = [name for name in found if name not in self._specs]
        if missing:
            raise self._misfit(missing, extra)
        if extra:
            self._warn_of_extra(extra)
        taken = tuple(place[name] for name in self._order if name in place)
        return None if taken == tuple(range(len(found))) and len(found) == len(self._order) else taken

    def _first(self, width: int) -> tuple[int, ...] | None:
        if width < len(self._order):
            raise SchemaMismatch(f"{len(self._order)} columns are declared, {width} came")
        return None if width == len(self._order) else tuple(range(len(self._order)))

    def _warn_of_extra(self, extra: list[Any]) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"columns that the signature does not declare are dropped: {listed(extra)}", stacklevel=5)

    def _misfit(self, missing: list[Any], extra: list[Any]) -> SchemaMismatch:
        parts = [f"columns are missing: {listed(missing, most=10)}"] if missing else []
        parts += [f"{'' if missing else 'columns are '}not declared: {listed(extra)}"] if extra else []
        return SchemaMismatch("; ".join(parts), hint=f"the model takes: {self._shown()}")

    def _shown(self) -> str:
        names = [f"{name} ({spec.type!r})" for name, spec in list(self._specs.items())[:10]]
        return ", ".join(names) + (", ..." if len(self._specs) > 10 else "")


def _replaced(frame: Any, changed: dict[int, Any]) -> Any:
    """A new frame with these columns replaced; the other columns are shared with the old one."""
    result = frame.copy(deep=False)
    for place, series in changed.items():
        result.isetitem(place, series)
    return result


def _doubles(found: list[Any]) -> str:
    seen: set[Any] = set()
    return listed(dict.fromkeys(name for name in found if name in seen or seen.add(name)))  # type: ignore[func-returns-value]


def _own(default: Any) -> Any:
    """A default for one call: a list or a dict that the model changes is not the next call's default."""
    if isinstance(default, list):
        return [_own(item) for item in default]
    return {name: _own(item) for name, item in default.items()} if isinstance(default, dict) else default
