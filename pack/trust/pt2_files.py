"""Archives of `torch.export`, judged before PyTorch looks at them.

PyTorch's own reader unpickles what an archive calls a pickle, evaluates its symbolic sizes as Python, calls whatever
function below `torch` a graph names, imports what its trees of values name, and writes a program of the names in it.
So only archives of plain tensors pass, whose graphs call tensor operators and whose every text is a plain name. The
guards of an archive, which are Python too, are never run.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

MODEL = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
_CONFIGS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_[0-9]+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_[0-9]+"),
}
_RECORDS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/version|\.data/serialization_id|models/model\.json|"
    r"data/sample_inputs/model\.pt|data/(weights/model_weights|constants/model_constants)_config\.json|"
    r"data/weights/weight_[0-9]+|data/constants/tensor_[0-9]+|extra/[\w./-]+",
    re.ASCII,
)

# Texts that become names of variables in the program which PyTorch writes, and those that become attributes in it.
_NAME = re.compile(r"([A-Za-z_]\w*)?", re.ASCII)
_ATTRIBUTE = re.compile(r"[\w.+-]*", re.ASCII)
_ATTRIBUTES = {"parameter_name", "buffer_name", "tensor_constant_name", "fqn", "path_name", "torch_version"}
# Text that is only data, and what is not used at all: `guards_code` would be run where guards are asked for.
_FREE = {"as_string", "as_strings", "metadata", "guards_code"}
_OBJECTS = {"as_custom_obj", "custom_obj"}

_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", re.ASCII)
_LIBRARIES = {"aten", "prims", "quantized", "quantized_decomposed", "torchvision"}
# These open files, or print and warn.
_REFUSED = {"from_file", "save", "warn", "_print", "format"}
_HIGHER = re.compile(
    r"torch\.ops\.higher_order\.(cond|while_loop|map_impl|scan|associative_scan|wrap_with_set_grad_enabled|"
    r"wrap_with_autocast|invoke_subgraph)",
    re.ASCII,
)
_PLAIN = re.compile(
    r"_operator\.(pow|add|sub|eq|mul|ne|floordiv|lt|or_|le|truediv|mod|pos|gt|neg|ge|lshift|rshift|and_|getitem)|"
    r"torch\.(sym_float|sym_int|sym_max|sym_min|sym_ite|sym_not|_sym_sqrt)|math\.(trunc|floor|ceil|sqrt|pow)",
    re.ASCII,
)

_TREES = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
_FUNCTIONS = {
    "FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv", "CeilToInt", "FloorToInt", "CeilDiv",
    "FloatTrueDiv", "IntTrueDiv", "IsNonOverlappingAndDenseIndicator", "TruncToFloat", "TruncToInt", "RoundToInt",
    "RoundDecimal", "ToFloat", "Identity", "Max", "Min", "Abs", "floor", "ceiling", "sqrt", "Piecewise", "Add", "Mul",
    "Pow", "Integer", "Rational", "Tuple", "ExprCondPair", "And", "Or", "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge",
    "Equality", "Unequality", "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan",
}  # fmt: skip
_SYMBOL = re.compile(r"[a-zA-Z]\w*", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,3})?", re.ASCII)
_NODES = (
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Tuple, ast.operator, ast.unaryop, ast.cmpop, ast.boolop,
    ast.expr_context,
)  # fmt: skip
_MAX_EXPRESSION = 4000
_MAX_POWER = 64


class Records(Protocol):
    """PyTorch's reader of archives: what it sees is what is judged."""

    def get_all_records(self) -> list[str]:
        """The names of the files inside."""

    def get_record(self, name: str) -> bytes:
        """The bytes of one."""

    def get_record_size(self, name: str) -> int:
        """How many they are."""


def why_it_runs_code(records: Records) -> str | None:
    """Why opening an archive could run code, or read what it should not; None for one of plain tensors and operators.

    The inputs that an archive may hold as examples are left to the caller: they are a pickle.
    """
    try:
        return next(_reasons(records), None)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        return f"it is not what torch.export writes ({type(error).__name__})"


def _reasons(records: Records) -> Iterator[str]:
    names = records.get_all_records()
    yield from (f"it holds {name[:80]!a}" for name in names if not _RECORDS.fullmatch(name))
    yield from ("two of its files have one name" for _ in range(len(names) != len(set(names))))
    for name, pattern in _CONFIGS.items():
        yield from _payloads(records, name, pattern)
    yield from _texts(json.loads(records.get_record(MODEL)), "")


