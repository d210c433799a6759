"""Type hints of a predict function: the signature they mean, and inputs made into what they say.

The table of types follows MLflow (interoperability facts, flavors, section 14.4).
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args, get_origin

from pack.errors import InvalidValue, SchemaMismatch
from pack.mlmodel.hints import is_pydantic, schema_from_hint, type_from_hint
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import AnyType, DataType, Type
from pack.pyfunc.model import TypeHints


def hints_of(function: Callable[..., Any]) -> TypeHints:
    """The hints of a predict function."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return TypeHints()
    names = [name for name in parameters if name not in {"self", "context", "params"}]
    return TypeHints(_hint(function, names[0]) if names else None, _hint(function, "return"))


def list_hint(found: TypeHints) -> Any:
    """The hint on the input where it is `list[...]` of a type that signatures know; None otherwise."""
    if not is_list(found.input):
        return None
    try:
        schema_from_hint(found.input)
    except InvalidValue:
        return None
    return found.input


def is_list(hint: Any) -> bool:
    """Whether a hint is `list[...]`, which is what a hinted input must be."""
    return get_origin(hint) is list and bool(get_args(hint))


def signature_of(found: TypeHints) -> ModelSignature | None:
    """The signature that the hints mean; None where the input's hint means none, as a DataFrame's.

    Raises `InvalidValue` for `list[...]` of something that no signature can describe.
    """
    if not is_list(found.input):
        return None
    return ModelSignature(inputs=schema_from_hint(found.input), outputs=schema_from_hint(found.output))


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
    if item is None:
        if required and not isinstance(kind, AnyType):
            raise SchemaMismatch(
                f"item {place} is null, {kind!r} is needed", hint="hint it Optional[...] to allow null"
            )
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


def _hint(function: Callable[..., Any], name: str) -> Any:
    """One annotation, resolved by itself: that another one cannot be resolved is no reason to lose it."""
    made = function if hasattr(function, "__globals__") else getattr(function, "__call__", function)  # noqa: B004
    made = inspect.unwrap(made)
    try:
        annotation = made.__annotations__[name]
        holder = SimpleNamespace(__annotations__={name: annotation})
        return typing.get_type_hints(holder, globalns=getattr(made, "__globals__", {}))[name]
    except (NameError, TypeError, AttributeError, KeyError, SyntaxError):
        return None
