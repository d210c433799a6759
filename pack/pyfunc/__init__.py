"""One `predict()` for every model: python models, models from code, and whatever a flavor reads."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pack.fluent.doors import log_python_model as log_model
    from pack.fluent.doors import save_python_model as save_model
    from pack.pyfunc.chat import ChatModel
    from pack.pyfunc.code_model import set_model
    from pack.pyfunc.load import get_model_dependencies, load_model, load_native
    from pack.pyfunc.model import FunctionModel, PythonModel, PythonModelContext
    from pack.pyfunc.wrapper import PyFuncModel

_EXPORTS = {
    "ChatModel": "pack.pyfunc.chat:ChatModel",
    "FunctionModel": "pack.pyfunc.model:FunctionModel",
    "PyFuncModel": "pack.pyfunc.wrapper:PyFuncModel",
    "PythonModel": "pack.pyfunc.model:PythonModel",
    "PythonModelContext": "pack.pyfunc.model:PythonModelContext",
    "get_model_dependencies": "pack.pyfunc.load:get_model_dependencies",
    "load_model": "pack.pyfunc.load:load_model",
    "load_native": "pack.pyfunc.load:load_native",
    "log_model": "pack.fluent.doors:log_python_model",
    "save_model": "pack.fluent.doors:save_python_model",
    "set_model": "pack.pyfunc.code_model:set_model",
}
__all__ = [
    "ChatModel",
    "FunctionModel",
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "get_model_dependencies",
    "load_model",
    "load_native",
    "log_model",
    "save_model",
    "set_model",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _EXPORTS[name].partition(":")
    found = getattr(import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
