"""Request bodies: bytes into data for the model's plan.

Shapes are MLflow's (interoperability facts, scoring protocol, section 2); the law of conversions is the plan's own, so
a value that would be changed is refused here as it is in process.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pack.errors import BadRequest
from pack.mlmodel import wire
from pack.mlmodel.plan import Plan

DATA_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_LLM_KEYS = {"messages", "prompt", "input"}
_SPLIT_KEYS = {"columns", "data", "index"}
# A surrogate escape that its other half does not follow or precede: text that no UTF-8 can hold.
_LONE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")
MAX_DEPTH = 200

Decoded = tuple[Any, dict[str, Any] | None, bool]


def parse_json(body: bytes) -> Any:
    """The value of a JSON body; raises `BadRequest` saying what is wrong with it."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8 text") from error
    if text.startswith("\ufeff"):
        raise BadRequest("the body starts with a byte order mark", hint="send plain UTF-8")
    _check_depth(text)
    if "\\u" in text and _LONE.search(text):
        raise BadRequest("the body holds half of a surrogate pair")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg} at character {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            "the body is not JSON that can be read: nested too deep, or a number with too many digits"
        ) from error


def decode_json(body: bytes, plan: Plan, *, raw: bool = False) -> Decoded:
    """Data, params, and whether the answer goes without its wrapper; `raw` leaves the data as JSON gave it."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise BadRequest(
            f"the body is {_kind(value)}, an object is needed", hint=f"give one of: {', '.join(DATA_KEYS)}"
        )
    if _LLM_KEYS & value.keys():
        return _llm(value, plan)
    params = value.get("params")
    if params is not None and not isinstance(params, dict):
        raise BadRequest(f"params is {_kind(params)}, an object is needed")
    given = [key for key in DATA_KEYS if key in value]
    if len(given) != 1:
        came = " and ".join(given) if given else "none"
        raise BadRequest(f"exactly one of {', '.join(DATA_KEYS)} is needed; {came} came")
    if raw:
        return _raw(given[0], value[given[0]]), params, False
    return _DECODERS[given[0]](value[given[0]], plan), params, False


def decode_csv(body: bytes, plan: Plan) -> Decoded:
    """The rows of a CSV body with a header."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the CSV is not UTF-8 text") from error
    return plan.wire_csv(text), None, False


def decode_parquet(body: bytes, plan: Plan) -> Decoded:
    """The rows of a Parquet body: typed columns, which go straight to the plan."""
    from pack.serving.parquet_file import read_parquet

    return plan.wire_table(read_parquet(body)), None, False


def _split(value: Any, plan: Plan) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise BadRequest('dataframe_split needs {"columns": [...], "data": [[...]]}')
    extra = sorted(ascii(key) for key in value.keys() - _SPLIT_KEYS)
    names = value.get("columns")
    if extra or not (names is None or isinstance(names, list)):
        raise BadRequest(f"dataframe_split holds what it may not: {', '.join(extra) or 'columns that are no list'}")
    return plan.wire_split(names, value["data"])


def _records(value: Any, plan: Plan) -> Any:
    if not isinstance(value, list):
        raise BadRequest(f"dataframe_records is {_kind(value)}, a list of objects is needed")
    names, rows = wire.records(value)
    return plan.wire_split(names, rows)


def _inputs(value: Any, plan: Plan) -> Any:
    return plan.wire_inputs(value)


def _instances(value: Any, plan: Plan) -> Any:
    if not isinstance(value, list) and not isinstance(value, dict):
        raise BadRequest(f"instances is {_kind(value)}, a list is needed")
    return plan.wire_inputs(value)


_DECODERS = {"dataframe_split": _split, "dataframe_records": _records, "instances": _instances, "inputs": _inputs}


def _raw(key: str, value: Any) -> Any:
    if key != "inputs" or not isinstance(value, list):
        raise BadRequest("this model takes a list of what its type hints say", hint='give {"inputs": [...]}')
    return value


def _llm(value: dict[str, Any], plan: Plan) -> Decoded:
    """A body as language models take it: declared params apart, everything else is the data."""
    names = {param.name for param in plan.declared_params}
    params = {key: item for key, item in value.items() if key in names}
    rest = {key: item for key, item in value.items() if key not in names}
    return plan.data(rest), params or None, True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRequest("an object in the body has a name twice")
    return found


def _check_depth(text: str) -> None:
    """Refuse what nests too deep before the parser meets it; brackets inside text only err on the careful side."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        mark = found.group()
        if mark in "[{":
            level += 1
            if level > MAX_DEPTH:
                raise BadRequest(f"the body is nested more than {MAX_DEPTH} levels deep")
        elif mark in "]}":
            level -= 1


def _kind(value: Any) -> str:
    from pack.mlmodel.nested import kind_of

    return kind_of(value)
