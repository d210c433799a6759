"""TensorFlow: Keras models kept as MLflow's tensorflow flavor keeps them, and modules as SavedModels.

Keys are MLflow's (interoperability facts, flavors, section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import tensorflow as tf

from pack.errors import InvalidValue
from pack.flavors import keras_models, saved_models
from pack.flavors.base import Config, Flavor
from pack.mlmodel.signature import ModelSignature
from pack.trust import payloads
from pack.trust.admission import read_bytes

# `keras_model_kwargs["save_format"]` → the file; "tf" is what the default is called in the format.
_FILES = {"tf": "model.keras", "keras": "model.keras", "h5": "model.h5"}
# Where the classes of a model may come from; the name is compared, and never imported.
_KERAS = {"keras", "tensorflow.keras", "tensorflow.python.keras", "tensorflow.python.keras.api._v2.keras"}
_KERAS |= {"keras.api._v2.keras", "tf_keras"}


class TensorFlow(Flavor):
    """Keras models, `tf.Module`s and what `tf.saved_model.load` gives; `custom_objects` are pickled."""

    name: ClassVar[str] = "tensorflow"
    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)

    def __init__(
        self,
        custom_objects: Mapping[str, Any] | None = None,
        saved_model_kwargs: Mapping[str, Any] | None = None,
        keras_model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.custom_objects = custom_objects
        self.saved_model_kwargs = dict(saved_model_kwargs or {})
        self.keras_model_kwargs = dict(keras_model_kwargs or {})
        self.save_format = self.keras_model_kwargs.pop("save_format", None) or "tf"
        self._framed = False
        if self.save_format not in _FILES:
            raise InvalidValue(
                f"save_format={self.save_format!r} is not written", hint=f"use one of {', '.join(_FILES)}"
            )

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """A frame as example means that the model is asked with frames, whose columns the model does not know."""
        self._framed = hasattr(example, "columns")

    def write(self, model: Any, home: Path) -> Config:
        """Write a Keras model as a file, anything else of TensorFlow's as a SavedModel."""
        if isinstance(model, keras.Model):
            return self._write_keras(model, home)
        if not isinstance(model, (tf.Module, tf.__internal__.tracking.AutoTrackable)):
            raise InvalidValue(
                f"{type(model).__name__} is no model of TensorFlow's", hint="give a keras.Model or a tf.Module"
            )
        try:
            tf.saved_model.save(model, str(home / "tf2model"), **self.saved_model_kwargs)
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise InvalidValue(
                f"TensorFlow {tf.__version__} does not save {type(model).__name__}: {error!s:.300}",
                hint="give its __call__ a tf.function with an input_signature",
            ) from error
        return {"saved_model_dir": "tf2model", "model_type": "tf2-module"}

    def read(self, home: Path, config: Config) -> Any:
        """The Keras model, not compiled, or the program; a SavedModel only where the load policy allows it."""
        model = self._read(home, config, compiled=False)
        key = config.get("signature_def_key")
        return model if key is None else saved_models.signature_of(model, str(key))

    def read_native(self, home: Path, config: Config) -> Any:
        """The Keras model, compiled as it was, or what `tf.saved_model.load` gives."""
        return self._read(home, config, compiled=keras_models.compiled(config.get("keras_model_kwargs")))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A frame for a frame, else the arrays that the model answers."""
        predict = keras_models.predict if isinstance(model, keras.Model) else saved_models.predict
        return predict(model, rows, params)

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for models of Keras' own layers with a free first dimension."""
        return isinstance(model, keras.Model) and keras_models.rows_are_independent(model)

    def runs_code(self, config: Config) -> str | None:
        """SavedModels are programs; files of Keras run code where they hold some, which is looked at when they load."""
        if config.get("saved_model_dir"):
            return payloads.SAVED_MODEL
        return "it holds code, which runs when it is opened" if config.get("runs_code") else None

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Programs, and functions and classes that are not Keras' own, are code."""
        path = _file(home / str(config["data"]))
        return payloads.SAVED_MODEL if path.is_dir() else keras_models.why_code(path)

    def python_function(self, config: Config) -> Config | None:
        """The folder of a Keras model, and no more for a SavedModel."""
        data = {"data": config["data"]} if "data" in config else {}
        return {"loader_module": "mlflow.tensorflow", **data}

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """Keras, and what custom objects name."""
        return {"keras", *keras_models.pickles_beside(home / config["data"])} if "data" in config else set()

    def signature(self, model: Any) -> ModelSignature | None:
        """The tensors that the model takes; None where it is asked with frames, or does not know them."""
        if self._framed:
            return None
        return keras_models.signature(model) if isinstance(model, keras.Model) else saved_models.signature(model)

    def _write_keras(self, model: Any, home: Path) -> Config:
        folder = home / "data"
        folder.mkdir()
        path = folder / _FILES[self.save_format]
        why = keras_models.write(model, path, custom_objects=self.custom_objects, options=self.keras_model_kwargs)
        save_format = "h5" if path.suffix == ".h5" else "tf"
        (folder / "keras_module.txt").write_text("tensorflow.keras", encoding="utf-8")
        (folder / "save_format.txt").write_text(save_format, encoding="utf-8")
        config = {
            "data": folder.name,
            "model_type": "keras",
            "keras_version": keras.__version__,
            "save_format": save_format,
        }
        return {**config, "runs_code": True} if why else config

    def _read(self, home: Path, config: Config, *, compiled: bool) -> Any:
        if config.get("saved_model_dir"):
            tags = config.get("meta_graph_tags")
            return payloads.load_saved_model(home / str(config["saved_model_dir"]), **({"tags": tags} if tags else {}))
        path = _file(home / str(config["data"]))
        if path.is_dir():
            # TensorFlow before 2.16 kept Keras models as programs.
            return payloads.load_saved_model(path)
        return keras_models.read(path, custom_objects=_custom(config), compiled=compiled)


def _file(folder: Path) -> Path:
    """Where a Keras model lies: a file, or the folder of a program."""
    module = _text(folder / "keras_module.txt", "tensorflow.keras")
    if module not in _KERAS:
        raise InvalidValue(f"{module!a:.100} is no Keras that models are read with", hint="save the model again")
    path = folder / ("model.h5" if _text(folder / "save_format.txt", "h5") == "h5" else "model.keras")
    return folder / "model" if not path.exists() and (folder / "model").is_dir() else path


def _custom(config: Config) -> Any:
    options = config.get("keras_model_kwargs")
    return options.get("custom_objects") if isinstance(options, Mapping) else None


def _text(path: Path, default: str) -> str:
    """A small text file of the model; the default where older models have none."""
    return read_bytes(path).decode("utf-8", "replace").strip() if path.is_file() else default
