"""Enforcement, compiled once from a signature and then run on every call.

A `Plan` lets data that matches through as it is, converts what keeps every value, and refuses the rest by name. How
data becomes a frame follows MLflow (interoperability facts, signature schema, section 6.1).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pack.errors import InvalidValue, SchemaMismatch
from pack.mlmodel import columns, tensors, wire
from pack.mlmodel.frames import as_frame, from_records, from_values
from pack.mlmodel.params import ParamSchema, ParamSpec, convert
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import Array, DataType, Object


def compile_plan(signature: ModelSignature | None) -> Plan:
    """The plan for a signature; without one, everything passes as it is."""
    inputs = signature.inputs if signature else None
    params = signature.params if signature else None
    if inputs is None:
        return Plan(None, params)
    return TensorPlan(inputs, params) if inputs.is_tensor_spec() else ColumnPlan(inputs, params)


class Plan:
    """What every call goes through before the model; this one, without input schema, lets all data pass."""

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
        unknown = sorted(given.keys() - known.keys())
        if unknown and not drop_unknown:
            takes = ", ".join(known) or "none"
            raise InvalidValue(f"the model takes no param {', '.join(map(ascii, unknown))}", hint=f"it takes: {takes}")
        wrong, found = [], {}
        for name, param in known.items():
            try:
                found[name] = convert(param, given[name]) if name in given else param.default
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
        return wire.plain_csv(text)


class TensorPlan(Plan):
    """Enforcement for tensors."""

    schema: Schema

    def data(self, data: Any) -> Any:
        """Arrays of the declared dtypes and shapes."""
        return tensors.fit_tensors(self.schema, as_frame(data))

    def wire_split(self, names: list[Any] | None, rows: list[list[Any]]) -> Any:
        """A frame's values as the declared tensors."""
        return tensors.fit_tensors(self.schema, wire.plain_frame(names, rows))

    def wire_inputs(self, value: Any) -> Any:
        """Nested lists as the declared tensors."""
        return wire.tensors_of(self.schema, value)

    def wire_csv(self, text: str) -> Any:
        """A table's values as the declared tensors."""
        return tensors.fit_tensors(self.schema, wire.plain_csv(text))


