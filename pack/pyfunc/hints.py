"""Type hints of a predict function: the signature they mean, and inputs made into what they say.

The table of types follows MLflow (interoperability facts, flavors, section 14.4).
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any, get_args, get_origin

from pack.errors import InvalidValue, SchemaMismatch
from pack.mlmodel.hints import is_pydantic, schema_from_hint, type_from_hint
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import DataType, Type


def input_hint(function: Callable[..., Any]) -> Any:
    """The hint on the input of a predict function; None where it has none."""
    try:
        hints = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters
    except (NameError, TypeError, AttributeError, ValueError):
        return None
    names = [name for name in parameters if name not in {"self", "context", "params"}]
    return hints.get(names[0]) if names else None


def list_hint(function: Callable[..., Any]) -> Any:
    """The hint on the input where it is `list[...]` of a type that signatures know; None otherwise."""
    hint = input_hint(function)
    if not is_list(hint):
        return None
    try:
        schema_from_hint(hint)
    except InvalidValue:
        return None
    return hint


def output_hint(function: Callable[..., Any]) -> Any:
    """The hint on what a predict function returns; None where it has none."""
    try:
        return typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None


def is_list(hint: Any) -> bool:
    """Whether a hint is `list[...]`, which is what a hinted input must be."""
    return get_origin(hint) is list and bool(get_args(hint))


def signature_of(function: Callable[..., Any]) -> ModelSignature | None:
    """The signature that the hints mean; None where the input's hint means none, as a DataFrame's.

    Raises `InvalidValue` for `list[...]` of something that no signature can describe.
    """
    hint, outputs = input_hint(function), output_hint(function)
    if not is_list(hint):
        return None
    return ModelSignature(inputs=schema_from_hint(hint), outputs=schema_from_hint(outputs))


def convert_input(hint: Any, data: Any) -> Any:
    """The data as a list of what the hint says: dicts become pydantic objects, a frame its rows.

    Raises `SchemaMismatch` naming the item that does not fit.
    """
    (item_hint,) = get_args(hint)
    return [_item(item_hint, item, place) for place, item in enumerate(_items(data))]


def _items(data: Any) -> list[Any]:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return list(data.iloc[:, 0]) if data.shape[1] == 1 else list(data.to_dict(orient="records"))
    if hasattr(data, "tolist"):
        data = data.tolist()
    if not isinstance(data, (list, tuple)):
        raise SchemaMismatch(f"the model takes a list, {type(data).__name__} came", hint="wrap it in a list")
    return list(data)


def _item(hint: Any, item: Any, place: int) -> Any:
    from pack.mlmodel.nested import check, decode

    if is_pydantic(hint):
        return item if isinstance(item, hint) else _validated(hint, item, place)
    kind, required = type_from_hint(hint)
    if item is None and not required:
        return None
    try:
        found = decode(kind, item) if isinstance(item, (str, list, dict)) and _from_text(kind, item) else item
    except ValueError as error:
        raise SchemaMismatch(f"item {place}: {error}") from error
    problem = check(kind, found, f"item {place}")
    if problem:
        raise SchemaMismatch(problem)
    return found


def _from_text(kind: Type, item: Any) -> bool:
    return not (kind in {DataType.binary, DataType.datetime} and not isinstance(item, str))


def _validated(hint: Any, item: Any, place: int) -> Any:
    import pydantic

    try:
        return hint.model_validate(item)
    except pydantic.ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        fields = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong[:5])
        raise SchemaMismatch(f"item {place} is no {hint.__name__}: {fields}") from error
