"""Models from code: a script that says which object in it is the model."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pack import yamls
from pack.errors import InvalidState, InvalidValue, ModelFailed, PackError
from pack.mlmodel.bundles import Bundle

_slot: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("pack_code_model", default=None)
_config: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("pack_code_config", default=None)


def set_model(model: Any) -> None:
    """Say, in a models-from-code script, which object is the model.

    >>> set_model(lambda model_input: model_input)  # the last call counts
    """
    if not callable(model) and not callable(getattr(model, "predict", None)):
        raise InvalidValue(
            f"set_model was given {type(model).__name__}",
            hint="give a PythonModel, an object with predict, or a function",
        )
    slot = _slot.get()
    if slot is not None:
        slot.append(model)


class ModelConfig:
    """The config of a models-from-code script: the loader's, or `development_config` while the script is written."""

    def __init__(self, *, development_config: dict[str, Any] | str | Path | None = None) -> None:
        loaded = _config.get()
        self._config = read_config(development_config) if loaded is None else loaded

    def to_dict(self) -> dict[str, Any]:
        """All keys."""
        return dict(self._config)

    def get(self, key: str) -> Any:
        """One key; raises `InvalidValue` naming the keys that there are."""
        if key not in self._config:
            has = f"it has: {', '.join(self._config)}" if self._config else "pass model_config={...} when saving"
            raise InvalidValue(f"the model's config has no key {key!r}", hint=has)
        return self._config[key]


def run_script(source: bytes, name: str, *, config: dict[str, Any], bundle: Bundle) -> Any:
    """Run a models-from-code script and answer the model that it sets.

    Raises `InvalidState` where it sets none, `ModelFailed` where the script itself raises.
    """
    slot: list[Any] = []
    tokens = _slot.set(slot), _config.set(config)
    try:
        bundle.run_script(script_source(source, name), name)
    except PackError:
        raise
    except Exception as error:
        raise ModelFailed(
            f"{name!a} failed: {type(error).__name__}: {error}", hint="run the script by itself"
        ) from error
    finally:
        _slot.reset(tokens[0])
        _config.reset(tokens[1])
    if not slot:
        raise InvalidState(f"{name!a} sets no model", hint="end the script with pack.models.set_model(your_model)")
    return slot[-1]


def script_source(source: bytes, name: str) -> bytes:
    """The Python in a script; of a notebook, its code cells without the lines that only notebooks have."""
    if not name.endswith(".ipynb"):
        return source
    try:
        cells = json.loads(source)["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidValue(f"{name!a} is not a notebook") from error
    lines = [line for text in texts for line in text.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return "\n".join(lines).encode()


def saved_bundle(home: Path) -> Bundle:
    """The code in a model directory that is being written."""
    files = {path.relative_to(home).as_posix(): None for path in home.glob("code/**/*.py")}
    return Bundle(files, lambda name: (home / name).read_bytes())


def read_config(config: Any) -> dict[str, Any]:
    """A model config given as a dict or as the path of a YAML file; raises `InvalidValue` for anything else."""
    if config is None:
        return {}
    if isinstance(config, (str, Path)):
        path = Path(config)
        if not path.is_file():
            raise InvalidValue(f"there is no config file {path}", hint="give a dict, or the path of a YAML file")
        config = yamls.load(path.read_bytes(), path.name)
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise InvalidValue("a model config is a dict with text keys", hint="give a dict, or the path of a YAML file")
    return dict(config)
