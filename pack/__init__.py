"""Package machine-learning models, load them through one interface, serve them, and know which version is live.

    import pack

    with pack.start_run():
        info = pack.log_model(model, "churn", input_example=frame.head(), registered_model_name="churn")
    pack.set_alias("churn", "champion", info.registered_model_version)
    pack.pyfunc.load_model("models:/churn@champion").predict(frame)

Each name is imported when it is first used; importing `pack` does no work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pack.version import __version__ as __version__

if TYPE_CHECKING:
    from pack import artifacts as artifacts
    from pack import catboost as catboost
    from pack import data as data
    from pack import entities as entities
    from pack import exchange as exchange
    from pack import h2o as h2o
    from pack import keras as keras
    from pack import lightgbm as lightgbm
    from pack import models as models
    from pack import onnx as onnx
    from pack import pmdarima as pmdarima
    from pack import prophet as prophet
    from pack import pyfunc as pyfunc
    from pack import pytorch as pytorch
    from pack import sentence_transformers as sentence_transformers
    from pack import serving as serving
    from pack import sklearn as sklearn
    from pack import spacy as spacy
    from pack import spark as spark
    from pack import statsmodels as statsmodels
    from pack import tensorflow as tensorflow
    from pack import tracking as tracking
    from pack import transformers as transformers
    from pack import types as types
    from pack import xgboost as xgboost
    from pack.conversion import convert as convert
    from pack.errors import PackError as PackError
    from pack.fluent.aliases import alias_history as alias_history
    from pack.fluent.aliases import delete_alias as delete_alias
    from pack.fluent.aliases import diff as diff
    from pack.fluent.aliases import get_alias as get_alias
    from pack.fluent.aliases import rollback_alias as rollback_alias
    from pack.fluent.aliases import set_alias as set_alias
    from pack.fluent.artifacts import get_artifact_uri as get_artifact_uri
    from pack.fluent.artifacts import load_table as load_table
    from pack.fluent.artifacts import log_artifact as log_artifact
    from pack.fluent.artifacts import log_artifacts as log_artifacts
    from pack.fluent.artifacts import log_dict as log_dict
    from pack.fluent.artifacts import log_figure as log_figure
    from pack.fluent.artifacts import log_image as log_image
    from pack.fluent.artifacts import log_stream as log_stream
    from pack.fluent.artifacts import log_table as log_table
    from pack.fluent.artifacts import log_text as log_text
    from pack.fluent.client import Client as Client
    from pack.fluent.experiments import create_experiment as create_experiment
    from pack.fluent.experiments import delete_experiment as delete_experiment
    from pack.fluent.experiments import delete_experiment_tag as delete_experiment_tag
    from pack.fluent.experiments import get_experiment as get_experiment
    from pack.fluent.experiments import get_experiment_by_name as get_experiment_by_name
    from pack.fluent.experiments import restore_experiment as restore_experiment
    from pack.fluent.experiments import set_experiment as set_experiment
    from pack.fluent.experiments import set_experiment_tag as set_experiment_tag
    from pack.fluent.experiments import set_experiment_tags as set_experiment_tags
    from pack.fluent.inputs import log_input as log_input
    from pack.fluent.inputs import log_inputs as log_inputs
    from pack.fluent.inputs import log_outputs as log_outputs
    from pack.fluent.logged import clear_active_model as clear_active_model
    from pack.fluent.logged import create_external_model as create_external_model
    from pack.fluent.logged import delete_logged_model_tag as delete_logged_model_tag
    from pack.fluent.logged import finalize_logged_model as finalize_logged_model
    from pack.fluent.logged import get_active_model_id as get_active_model_id
    from pack.fluent.logged import get_logged_model as get_logged_model
    from pack.fluent.logged import initialize_logged_model as initialize_logged_model
    from pack.fluent.logged import last_logged_model as last_logged_model
    from pack.fluent.logged import log_model_params as log_model_params
    from pack.fluent.logged import set_active_model as set_active_model
    from pack.fluent.logged import set_logged_model_tags as set_logged_model_tags
    from pack.fluent.models import load_model as load_model
    from pack.fluent.models import log_model as log_model
    from pack.fluent.models import register_model as register_model
    from pack.fluent.models import save_model as save_model
    from pack.fluent.recording import delete_tag as delete_tag
    from pack.fluent.recording import flush_artifact_async_logging as flush_artifact_async_logging
    from pack.fluent.recording import flush_async_logging as flush_async_logging
    from pack.fluent.recording import log_metric as log_metric
    from pack.fluent.recording import log_metrics as log_metrics
    from pack.fluent.recording import log_param as log_param
    from pack.fluent.recording import log_params as log_params
    from pack.fluent.recording import set_tag as set_tag
    from pack.fluent.recording import set_tags as set_tags
    from pack.fluent.runs import ActiveRun as ActiveRun
    from pack.fluent.runs import active_run as active_run
    from pack.fluent.runs import delete_run as delete_run
    from pack.fluent.runs import end_run as end_run
    from pack.fluent.runs import get_parent_run as get_parent_run
    from pack.fluent.runs import get_run as get_run
    from pack.fluent.runs import last_active_run as last_active_run
    from pack.fluent.runs import restore_run as restore_run
    from pack.fluent.runs import start_run as start_run
    from pack.fluent.search import count_runs as count_runs
    from pack.fluent.search import search_experiments as search_experiments
    from pack.fluent.search import search_logged_models as search_logged_models
    from pack.fluent.search import search_model_versions as search_model_versions
    from pack.fluent.search import search_registered_models as search_registered_models
    from pack.fluent.search import search_runs as search_runs
    from pack.fluent.state import get_registry_uri as get_registry_uri
    from pack.fluent.state import get_tracking_uri as get_tracking_uri
    from pack.fluent.state import is_tracking_uri_set as is_tracking_uri_set
    from pack.fluent.state import set_registry_uri as set_registry_uri
    from pack.fluent.state import set_tracking_uri as set_tracking_uri
    from pack.fluent.system import disable_system_metrics_logging as disable_system_metrics_logging
    from pack.fluent.system import enable_system_metrics_logging as enable_system_metrics_logging
    from pack.fluent.system import set_system_metrics_node_id as set_system_metrics_node_id
    from pack.fluent.system import (
        set_system_metrics_samples_before_logging as set_system_metrics_samples_before_logging,
    )
    from pack.fluent.system import set_system_metrics_sampling_interval as set_system_metrics_sampling_interval
    from pack.fluent.versions import set_model_version_tag as set_model_version_tag
    from pack.mlmodel.infer import infer_signature as infer_signature

    MlflowClient = Client
    MlflowException = PackError

_VERBS = {
    "pack.fluent.runs": (
        "ActiveRun active_run delete_run end_run get_parent_run get_run last_active_run restore_run start_run"
    ),
    "pack.fluent.experiments": (
        "create_experiment delete_experiment delete_experiment_tag get_experiment get_experiment_by_name "
        "restore_experiment set_experiment set_experiment_tag set_experiment_tags"
    ),
    "pack.fluent.recording": "delete_tag log_metric log_metrics log_param log_params set_tag set_tags",
    "pack.fluent.artifacts": (
        "get_artifact_uri load_table log_artifact log_artifacts log_dict log_figure log_image log_stream "
        "log_table log_text"
    ),
    "pack.fluent.inputs": "log_input log_inputs",
    "pack.fluent.search": (
        "count_runs search_experiments search_logged_models search_model_versions search_registered_models search_runs"
    ),
    "pack.fluent.logged": "get_logged_model last_logged_model log_model_params set_active_model set_logged_model_tags",
    "pack.fluent.models": "load_model log_model register_model save_model",
    "pack.conversion": "convert",
    "pack.fluent.aliases": "alias_history delete_alias diff get_alias rollback_alias set_alias",
    "pack.fluent.state": "get_registry_uri get_tracking_uri set_registry_uri set_tracking_uri",
    "pack.fluent.system": "disable_system_metrics_logging enable_system_metrics_logging",
    "pack.fluent.client": "Client",
    "pack.errors": "PackError",
    "pack.mlmodel.infer": "infer_signature",
}
# MLflow"s names that are typed seldom: they are found, and not listed.
_MORE = {
    "pack.fluent.recording": "flush_artifact_async_logging flush_async_logging",
    "pack.fluent.inputs": "log_outputs",
    "pack.fluent.logged": (
        "clear_active_model create_external_model delete_logged_model_tag finalize_logged_model "
        "get_active_model_id initialize_logged_model"
    ),
    "pack.fluent.versions": "set_model_version_tag",
    "pack.fluent.state": "is_tracking_uri_set",
    "pack.fluent.system": (
        "set_system_metrics_node_id set_system_metrics_samples_before_logging set_system_metrics_sampling_interval"
    ),
}
_LISTED = {name: (module, name) for module, names in _VERBS.items() for name in names.split()}
_EXPORTS = _LISTED | {name: (module, name) for module, names in _MORE.items() for name in names.split()}
# The names that MLflow has for ours.
_EXPORTS |= {"MlflowClient": ("pack.fluent.client", "Client"), "MlflowException": ("pack.errors", "PackError")}
_ROOMS = {
    "artifacts", "data", "entities", "exchange", "models", "pyfunc", "serving", "tracking", "types",
    "catboost", "h2o", "keras", "lightgbm", "onnx", "pmdarima", "prophet", "pytorch", "sentence_transformers",
    "sklearn", "spacy", "spark", "statsmodels", "tensorflow", "transformers", "xgboost",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"pack.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module 'pack' has no attribute {name!r}{_near(name)}")
    module, attribute = _EXPORTS[name]
    found = getattr(import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({"__version__", "MlflowClient", "MlflowException", *_LISTED, *_ROOMS})


def _near(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*_EXPORTS, *_ROOMS], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
