"""Loading: from a URI to a model that predicts, through the load policy."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pack import envs, flavors, settings
from pack.artifacts import local_path
from pack.errors import BadRequest, InvalidValue, NotFound
from pack.flavors.base import Block, Config, Flavor
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL, Model
from pack.pyfunc.code_model import read_config
from pack.pyfunc.model import native as as_given
from pack.pyfunc.wrapper import PyFuncModel
from pack.trust.admission import Admission, admit
from pack.trust.policy import Policy, policy_for
from pack.trust.records import is_remembered

_FUNCTION = "python_function"
# Loader modules of the format → flavors. They are names, and are never imported.
LOADERS = {
    "mlflow.pyfunc.model": _FUNCTION,
    "mlflow.pyfunc.loaders.code_model": _FUNCTION,
    "mlflow.pyfunc.loaders.chat_model": _FUNCTION,
}


def load_model(
    model_uri: str | Path,
    suppress_warnings: bool = False,
    dst_path: str | Path | None = None,
    model_config: Config | str | Path | None = None,
    *,
    trust: bool | str | Policy | None = None,
) -> PyFuncModel:
    """Load any model as one that predicts: `models:/churn@champion`, `models:/churn/3`, `runs:/<id>/model`, or a path.

    `model_config` is laid over the config that the model was saved with; `trust` is the load policy for this call.
    Raises `NotFound`, `Damaged` where files differ from their digests, `Untrusted` where code would have to run.

    >>> load_model("models:/churn@champion").predict(frame)  # doctest: +SKIP
    """
    home = local_path(model_uri, dst=dst_path)
    report = digests.check(home)
    block = _python_function(report.model)
    flavor, config = _flavor_of(report.model, block)
    config = _configured(config, model_config, suppress_warnings=suppress_warnings)
    admission = admit(home, policy_for(trust), flavor.runs_code(config), report=report)
    if not suppress_warnings:
        _warn_of_versions(home, block)
    native = _read(admission, flavor, config)
    found = dict(config.get("config") or {})
    return PyFuncModel(report.model, flavor, native, home=home, model_config=found, digest=report.digest)


def load_native(
    model_uri: str | Path,
    *,
    flavor: str | None = None,
    dst_path: str | Path | None = None,
    trust: bool | str | Policy | None = None,
    options: Config | None = None,
) -> Any:
    """Load a model as its framework knows it: an estimator, a booster, or a `PythonModel`.

    `options` are what the flavor lets a reader choose, such as a device.

    >>> load_native("models:/churn@champion")  # doctest: +SKIP
    """
    home = local_path(model_uri, dst=dst_path)
    report = digests.check(home)
    name = flavor or next((key for key in report.model.flavors if key != _FUNCTION), _FUNCTION)
    if name in report.model.flavors and name not in flavors.FLAVORS:
        raise _no_flavor(ascii(name))
    restored, block = _native(report.model, name, options or {})
    admission = admit(home, policy_for(trust), restored.runs_code(block), report=report)
    with admission:
        native = restored.read_native(admission.home, block)
    return as_given(native.model) if name == _FUNCTION else native


def get_model_dependencies(model_uri: str | Path, format: str = "pip") -> str:  # noqa: A002 - MLflow's name
    """The path of the model's requirements file; `format="conda"` gives its conda.yaml."""
    names = {"pip": "requirements.txt", "conda": "conda.yaml"}
    if format not in names:
        raise InvalidValue(f"format={format!r} is not known", hint="use 'pip' or 'conda'")
    path = local_path(model_uri) / names[format]
    if not path.is_file():
        raise NotFound(f"the model has no {names[format]}")
    return str(path)


def inspect_code(report: digests.Report) -> str | None:
    """Why loading this model runs code, in any way that it can be loaded; None where it does not. Nothing is loaded.

    Raises `PackError` where that cannot be told: the framework is not installed, or the files are no model.
    """
    with Admission(report, policy_for("safe")):
        reasons = (
            flavor.runs_code(config) or flavor.runs_code_in(report.home, config)
            for flavor, config in _readers(report.model)
        )
        return next(filter(None, reasons), None)


def is_own(model_uri: str | Path) -> bool:
    """Whether this user saved the model, by the digests that its MLmodel file records, which a load compares."""
    data = (local_path(model_uri) / MLMODEL).read_bytes()
    recorded = Model.parse(data).pack
    files = recorded.get("files") if isinstance(recorded, dict) else None
    if not isinstance(files, dict):
        return False
    text = data.decode("utf-8")
    return is_remembered(digests.tree_digest({**files, MLMODEL: digests.text_digest(text)}))


