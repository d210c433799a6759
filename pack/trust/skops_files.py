"""skops files, judged by a list of our own before anything is built.

A skops file is a ZIP archive of a JSON schema and arrays. The schema names, node by node, a loader and a type. Only
loaders that build plain data and estimators pass, and only types of this list; both lists live here, never in a model.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue, Untrusted
from pack.mlmodel.bundles import Bundle
from pack.trust import skops_lists
from pack.trust.admission import WAYS_FORWARD, Admission

# A node's loader, and the type that it makes.
Kind = tuple[str, str]

MAX_UNPACKED = 8 * 1024**3
MAX_RATIO = 1000
MAX_SCHEMA = 256 * 1024 * 1024

_DATA_LOADERS = {
    "BytesNode", "BytearrayNode", "CachedNode", "DefaultDictNode", "DictNode", "DTypeNode", "JsonNode", "ListNode",
    "MaskedArrayNode", "NdArrayNode", "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode",
    "SparseMatrixNode", "TupleNode",
}  # fmt: skip
_TYPE_LOADERS = {"ObjectNode", "TreeNode", "LossNode", "TypeNode", "FunctionNode", "QuantileForestNode"}
_DATA_TYPES = {
    "builtins.bool", "builtins.bytearray", "builtins.bytes", "builtins.dict", "builtins.float", "builtins.int",
    "builtins.list", "builtins.object", "builtins.set", "builtins.slice", "builtins.str", "builtins.tuple",
    "builtins.NoneType", "builtins.complex", "builtins.frozenset", "builtins.range", "builtins.type",
    "collections.Counter", "collections.OrderedDict", "collections.defaultdict", "datetime.datetime",
}  # fmt: skip
# Packages whose classes are estimators and parts of estimators: building one sets attributes and runs nothing else.
_CLASS_PREFIXES = ("sklearn.", "scipy.interpolate.", "scipy.sparse.", "scipy.stats._distn_infrastructure.")
# Classes below these prefixes that hold or call a function that their data names, or that read files.
_REFUSED_CLASSES = {"sklearn.utils._testing", "sklearn.datasets", "sklearn.utils.parallel", "sklearn.externals"}
# Boosters and their estimators. What a booster is built from is text or bytes, which go to the booster's own parser.
_BOOSTERS = {
    "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMModel",
    "lightgbm.sklearn.LGBMRanker", "lightgbm.sklearn.LGBMRegressor",
    "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBModel", "xgboost.sklearn.XGBRanker",
    "xgboost.sklearn.XGBRegressor", "xgboost.sklearn.XGBRFClassifier", "xgboost.sklearn.XGBRFRegressor",
}  # fmt: skip
_FUNCTIONS = {
    "numpy.mean", "numpy.median", "numpy.average", "numpy.abs", "numpy.sqrt", "numpy.log", "numpy.log1p", "numpy.log2",
    "numpy.log10", "numpy.exp", "numpy.expm1", "numpy.square", "numpy.sin", "numpy.cos", "numpy.tan", "numpy.tanh",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_lloyd", "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.feature_selection._univariate_selection.chi2", "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_oneway",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.feature_selection._univariate_selection.r_regression",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
}  # fmt: skip


def dump(model: Any, path: Path) -> list[str]:
    """Write a skops file; raises `InvalidValue` for a type that skops cannot write."""
    sio = skops_lists.skops()
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data: bytes = sio.dumps(model)
    except (UnsupportedTypeException, TypeError, AttributeError, ValueError) as error:
        raise InvalidValue(
            f"skops cannot write this {type(model).__name__}: {error}", hint="pass serialization_format='cloudpickle'"
        ) from error
    nowhere = sorted({_type_of(node) for node in nodes(read_schema(data, path.name)) if _is_main(node)})
    if nowhere:
        raise InvalidValue(
            f"skops would refer to {', '.join(nowhere)}, which other programs do not have",
            hint="define it in a module and pass code_paths=[...], or pass serialization_format='cloudpickle'",
        )
    path.write_bytes(data)
    return sorted(sio.get_untrusted_types(data=data))


def why_code(data: bytes, shown: str) -> str | None:
    """Why building what a skops file holds could run code; None where all its types are on our list."""
    names = ", ".join(f"{name!a:.100}" for name in refused(_kinds(read_schema(data, shown)))[:5])
    return f"{shown!a} holds types that are not on the list: {names}" if names else None


def load(data: bytes, shown: str, admission: Admission | None) -> Any:
    """Build what a skops file holds: types of our list, and others where the admission lets the model run code.

    Raises `Untrusted` naming the types otherwise. Modules that the model brings along are found in its bundle.
    """
    schema = read_schema(data, shown)
    kinds = _kinds(schema)
    if refused(kinds):
        if admission is None or not admission.may_run_code:
            judge(schema, shown)
        else:
            data, kinds = _with_bundle(data, schema, admission.bundle())
    trusted = [name for _, name in kinds]
    # For random generators alone it looks at a list of its own, whatever it is told to trust.
    own = any(loader == "RandomGeneratorNode" for loader, _ in kinds)
    try:
        if own:
            return skops_lists.skops().loads(data, trusted=trusted)
        with skops_lists.reading() as sio:
            return sio.loads(data, trusted=trusted)
    except (KeyError, ValueError, TypeError, AttributeError, ImportError, EOFError, RecursionError) as error:
        raise InvalidValue(
            f"{shown!a} cannot be read as a skops file: {type(error).__name__}",
            hint="install what the model needs (its requirements.txt), or bring its code along with code_paths",
        ) from error


def judge(schema: Any, shown: str) -> None:
    """Raise `Untrusted`, naming them, where a schema holds loaders or types that are not on our lists."""
    found = refused(_kinds(schema))
    if found:
        listed = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        raise Untrusted(
            f"{shown!a} was not loaded: it holds types that are not known to be safe: {listed}", hint=WAYS_FORWARD
        )


def refused(kinds: set[Kind]) -> list[str]:
    """Of the kinds of nodes in a schema, the types and loaders that are not on our lists."""
    return sorted({what for loader, name in kinds if (what := _refusal(loader, name))})


def read_schema(data: bytes, shown: str) -> Any:
    """The JSON schema of a skops file, after the archive passed its limits; raises `InvalidValue` otherwise."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_archive(archive, len(data), shown)
            return json.loads(archive.read("schema.json"))
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        RecursionError,
        EOFError,
    ) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"{shown!a} is not a skops file") from error


