"""One file for each framework, the contract between them, and the save shell that they share."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pack.errors import InvalidValue
from pack.flavors.base import Config as Config
from pack.flavors.base import Flavor as Flavor
from pack.plugins import Entry, Table
from pack.uris import disk_path

if TYPE_CHECKING:
    from pack.flavors.shell import Extras as Extras
    from pack.mlmodel.model import Model

FLAVORS = Table(
    "flavor",
    {
        "catboost": Entry(
            "pack.flavors.catboost:CatBoost", handles=("catboost.core.CatBoost",), needs="'packml[catboost]'"
        ),
        "h2o": Entry("pack.flavors.h2o:H2O", handles=("h2o.model.model_base.ModelBase",), needs="'packml[h2o]'"),
        # A model of Keras 3 is a keras model, the one that TensorFlow shows as `tf.keras` too.
        "keras": Entry(
            "pack.flavors.keras:Keras", handles=("keras.src.models.model.Model",), needs="'packml[keras]' tensorflow"
        ),
        "lightgbm": Entry(
            "pack.flavors.lightgbm:LightGBM",
            handles=("lightgbm.basic.Booster", "lightgbm.sklearn.LGBMModel"),
            needs="'packml[lightgbm]'",
        ),
        "onnx": Entry("pack.flavors.onnx:ONNX", handles=("onnx.onnx_ml_pb2.ModelProto",), needs="'packml[onnx]'"),
        "pmdarima": Entry(
            "pack.flavors.pmdarima:Pmdarima",
            handles=("pmdarima.base.BaseARIMA", "pmdarima.pipeline.Pipeline"),
            needs="'packml[pmdarima]'",
        ),
        "prophet": Entry(
            "pack.flavors.prophet:Prophet", handles=("prophet.forecaster.Prophet",), needs="'packml[prophet]'"
        ),
        "sentence_transformers": Entry(
            "pack.flavors.sentence_transformers:SentenceTransformers",
            # The second is where the versions before 5.2 have it.
            handles=(
                "sentence_transformers.sentence_transformer.model.SentenceTransformer",
                "sentence_transformers.SentenceTransformer.SentenceTransformer",
            ),
            needs="'packml[sentence_transformers]'",
        ),
        "pytorch": Entry(
            "pack.flavors.pytorch:PyTorch",
            handles=("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram"),
            needs="'packml[pytorch]'",
        ),
        "sklearn": Entry(
            "pack.flavors.sklearn:SKLearn", handles=("sklearn.base.BaseEstimator",), needs="'packml[sklearn]'"
        ),
        "spacy": Entry("pack.flavors.spacy:SpaCy", handles=("spacy.language.Language",), needs="'packml[spacy]'"),
        "spark": Entry("pack.flavors.spark:Spark", handles=("pyspark.ml.base.Transformer",), needs="'packml[spark]'"),
        "statsmodels": Entry(
            "pack.flavors.statsmodels:Statsmodels",
            handles=("statsmodels.base.model.Results", "statsmodels.base.wrapper.ResultsWrapper"),
            needs="'packml[statsmodels]'",
        ),
        "tensorflow": Entry(
            "pack.flavors.tensorflow:TensorFlow",
            handles=(
                "tensorflow.python.module.module.Module",
                "tensorflow.python.trackable.autotrackable.AutoTrackable",
            ),
            needs="'packml[tensorflow]'",
        ),
        "transformers": Entry(
            "pack.flavors.transformers:Transformers",
            handles=("transformers.pipelines.base.Pipeline", "transformers.modeling_utils.PreTrainedModel"),
            needs="'packml[transformers]'",
        ),
        "xgboost": Entry(
            "pack.flavors.xgboost:XGBoost",
            handles=("xgboost.core.Booster", "xgboost.sklearn.XGBModel"),
            needs="'packml[xgboost]'",
        ),
        "python_function": Entry("pack.pyfunc.flavor:PythonFunction", handles=("pack.pyfunc.model.PythonModel",)),
    },
    group="pack.flavors",
)


def get(name: str, **options: Any) -> Flavor:
    """The flavor of this name, made with its save options; raises `InvalidValue` for an option it does not have."""
    cls: type[Flavor] = FLAVORS.load(name)
    takes = signature(cls).parameters
    unknown = sorted(options.keys() - takes.keys())
    if unknown and not any(option.kind is option.VAR_KEYWORD for option in takes.values()):
        raise InvalidValue(
            f"the {name} flavor does not take {', '.join(unknown)}",
            hint=f"it takes: {', '.join(takes) or 'no options'}",
        )
    return cls(**options)


def detect(model: Any) -> str:
    """The name of the flavor for a model, by the class names along its MRO, nearest first; imports no framework.

    Functions, scripts and objects with a `predict` are `python_function`. Raises `InvalidValue` where nothing fits.
    """
    handles = {kind: name for name, entry in FLAVORS.items() for kind in entry.handles}
    for kind in type(model).__mro__:
        name = handles.get(f"{kind.__module__}.{kind.__qualname__}")
        if name:
            return name
    if isinstance(model, (str, Path)) or (callable(getattr(model, "predict", model)) and not isinstance(model, type)):
        return "python_function"
    if isinstance(model, type):
        raise InvalidValue(f"{model.__qualname__} is a class, not a model", hint=f"make one: {model.__qualname__}(...)")
    raise InvalidValue(
        f"no flavor handles {type(model).__module__}.{type(model).__qualname__}",
        hint=f"give an object with a predict method, a function, or one of: {', '.join(sorted(FLAVORS))}",
    )


def save_model(
    model: Any, path: str | Path, *, flavor: str | None = None, extras: Extras | None = None, **options: Any
) -> Model:
    """Write a model as a directory at `path`, which must not exist or be empty; answers what its MLmodel file says.

    `flavor` is detected where it is not given; `options` are the flavor's own, such as `serialization_format`.
    """
    from pack.flavors.shell import Extras, save

    return save(model, disk_path(path), flavor=get(flavor or detect(model), **options), extras=extras or Extras())


def __getattr__(name: str) -> Any:
    if name == "Extras":
        from pack.flavors.shell import Extras

        return Extras
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
