"""Requirements from the modules that a model refers to: mapped to what is installed, pinned, nothing run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

from pack.envs.installed import distribution_of
from pack.errors import InvalidValue

# Ours, and names of pickles that stand for our own classes.
_OURS = {"pack", "mlflow", "__main__", "__mp_main__"}


def infer_requirements(modules: Iterable[str]) -> list[str]:
    """`name==version` for each distribution behind these modules, sorted; local versions are kept as they are.

    Modules of the standard library, of `pack` itself and of no installed distribution (the user's own code, which
    travels by `code_paths`) need no line.
    """
    found = {}
    for module in {name.partition(".")[0] for name in modules} - _OURS - set(sys.stdlib_module_names):
        distribution = distribution_of(module)
        if distribution:
            found[distribution[0].lower()] = f"{distribution[0]}=={distribution[1]}"
    return [found[name] for name in sorted(found)]


def modules_of_code(paths: Iterable[str | Path]) -> set[str]:
    """The top-level modules that Python files import, in functions too; files below folders included."""
    found: set[str] = set()
    for path in map(Path, paths):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.suffix == ".py":
                found |= modules_of_source(file.read_bytes(), file.name)
    return found


def modules_of_source(source: bytes, shown: str) -> set[str]:
    """The top-level modules that Python source imports; raises `InvalidValue` for text that is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InvalidValue(f"{shown} is not Python {sys.version_info[0]}.{sys.version_info[1]}") from error
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found