def modules(data: bytes) -> set[str]:
    """The top-level modules that a skops file names."""
    schema = read_schema(data, "the skops file")
    return {_type_of(node).partition(".")[0] for node in nodes(schema)}


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every node of a schema that names a loader, wherever it hangs."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            waiting += [value for value in item.values() if isinstance(value, (dict, list))]
        elif isinstance(item, list):
            waiting += item


def _kinds(schema: Any) -> set[Kind]:
    """What kinds of nodes there are: a file of many nodes has few."""
    return {(str(node["__loader__"]), _type_of(node)) for node in nodes(schema)}


def _refusal(loader: str, name: str) -> str | None:
    """What is wrong with a node: its loader or its type; None where nothing is."""
    if loader not in _DATA_LOADERS | _TYPE_LOADERS:
        return f"{name} (by {loader})"
    if loader == "FunctionNode":
        return None if name in _FUNCTIONS else name
    known = name in _DATA_TYPES or (name.startswith("numpy.") and _is_numpy_data(name))
    return None if known or _is_estimator(name) else name


def _with_bundle(data: bytes, schema: Any, bundle: Bundle) -> tuple[bytes, set[Kind]]:
    """The file, and its kinds, with the private names of the modules that the bundle has, which skops then imports."""
    found = False
    for node in nodes(schema):
        name = str(node.get("__module__"))
        if bundle.has(name):
            node["__module__"] = bundle.import_module(name).__name__
            found = True
    return _repacked(data, schema) if found else data, _kinds(schema)


def _repacked(data: bytes, schema: Any) -> bytes:
    """The same archive with another schema."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(schema) if name == "schema.json" else old.read(name))
    return made.getvalue()


def _is_numpy_data(name: str) -> bool:
    """Array, scalar and generator types of NumPy: a class directly in `numpy`, or a generator's."""
    return name.count(".") == 1 or name.startswith(("numpy.random.", "numpy.ma.", "numpy.dtypes."))


def _is_estimator(name: str) -> bool:
    if name in _BOOSTERS:
        return True
    if not name.startswith(_CLASS_PREFIXES) or name.startswith(tuple(_REFUSED_CLASSES)):
        return False
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper() or last.endswith(("_matrix", "_array"))


def _type_of(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _is_main(node: dict[str, Any]) -> bool:
    return node.get("__module__") in {"__main__", "__mp_main__"}


def _check_archive(archive: zipfile.ZipFile, packed: int, shown: str) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(packed, 4096):
        raise InvalidValue(f"{shown!a} unpacks to {unpacked:,} bytes, which is over the limit")
    if len(set(names)) != len(names) or any(member.flag_bits & 0x1 for member in members):
        raise InvalidValue(f"{shown!a} holds a member twice, or an encrypted one")
    if archive.getinfo("schema.json").file_size > MAX_SCHEMA:
        raise InvalidValue(f"the schema of {shown!a} is over the limit")
