"""The table of docs/house.md, enforced from the syntax tree: who may import whom, and what stands at module level."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pack"
FILES = sorted(PACKAGE.rglob("*.py"))

GROUND = {"errors", "settings", "uris", "plugins", "version", "yamls", "folders", "locks"}
MODEL_ROOMS = {"mlmodel", "envs", "trust", "artifacts", "flavors", "pyfunc"}
# Doors of flavors, each of them a few lines: pack.xgboost and its like.
FLAVOR_DOORS = {
    "catboost", "h2o", "keras", "lightgbm", "onnx", "pmdarima", "prophet", "pytorch", "sentence_transformers", "spacy",
    "spark", "statsmodels", "tensorflow", "transformers", "xgboost",
}  # fmt: skip
FLUENT_AND_BELOW = GROUND | MODEL_ROOMS | {"db", "web", "serving", "tracking", "registry", "data", "fluent"}
TOP = {"sklearn", "models", "entities", "types", "exchange", "conversion", "images"}

# room -> the rooms that it may import
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "folders": {"errors"},
    "locks": set(),
    "settings": {"errors"},
    "uris": {"errors"},
    "yamls": {"errors"},
    "plugins": {"errors"},
    "mlmodel": GROUND,
    "envs": GROUND | {"mlmodel"},
    "trust": GROUND | {"mlmodel"},
    "data": GROUND | {"mlmodel"},
    "artifacts": GROUND,
    "db": GROUND,
    "web": GROUND,
    "flavors": GROUND | {"mlmodel", "envs", "trust"},
    "pyfunc": GROUND | {"mlmodel", "envs", "trust", "artifacts", "flavors"},
    "serving": GROUND | {"mlmodel", "artifacts", "pyfunc", "web"},
    "images": GROUND | {"mlmodel", "envs", "artifacts", "trust"},
    "tracking": GROUND | {"artifacts", "db", "web"},
    "registry": GROUND | {"artifacts", "db", "web"},
    "fluent": FLUENT_AND_BELOW,
    # the doors: names that people import, such as pack.sklearn
    "sklearn": FLUENT_AND_BELOW,
    **dict.fromkeys(FLAVOR_DOORS, FLUENT_AND_BELOW),
    "models": FLUENT_AND_BELOW,
    "entities": FLUENT_AND_BELOW,
    "types": FLUENT_AND_BELOW,
    "exchange": FLUENT_AND_BELOW,
    "conversion": FLUENT_AND_BELOW,
    "cli": FLUENT_AND_BELOW | TOP | {"cli"},
    "__main__": {"cli"},
    "__init__": FLUENT_AND_BELOW | FLAVOR_DOORS | TOP | {"cli"},
}

# What may be imported when a module of the room is imported. Everything else waits until it is used.
THIRD_PARTY: dict[str, set[str]] = {
    "yamls": {"yaml"},
    "mlmodel": {"numpy", "pandas"},
    "envs": {"packaging"},
    "db": {"sqlalchemy"},
    "web": {"starlette"},
    "serving": {"msgspec", "numpy", "simdjson", "starlette"},
    "cli": {"click"},
    "__main__": set(),
}
LEAVES: dict[str, set[str]] = {
    "flavors/sklearn.py": {"sklearn", "skops"},
    "flavors/xgboost.py": {"xgboost"},
    "flavors/lightgbm.py": {"lightgbm"},
    "flavors/catboost.py": {"catboost"},
    "flavors/keras.py": {"keras"},
    "flavors/keras_models.py": {"keras", "numpy"},
    "flavors/named_arrays.py": {"numpy"},
    "flavors/saved_models.py": {"numpy", "tensorflow"},
    "flavors/tensorflow.py": {"keras", "tensorflow"},
    "flavors/h2o.py": {"h2o"},
    "flavors/spark.py": {"py4j", "pyspark"},
    "flavors/onnx.py": {"numpy", "onnx"},
    "flavors/onnx_runtime.py": {"onnxruntime"},
    "flavors/pmdarima.py": {"numpy", "pandas", "pmdarima"},
    "flavors/prophet.py": {"pandas", "prophet"},
    "flavors/pytorch.py": {"torch"},
    "flavors/torch_export.py": {"numpy", "torch"},
    "flavors/torch_tensors.py": {"numpy", "torch"},
    "flavors/spacy.py": {"pandas", "spacy"},
    "flavors/statsmodels.py": {"pandas", "statsmodels"},
    "flavors/sentence_transformers.py": {"sentence_transformers"},
    "flavors/transformers.py": {"transformers"},
    "flavors/transformers_llm.py": {"numpy"},
    "flavors/transformers_parts.py": {"torch", "transformers"},
    "flavors/transformers_tasks.py": {"numpy"},
    "conversion/graph.py": {"numpy", "onnx"},
    "conversion/layouts.py": {"numpy"},
    "conversion/proof.py": {"numpy"},
    "conversion/rows.py": {"numpy"},
    "conversion/verb.py": {"numpy"},
    "conversion/catboost.py": {"onnx"},
    "conversion/keras.py": {"keras", "onnx"},
    "conversion/pytorch.py": {"numpy", "onnxscript", "torch"},
    "conversion/lightgbm.py": {"lightgbm", "onnxmltools"},
    "conversion/registered.py": {"numpy", "onnx", "skl2onnx"},
    "conversion/sklearn.py": {"skl2onnx"},
    "conversion/xgboost.py": {"onnxmltools"},
    "images/engine.py": {"docker", "requests"},
    "images/oci/registries.py": {"docker", "dxf", "requests"},
    "tracking/routes.py": {"starlette"},
    "registry/routes.py": {"starlette"},
    "plugins.py": {"packaging"},
    "trust/certificates.py": {"OpenSSL", "cryptography"},
    "trust/openssf.py": {"OpenSSL", "cryptography", "model_signing", "sigstore"},
    "web/protocol.py": {"httptools", "uvicorn"},
    "web/cycle.py": {"uvicorn"},
    "web/server.py": {"uvicorn"},
    "web/stages.py": {"uvicorn"},
}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module name, and whether it is imported when the file is."""

    def visit(node: ast.AST, top: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module == "pack":
                yield from ((f"pack.{alias.name}", top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield child.module or "", top
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, top and not inside)

    yield from visit(tree_of(path), True)


def shown(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_room_imports_only_what_lies_below_it(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_IMPORT, f"{shown(path)} lies in no room of the table"
    for name, _ in imports_of(path):
        parts = name.split(".")
        if parts[0] != "pack" or len(parts) == 1:
            continue
        assert parts[1] in MAY_IMPORT[room] | {room}, f"{shown(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_third_party_packages_wait_until_they_are_used(path: Path) -> None:
    allowed = THIRD_PARTY.get(room_of(path), set()) | LEAVES.get(shown(path), set())
    for name, top in imports_of(path):
        first = name.partition(".")[0]
        if top and first != "pack" and first not in sys.stdlib_module_names:
            assert first in allowed, f"{shown(path)} imports {first} when it is imported"


def test_the_two_wings_never_import_each_other() -> None:
    model_wing, record_wing = {"flavors", "pyfunc", "serving"}, {"tracking", "registry", "db"}
    for one, other in ((model_wing, record_wing), (record_wing, model_wing)):
        for path in FILES:
            if room_of(path) in one:
                assert not {name.split(".")[1] for name, _ in imports_of(path) if name.startswith("pack.")} & other


def test_upward_references_are_the_named_rows() -> None:
    """A string that names a room above the file's own is an upward reference; these rows and the doors may hold one."""
    doors = {"__init__.py", "pyfunc/__init__.py", "cli/__init__.py", "tracking/__init__.py"}
    found = {
        (shown(path), node.value.partition(":")[0])
        for path in FILES
        if shown(path) not in doors
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.startswith("pack.") and ":" in node.value and " " not in node.value
        if node.value.split(".")[1].partition(":")[0] not in MAY_IMPORT[room_of(path)] | {room_of(path)}
    }
    assert found == {
        ("artifacts/__init__.py", "pack.fluent.locations"),
        ("flavors/__init__.py", "pack.pyfunc.flavor"),
        # what MLflow's pickles call our classes
        ("trust/payloads.py", "pack.pyfunc.model"),
        ("trust/payloads.py", "pack.pyfunc.foreign"),
        ("trust/payloads.py", "pack.pyfunc.chat"),
    }


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_nothing_goes_through_a_shell(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in SHELLS
            assert not any(word.arg == "shell" for word in node.keywords), f"{shown(path)}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_users_mistake_is_never_an_assertion(path: Path) -> None:
    assert not [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]


def test_modules_form_no_circle() -> None:
    edges: dict[str, set[str]] = {}
    names = {shown(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}
    for name, path in names.items():
        targets = {
            target.removeprefix("pack.") for target, top in imports_of(path) if top and target.startswith("pack.")
        }
        edges[name] = {target for target in targets if target in names and target != name}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in sorted(edges[name]):
                walk(target, (*trail, name))
            done.add(name)

    for name in sorted(edges):
        walk(name, ())