def _payloads(records: Records, name: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """What is wrong with a list of tensors, each of which must lie in a file as its plain bytes."""
    folder = name.rpartition("/")[0]
    config = json.loads(records.get_record(name))
    for key, entry in config["config"].items():
        place, meta = str(entry["path_name"]), entry["tensor_meta"]
        if not _ATTRIBUTE.fullmatch(key) or not pattern.fullmatch(place):
            yield f"it names a tensor {key[:40]!a} in {place[:40]!a}"
        elif entry["use_pickle"] is not False or meta is None:
            yield f"its tensor {key[:40]!a} is a pickle"
        elif not records.get_record_size(f"{folder}/{place}") and 0 not in [size["as_int"] for size in meta["sizes"]]:
            yield f"its tensor {key[:40]!a} has no bytes"
    yield from _texts(config, "config")


def _texts(value: Any, key: str) -> Iterator[str]:
    """What is wrong with a value that stands under this key, and all below it."""
    if key in _FREE:
        return
    if key in _OBJECTS:
        yield "it holds an object of a class of its own"
    elif isinstance(value, dict):
        allowed = _ATTRIBUTE if key == "config" else _NAME
        yield from (f"it has a name {name[:40]!a}" for name in value if not allowed.fullmatch(name))
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str) and not _RULES.get(key, _is_name)(value):
        yield f"its {key or 'text'} is {value[:80]!a}"


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text))


def _is_attribute(text: str) -> bool:
    return bool(_ATTRIBUTE.fullmatch(text))


def _is_operator(text: str) -> bool:
    """Whether a graph may call this: operators on tensors, on sizes, and control flow."""
    found = _OPERATOR.fullmatch(text)
    if found and found[1] != "higher_order":
        return found[1] in _LIBRARIES and found[2] not in _REFUSED and not found[3].startswith("__")
    return bool(_HIGHER.fullmatch(text) or _PLAIN.fullmatch(text))


def _is_expression(text: str) -> bool:
    """Whether this is arithmetic on sizes, and calls nothing else."""
    if len(text) > _MAX_EXPRESSION:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return _is_arithmetic(tree.body)


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _is_function(node)
    if isinstance(node, ast.Constant):
        return type(node.value) in {int, float, bool}
    if isinstance(node, ast.Name):
        return bool(_SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Pow, ast.LShift)) and not _is_small(node.right):
        return False
    return isinstance(node, _NODES) and all(map(_is_arithmetic, ast.iter_child_nodes(node)))


def _is_function(node: ast.Call) -> bool:
    """Whether this calls a function of arithmetic; a symbol and a fraction are made of text."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in {"Symbol", "Float"}:
        pattern = _SYMBOL if name == "Symbol" else _FLOAT
        first = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
        values = [word.value.value if isinstance(word.value, ast.Constant) else None for word in node.keywords]
        words = all(isinstance(value, int) and value <= _MAX_EXPRESSION for value in values)
        return words and isinstance(first, str) and bool(pattern.fullmatch(first))
    if name not in _FUNCTIONS or node.keywords or (name == "Pow" and not _is_small(node.args[-1])):
        return False
    return all(map(_is_arithmetic, node.args))


def _is_small(node: ast.AST) -> bool:
    """Whether this is a whole number that may be an exponent."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Integer" and len(node.args) == 1:
        node = node.args[0]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value <= _MAX_POWER


def _is_tree(text: str) -> bool:
    """Whether this describes tuples, lists and dicts."""
    protocol, tree = json.loads(text)
    return protocol == 1 and _is_branch(tree)


def _is_branch(tree: Any) -> bool:
    kind, context = tree["type"], tree["context"]
    if kind is not None and kind not in _TREES:
        return False
    # A dict in it would name an enumeration to import.
    keys = None if context is None else json.loads(context)
    plain = keys is None or (isinstance(keys, list) and all(isinstance(one, (str, int)) for one in keys))
    return plain and all(_is_branch(child) for child in tree["children_spec"])


_RULES: dict[str, Callable[[str], bool]] = {
    "target": _is_operator,
    "as_operator": _is_operator,
    "expr_str": _is_expression,
    "in_spec": _is_tree,
    "out_spec": _is_tree,
    **dict.fromkeys(_ATTRIBUTES, _is_attribute),
}
