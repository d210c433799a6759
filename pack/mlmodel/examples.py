"""Input examples: one for people and tests, one as the body of a scoring request.

Files and forms are MLflow's (interoperability facts, model directory, section 5).
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue, NotFound, StorageFailed
from pack.mlmodel.frames import as_frame, is_missing
from pack.mlmodel.model import Model
from pack.mlmodel.schema import TensorSpec

EXAMPLE = "input_example.json"
SERVING = "serving_input_example.json"
MAX_BYTES = 64 * 1024 * 1024
_LLM = {"messages", "prompt", "input"}


def split_params(example: Any) -> tuple[Any, dict[str, Any] | None]:
    """An example `(data, params)` as its two parts; anything else as data without params."""
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        return example
    return example, None


def save_example(example: Any, home: Path) -> dict[str, Any]:
    """Write both example files; answers what the MLmodel file says of them. Raises `InvalidValue` for odd examples."""
    data, params = split_params(example)
    kind, value, facts = _described(as_frame(data))
    body = {"inputs": value, "params": _json(params)} if params is not None else value
    served = _serving(kind, value, data, params)
    for name, content, indent in ((EXAMPLE, body, None), (SERVING, served, 2)):
        text = json.dumps(content, indent=indent)
        if len(text) > MAX_BYTES:
            raise InvalidValue(f"the input example is larger than {MAX_BYTES:,} bytes", hint="give a few rows of it")
        (home / name).write_text(text, encoding="utf-8")
    with_params = {} if params is None else {"params": "true"}
    return {"artifact_path": EXAMPLE, "serving_input_path": SERVING, "type": kind, **facts, **with_params}


def load_example(home: Path, model: Model) -> Any:
    """The example as data of the kind it was given as, without params; None where there is none."""
    body = _read(home, model, "artifact_path")
    if body is None:
        return None
    info = model.saved_input_example_info or {}
    value = body["inputs"] if info.get("params") and isinstance(body, dict) else body
    kind = info.get("type")
    if kind == "dataframe":
        return _frame(value, model)
    if kind == "ndarray":
        return _arrays(value, model)
    return _sparse(value, str(kind)) if str(kind).startswith("sparse") else value


def load_example_params(home: Path, model: Model) -> dict[str, Any] | None:
    """The params stored beside the example; None where there are none."""
    body = _read(home, model, "artifact_path")
    with_params = (model.saved_input_example_info or {}).get("params")
    return body.get("params") if with_params and isinstance(body, dict) else None


def serving_example(home: Path, model: Model) -> str | None:
    """The body of a scoring request that the model answers; None where there is none."""
    body = _read(home, model, "serving_input_path")
    return None if body is None else json.dumps(body)


def _described(data: Any) -> tuple[str, Any, dict[str, str]]:
    """The kind of an example, its JSON value, and the facts that reading it back needs."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _described_frame(data)
    if pandas is not None and isinstance(data, pandas.Series):
        raise InvalidValue("an input example cannot be a Series", hint="use series.to_frame()")
    if type(data).__module__.startswith("scipy.sparse"):
        return _described_sparse(data)
    if _is_array(data):
        return "ndarray", _json(data), {}
    if isinstance(data, Mapping) and data and any(_is_array(value) for value in data.values()):
        if not all(_is_array(value) for value in data.values()):
            raise InvalidValue("the input example mixes arrays and other values", hint="give arrays for all names")
        return "ndarray", _json(data), {}
    return "json_object", _json(data), {}


def _described_frame(frame: Any) -> tuple[str, Any, dict[str, str]]:
    rows = [[_json(cell) for cell in row] for row in frame.astype(object).to_numpy().tolist()]
    names = [name.item() if hasattr(name, "item") else name for name in frame.columns]
    if names == list(range(len(names))):
        return "dataframe", rows, {"pandas_orient": "values"}
    return "dataframe", {"columns": names, "data": rows}, {"pandas_orient": "split"}


def _described_sparse(matrix: Any) -> tuple[str, Any, dict[str, str]]:
    if matrix.format not in {"csr", "csc"}:
        raise InvalidValue(f"a sparse example must be CSR or CSC, not {matrix.format}", hint="use .tocsr()")
    parts = {name: getattr(matrix, name).tolist() for name in ("data", "indices", "indptr")}
    return f"sparse_matrix_{matrix.format}", {**parts, "shape": list(matrix.shape)}, {}


def _serving(kind: str, value: Any, data: Any, params: dict[str, Any] | None) -> Any:
    """The body that scores this example."""
    if kind == "dataframe":
        body = {"dataframe_split": value if isinstance(value, dict) else {"data": value}}
    elif kind.startswith("sparse"):
        body = {"inputs": data.toarray().tolist()}
    elif isinstance(value, dict) and kind == "json_object" and _LLM & value.keys():
        return {**value, **(_json(params) or {})}
    else:
        body = {"inputs": value}
    return body if params is None else {**body, "params": _json(params)}


def _json(value: Any) -> Any:
    """A value as JSON holds it: missing is null, bytes are base64, dates ISO 8601."""
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = value.astype("datetime64[us]").tolist() if getattr(value.dtype, "kind", "") == "M" else value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if is_missing(value):
        return None
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, bool, int, float)):
        return value
    raise InvalidValue(
        f"an input example cannot hold {type(value).__name__}", hint="use frames, arrays or plain values"
    )


def _read(home: Path, model: Model, key: str) -> Any:
    """The JSON of one example file, which must be a plain file name inside the model."""
    name = (model.saved_input_example_info or {}).get(key)
    if name is None:
        return None
    if name not in {EXAMPLE, SERVING}:
        raise InvalidValue(
            "the input example of this model does not lie where examples lie", hint=f"expected {EXAMPLE}"
        )
    path = home / name
    if path.is_symlink() or not path.is_file():
        raise NotFound(f"the model names {name}, which is not there")
    if path.stat().st_size > MAX_BYTES:
        raise InvalidValue(f"{name} is larger than {MAX_BYTES:,} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageFailed(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{name} is not JSON") from error


def _frame(value: Any, model: Model) -> Any:
    from pack.mlmodel.plan import compile_plan

    names = value.get("columns") if isinstance(value, dict) else None
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise InvalidValue(f"{EXAMPLE} holds no rows")
    columnar = model.signature is None or model.signature.inputs is None or not model.signature.inputs.is_tensor_spec()
    plan = compile_plan(model.signature if columnar else None)
    return plan.wire_split(names, rows)


def _arrays(value: Any, model: Model) -> Any:
    import numpy as np

    schema = model.get_input_schema()
    types = {spec.name: spec.type for spec in schema if isinstance(spec, TensorSpec)} if schema else {}
    if isinstance(value, dict):
        return {name: np.array(item, dtype=types.get(name)) for name, item in value.items()}
    return np.array(value, dtype=types.get(None))


def _sparse(value: Any, kind: str) -> Any:
    import scipy.sparse

    build = scipy.sparse.csr_matrix if kind.endswith("csr") else scipy.sparse.csc_matrix
    return build((value["data"], value["indices"], value["indptr"]), shape=tuple(value["shape"]))


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "ndim") and value.ndim > 0
