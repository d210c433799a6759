"""Keras 3 models: `.keras` archives by default, which hold data only; exported SavedModels on request.

Keys are MLflow's (interoperability facts, flavors, section 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature as parameters_of
from pathlib import Path
from typing import Any, ClassVar

import keras

from pack.errors import InvalidValue
from pack.flavors import keras_models
from pack.flavors.base import Config, Flavor
from pack.mlmodel.signature import ModelSignature
from pack.trust import payloads


class Keras(Flavor):
    """Models of Keras 3 on any of its backends; `custom_objects` are pickled, and so make a model run code.

    With `save_exported_model` the model is a program of TensorFlow's, which needs no Keras code of yours to load.
    """

    name: ClassVar[str] = "keras"
    packages: ClassVar[tuple[str, ...]] = ("keras",)

    def __init__(
        self,
        save_exported_model: bool = False,
        custom_objects: Mapping[str, Any] | None = None,
        save_model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.save_exported_model = save_exported_model
        self.custom_objects = custom_objects
        self.save_model_kwargs = dict(save_model_kwargs or {})
        self._framed = False
        if "zipped" in self.save_model_kwargs:
            raise InvalidValue("save_model_kwargs: zipped cannot be chosen", hint="leave it out")

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """A frame as example means that the model is asked with frames, whose columns the model does not know."""
        self._framed = hasattr(example, "columns")

    def write(self, model: Any, home: Path) -> Config:
        """Write the archive, or export the model."""
        if not isinstance(model, keras.Model):
            raise InvalidValue(f"{type(model).__name__} is not a keras.Model", hint="give a model of Keras 3")
        folder = home / "data"
        folder.mkdir()
        (folder / "keras_module.txt").write_text("keras", encoding="utf-8")
        config = {
            "data": folder.name,
            "keras_version": keras.__version__,
            "keras_backend": keras.backend.backend(),
            "save_exported_model": self.save_exported_model,
        }
        if self.save_exported_model:
            _export(model, folder / "model", self.save_model_kwargs)
            return config
        why = keras_models.write(
            model, folder / "model.keras", custom_objects=self.custom_objects, options=self.save_model_kwargs
        )
        return {**config, "runs_code": True} if why else config

    def read(self, home: Path, config: Config) -> Any:
        """The model, not compiled; an exported one only where the load policy allows it."""
        return self._read(home, config, compiled=False)

    def read_native(self, home: Path, config: Config) -> Any:
        """The model, compiled as it was unless `load_model_kwargs` say otherwise."""
        return self._read(home, config, compiled=keras_models.compiled(config.get("load_model_kwargs")))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A frame for a frame, else the arrays that the model answers."""
        if isinstance(model, keras.Model):
            return keras_models.predict(model, rows, params)
        from pack.flavors import saved_models

        return saved_models.predict(model, rows, params)

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for models of Keras' own layers with a free first dimension."""
        return isinstance(model, keras.Model) and keras_models.rows_are_independent(model)

    def runs_code(self, config: Config) -> str | None:
        """Exported models are programs; archives run code where they hold some, which is looked at when they load."""
        if config.get("save_exported_model"):
            return payloads.SAVED_MODEL
        return "it holds code, which runs when it is opened" if config.get("runs_code") else None

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Functions and classes that are not Keras' own are code."""
        return keras_models.why_code(home / str(config["data"]) / "model.keras")

    def python_function(self, config: Config) -> Config | None:
        """The loader alone."""
        return {"loader_module": "mlflow.keras"}

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """The backend, and what custom objects name."""
        backend = "tensorflow" if self.save_exported_model else str(config["keras_backend"])
        return {backend, *keras_models.pickles_beside(home / str(config["data"]))}

    def signature(self, model: Any) -> ModelSignature | None:
        """The tensors that the model takes; None where it is asked with frames, or does not know them."""
        return None if self._framed else keras_models.signature(model)

    def _read(self, home: Path, config: Config, *, compiled: bool) -> Any:
        folder = home / str(config["data"])
        if config.get("save_exported_model"):
            return payloads.load_saved_model(folder / "model")
        return keras_models.read(folder / "model.keras", custom_objects=config.get("custom_objects"), compiled=compiled)


def _export(model: Any, path: Path, options: Config) -> None:
    quiet = {"verbose": False} if "verbose" in parameters_of(model.export).parameters else {}
    if not model.built:
        raise InvalidValue(f"the model {model.name!r} has no weights yet", hint="call it on data once")
    try:
        model.export(str(path), **{"format": "tf_saved_model", **quiet, **options})
    except (ValueError, TypeError, ImportError, RuntimeError, AttributeError) as error:
        raise InvalidValue(
            f"Keras {keras.__version__} does not export {type(model).__name__}: {error!s:.300}",
            hint="save it without save_exported_model",
        ) from error