class ColumnPlan(Plan):
    """Enforcement for columns."""

    schema: Schema

    def __init__(self, schema: Schema, params: ParamSchema | None) -> None:
        super().__init__(schema, params)
        self._specs: dict[str | int, ColSpec] = dict(zip(schema.input_names(), schema.inputs, strict=True))  # type: ignore[arg-type]
        self._named = schema.has_input_names()
        self._nested = any(isinstance(spec.type, (Array, Object)) for spec in schema.inputs)
        self._order = list(self._specs)
        self._passed: tuple[Any, tuple[Any, ...]] | None = None
        self._warned = False

    def data(self, data: Any) -> Any:
        """A frame with the declared columns; the same frame where it matches."""
        frame = data if _is_frame(data) else self._frame(as_frame(data))
        # The columns and dtypes of the last frame that passed without a look at its values: pass again.
        last = self._passed
        dtypes = tuple(frame.dtypes)
        if last is not None and dtypes == last[1] and (frame.columns is last[0] or frame.columns.equals(last[0])):
            return frame
        frame, same = self._select(frame)
        changed = self._fit(frame)
        if changed:
            return frame.assign() if not changed else _replace(frame, changed)
        if same and all(columns.is_exact(spec, kind) for spec, kind in zip(self._present(frame), dtypes, strict=True)):
            self._passed = (frame.columns, dtypes)
        return frame

    def wire_split(self, names: list[Any] | None, rows: list[list[Any]]) -> Any:
        """Rows of JSON values as a frame of the declared columns; extra, missing and double columns are errors."""
        return self.data(wire.frame_of(self._specs, self._labels(names, rows), rows))

    def wire_inputs(self, value: Any) -> Any:
        """A dict of columns, a list of records, or a list of values for columns without names."""
        names, rows = wire.rows_of(value, named=self._named, nested=self._nested, width=len(self._order))
        return self.wire_split(names, rows)

    def wire_csv(self, text: str) -> Any:
        """CSV text as a frame of the declared columns, each cell read as its declared type."""
        names, rows = wire.csv_rows(text)
        labels = self._labels(names, rows)
        return self.data(wire.frame_of(self._specs, labels, wire.csv_cells(self._specs, labels, rows)))

    def _labels(self, names: list[Any] | None, rows: list[list[Any]]) -> list[str | int]:
        """The declared name of each column that came; JSON knows only text, so `"0"` may stand for 0."""
        if names is None:
            if self._named and self._order != list(range(len(self._order))):
                raise SchemaMismatch("the columns came without names", hint=f"name them: {self._shown()}")
            names = list(range(len(rows[0]) if rows else len(self._order)))
        by_text = {str(name): name for name in self._order}
        labels = [name if name in self._specs else by_text.get(str(name), name) for name in map(wire.label, names)]
        twice = (
            sorted({str(name) for name in labels if labels.count(name) > 1}) if len(set(labels)) < len(labels) else []
        )
        extra = [name for name in labels if name not in self._specs]
        if twice or extra:
            what = f"columns came twice: {twice[:5]}" if twice else f"columns came that are not declared: {extra[:5]}"
            raise SchemaMismatch(ascii(what)[1:-1], hint=f"the model takes: {self._shown()}")
        return labels

    def _frame(self, data: Any) -> Any:
        import pandas as pd

        if isinstance(data, pd.Series):
            return data.to_frame() if data.name is not None else data.to_frame(name=0)
        if isinstance(data, Mapping):
            return self._frame_of_mapping(dict(data))
        if type(data).__module__.startswith("scipy.sparse"):
            raise SchemaMismatch("a sparse matrix came where columns are declared", hint="give a frame")
        if isinstance(data, (list, tuple)):
            return self._frame_of_list(data)
        if getattr(data, "shape", ()) == ():
            return from_values([data])
        return _built(data, lambda: pd.DataFrame(data))

    def _frame_of_list(self, data: Sequence[Any]) -> Any:
        """Values for one column without a name; rows as dicts or lists for several."""
        import pandas as pd

        if not self._named and len(self._order) == 1:
            (spec,) = self._specs.values()
            if not isinstance(spec.type, DataType) or not any(_is_row(item) for item in data):
                return from_values(data)
        if data and all(isinstance(row, Mapping) for row in data):
            return from_records(data)
        return _built(data, lambda: pd.DataFrame(data))

    def _frame_of_mapping(self, data: dict[Any, Any]) -> Any:
        import pandas as pd

        values = list(data.values())
        if values and all(isinstance(value, pd.Series) for value in values):
            return pd.DataFrame(data)
        one_row = self._nested or all(_is_cell(value) for value in values)
        if one_row:
            return pd.DataFrame([data]) if not self._nested else pd.DataFrame({k: _cell(v) for k, v in data.items()})
        rows = {name: list(value) if getattr(value, "ndim", 1) > 1 else value for name, value in data.items()}
        return _built(data, lambda: pd.DataFrame(rows))

    def _select(self, frame: Any) -> tuple[Any, bool]:
        """The frame with the declared columns in their order, and whether it is the one that came."""
        found = list(frame.columns)
        if found == self._order:
            return frame, True
        if not frame.columns.is_unique:
            twice = sorted({str(name) for name in found if found.count(name) > 1})
            raise SchemaMismatch(f"columns came twice: {twice[:5]}", hint=f"the model takes: {self._shown()}")
        if not self._named:
            return self._by_position(frame)
        missing = [name for name, spec in self._specs.items() if spec.required and name not in frame.columns]
        if missing:
            extra = [name for name in found if name not in self._specs]
            besides = f"; not declared: {extra[:5]}" if extra else ""
            raise SchemaMismatch(f"columns are missing: {missing[:10]}{besides}", hint=f"it takes: {self._shown()}")
        self._warn_of_extra(found)
        return frame[[name for name in self._order if name in frame.columns]], False

    def _by_position(self, frame: Any) -> tuple[Any, bool]:
        if frame.shape[1] < len(self._order):
            raise SchemaMismatch(f"{len(self._order)} columns are declared, {frame.shape[1]} came")
        return (frame, False) if frame.shape[1] == len(self._order) else (frame.iloc[:, : len(self._order)], False)

    def _warn_of_extra(self, found: list[Any]) -> None:
        extra = [name for name in found if name not in self._specs]
        if extra and not self._warned:
            self._warned = True
            warnings.warn(f"columns that the signature does not declare are dropped: {extra[:5]}", stacklevel=4)

    def _present(self, frame: Any) -> list[ColSpec]:
        return [self._specs[name] for name in (frame.columns if self._named else self._order)]

    def _fit(self, frame: Any) -> dict[int, Any]:
        """The columns that had to be converted, by position."""
        changed = {}
        for place, spec in enumerate(self._present(frame)):
            series = frame.iloc[:, place]
            fitted = columns.fit(spec, series)
            if fitted is not series:
                changed[place] = fitted
        return changed

    def _shown(self) -> str:
        names = [f"{name} ({spec.type!r})" for name, spec in list(self._specs.items())[:10]]
        return ", ".join(names) + (", ..." if len(self._specs) > 10 else "")


def _replace(frame: Any, changed: dict[int, Any]) -> Any:
    import pandas as pd

    parts = {place: changed.get(place, frame.iloc[:, place]) for place in range(frame.shape[1])}
    result = pd.concat(parts.values(), axis=1)
    result.columns = frame.columns
    return result


def _built(data: Any, build: Any) -> Any:
    try:
        return build()
    except (ValueError, TypeError) as error:
        what = f"{type(data).__name__} of {len(data)}"
        raise SchemaMismatch(f"a {what} came that makes no table", hint="give columns of one length") from error


def _is_frame(data: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _is_row(item: Any) -> bool:
    return isinstance(item, (list, tuple, Mapping)) or getattr(item, "shape", ()) != ()


def _is_cell(value: Any) -> bool:
    """Whether a dict's value is one cell: a plain value, or a list of nothing but text."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, str) for item in value)
    return (
        not hasattr(value, "__len__") or isinstance(value, (str, bytes, Mapping)) or getattr(value, "shape", None) == ()
    )


def _cell(value: Any) -> Any:
    import pandas as pd

    return pd.Series([value], dtype=object) if isinstance(value, (list, tuple, Mapping)) else [value]
