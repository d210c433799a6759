"""Code that a model brings along, in a namespace of its own.

The modules of a bundle live in `sys.modules` under a private prefix, and their own `import` statements are answered by
the bundle first, so that two models with a module of the same name each keep their own. Names of the standard library
and of installed packages are never taken over. `sys.path` and the import system stay as they are.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import itertools
import sys
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pack.errors import InvalidValue

_numbers = itertools.count(1)
# What MLflow's modules mean inside a bundle: our own, which is what a model's code needs. A module that is not listed
# is looked for under the nearest one that is: `mlflow.pyfunc.model` is `pack.pyfunc.model`.
_OURS = {
    "mlflow": "pack",
    "mlflow.exceptions": "pack.pyfunc.foreign",
    "mlflow.models.model": "pack.models",
    "mlflow.models.signature": "pack.models",
    "mlflow.tracking": "pack",
    "mlflow.types": "pack.mlmodel",
    "mlflow.types.type_hints": "pack.pyfunc.foreign",
}


class Bundle:
    """The modules below one folder of a model, read through `read`, so that what runs is what was verified.

    `files` are the paths of the model's files; those ending in `.py` below `root` are importable. `builtins` are
    the built-in names for code that is to import through the bundle.
    """

    def __init__(self, files: Mapping[str, Any], read: Callable[[str], bytes], root: str = "code/") -> None:
        self.prefix = f"_pack_bundle_{next(_numbers)}"
        self._read = read
        self._lock = threading.RLock()
        self._paths = _modules(files, root)
        self.builtins = {**vars(builtins), "__import__": self._import}

    def has(self, name: str) -> bool:
        """Whether a module of this name is the bundle's: it has it, and nothing installed has that name."""
        return name in self._paths and not _taken(name.partition(".")[0])

    def import_module(self, name: str) -> ModuleType:
        """Import a module, the bundle's own or an installed one, by the name that the bundled code uses."""
        if self.has(name):
            return self._own(name)
        return _ours(name) if name.partition(".")[0] in _OURS else importlib.import_module(name)

    def run_script(self, source: bytes, name: str) -> ModuleType:
        """Run a script as a module of this bundle and answer the module."""
        module = self._new(f"{self.prefix}.{Path(name).stem}", package=self.prefix)
        self._execute(module, source, name)
        return module

    def find(self, module: str, name: str) -> Any:
        """The object that a pickle refers to by `module` and a dotted `name`."""
        found: Any = self.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def close(self) -> None:
        """Forget the bundle's modules; objects that were made from them live on."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.prefix]:
            del sys.modules[name]

    def _own(self, name: str) -> ModuleType:
        private = f"{self.prefix}.{name}"
        with self._lock:
            if private in sys.modules:
                return sys.modules[private]
            parent, _, last = name.rpartition(".")
            if parent:
                self._own(parent)
            path = self._paths[name]
            package = path is None or path.endswith("/__init__.py")
            module = self._new(private, package=private if package else private.rpartition(".")[0])
            if package:
                module.__path__ = []
            try:
                if path is not None:
                    self._execute(module, self._read(path), path)
            except BaseException:
                sys.modules.pop(private, None)
                raise
            if parent:
                setattr(sys.modules[f"{self.prefix}.{parent}"], last, module)
            return module

    def _new(self, private: str, *, package: str) -> ModuleType:
        module = ModuleType(private)
        module.__package__ = package
        module.__dict__["__builtins__"] = self.builtins
        if self.prefix not in sys.modules:
            root = ModuleType(self.prefix)
            root.__path__ = []
            sys.modules[self.prefix] = root
        sys.modules[private] = module
        return module

    def _execute(self, module: ModuleType, source: bytes, shown: str) -> None:
        module.__file__ = f"<model>/{shown}"
        try:
            code = compile(source, module.__file__, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise InvalidValue(
                f"{shown} of the model is not Python {sys.version_info[0]}.{sys.version_info[1]}"
            ) from error
        exec(code, module.__dict__)  # noqa: S102 - callers have asked the load policy

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names of `__import__`
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What an `import` statement inside the bundle runs."""
        wanted = self._absolute(name, globals, level)
        if not self.has(wanted) and wanted.partition(".")[0] not in _OURS:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self.import_module(wanted)
        if fromlist:
            for item in fromlist:
                self._submodule(module, wanted, item)
            return module
        return module if level else self.import_module(wanted.partition(".")[0])

    def _submodule(self, module: ModuleType, name: str, item: str) -> None:
        if self.has(f"{name}.{item}") and not hasattr(module, item):
            self._own(f"{name}.{item}")

    def _absolute(self, name: str, globals: Mapping[str, Any] | None, level: int) -> str:  # noqa: A002
        if not level:
            return name
        package = str((globals or {}).get("__package__") or "")
        resolved = importlib.util.resolve_name("." * level + name, package)
        return resolved.removeprefix(f"{self.prefix}.").removeprefix(self.prefix)


def _modules(files: Mapping[str, Any], root: str) -> dict[str, str | None]:
    """Dotted name → path; a folder without `__init__.py` is a package without code (None)."""
    found: dict[str, str | None] = {}
    for path in files:
        if not path.startswith(root) or not path.endswith(".py"):
            continue
        parts = path[len(root) :].removesuffix(".py").split("/")
        if not all(part.isidentifier() for part in parts):
            continue
        if parts[-1] == "__init__":
            parts.pop()
        for depth in range(1, len(parts)):
            found.setdefault(".".join(parts[:depth]), None)
        if parts:
            found[".".join(parts)] = path
    return found


def _ours(name: str) -> ModuleType:
    """Our module for one of MLflow's; a name that only MLflow has is an import error that says so."""
    near, rest = name, ""
    while near not in _OURS:
        near, _, last = near.rpartition(".")
        rest = f".{last}{rest}"
    try:
        return importlib.import_module(_OURS[near] + rest)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the model's code imports {name}, which pack does not provide") from error


@lru_cache(maxsize=1024)
def _taken(name: str) -> bool:
    """Whether a top-level name belongs to the standard library or to an installed package."""
    if name in sys.stdlib_module_names:
        return True
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__spec__", None) is None:
        return False
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    origin = spec.origin if spec else None
    return bool(origin) and {"site-packages", "dist-packages"} & set(Path(str(origin)).parts) != set()