def _python_function(model: Model) -> Config:
    if (model.metadata or {}).get("mlflow.model.isExternal") is True:
        raise BadRequest("this model lives elsewhere; its directory holds no payload")
    return Block(model.flavor(_FUNCTION))


def _readers(model: Model) -> Iterator[tuple[Flavor, Config]]:
    """What can read this model here: as a python function, and as each of its frameworks knows it."""
    names = [name for name in model.flavors if name != _FUNCTION and name in flavors.FLAVORS]
    if _FUNCTION in model.flavors:
        found = _flavor_of(model, _python_function(model))
        yield found
        names = [name for name in names if name != found[0].name]
    elif not names:
        raise _no_flavor(", ".join(map(ascii, model.flavors)))
    for name in names:
        yield _native(model, name, {})


def _native(model: Model, name: str, options: Config) -> tuple[Flavor, Config]:
    """The flavor of this name, and its own block of the MLmodel file with the reader's options laid over it."""
    block = Block({**model.flavor(name), **options})
    found: Flavor = flavors.FLAVORS.load(name).restore(block, model.flavors.get(_FUNCTION, {}))
    return found, block


def _flavor_of(model: Model, block: Config) -> tuple[Flavor, Config]:
    """The flavor that reads this model, and the config it reads it by."""
    loader = str(block.get("loader_module", ""))
    name = LOADERS.get(loader) or _named(loader)
    if name is None or name == _FUNCTION:
        return flavors.FLAVORS.load(_FUNCTION).restore(block, block), block
    config = Block(model.flavors.get(name) or _from_block(block))
    if block.get("config"):
        config.setdefault("config", block["config"])
    found: Flavor = flavors.FLAVORS.load(name).restore(config, block)
    return found, config


def _named(loader: str) -> str | None:
    """The flavor behind `mlflow.<name>`; None for a loader module of the user's own."""
    first, _, name = loader.partition(".")
    if first != "mlflow":
        return None
    if name in flavors.FLAVORS:
        return name
    raise _no_flavor(ascii(loader))


def _no_flavor(shown: str) -> NotFound:
    known = ", ".join(sorted(flavors.FLAVORS))
    return NotFound(
        f"no flavor here reads models of {shown:.200}",
        hint=f"install the package that adds it, which is among the model's requirements (pack inspect shows them); "
        f"flavors here: {known}",
    )


def _from_block(block: Config) -> Config:
    """A native block that is missing, from what the `python_function` block says."""
    path = block.get("model_path") or block.get("data")
    found = {"pickled_model": path, "data": path, "serialization_format": block.get("serialization_format")}
    return {key: value for key, value in found.items() if value is not None}


def _configured(config: Config, given: Any, *, suppress_warnings: bool) -> Config:
    """The config with the environment's and the caller's values laid over those it was saved with."""
    over = {**settings.model_config(), **read_config(given)}
    saved = config.get("config") or {}
    if not isinstance(saved, dict):
        raise InvalidValue("the config in the MLmodel file is no mapping", hint="save the model again")
    unknown = sorted(over.keys() - saved.keys())
    if unknown and not suppress_warnings:
        warnings.warn(f"the model was saved without these config keys, they are left out: {unknown}", stacklevel=3)
    kept = {key: value for key, value in over.items() if key in saved}
    return Block({**config, "config": {**saved, **kept}}) if saved else config


def _read(admission: Admission, flavor: Flavor, config: Config) -> Any:
    with admission:
        return flavor.read(admission.home, config)


def _warn_of_versions(home: Path, block: Config) -> None:
    """One warning that names what differs between where the model was saved and here."""
    saved, here = str(block.get("python_version") or ""), platform.python_version()
    differs = []
    if saved and saved.split(".")[:2] != here.split(".")[:2]:
        differs.append(f"Python {saved} there, {here} here")
    path = home / "requirements.txt"
    if path.is_file():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        pinned = [line for line in lines if "==" in line and not line.startswith(("mlflow", "-"))]
        differs += [str(mismatch) for mismatch in envs.mismatches(pinned) if _is_far(mismatch)]
    if differs:
        shown = "; ".join(differs[:10])
        warnings.warn(f"the model was saved in another environment: {shown}", stacklevel=3)


def _is_far(mismatch: envs.Mismatch) -> bool:
    """Whether a package is missing, or differs by more than its patch level."""
    from packaging.version import InvalidVersion, Version

    if mismatch.installed is None:
        return True
    try:
        there, here = Version(mismatch.requirement.partition("==")[2].split(";")[0]), Version(mismatch.installed)
    except InvalidVersion:
        return True
    return there.release[:2] != here.release[:2]
