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
    from pack import models as models
    from pack import pyfunc as pyfunc
    from pack import serving as serving
    from pack import sklearn as sklearn
    from pack.errors import PackError as PackError
    from pack.fluent.client import Client as Client
    from pack.fluent.models import delete_alias as delete_alias
    from pack.fluent.models import get_alias as get_alias
    from pack.fluent.models import load_model as load_model
    from pack.fluent.models import log_model as log_model
    from pack.fluent.models import register_model as register_model
    from pack.fluent.models import save_model as save_model
    from pack.fluent.models import set_alias as set_alias
    from pack.fluent.runs import ActiveRun as ActiveRun
    from pack.fluent.runs import active_run as active_run
    from pack.fluent.runs import create_experiment as create_experiment
    from pack.fluent.runs import delete_tag as delete_tag
    from pack.fluent.runs import end_run as end_run
    from pack.fluent.runs import get_artifact_uri as get_artifact_uri
    from pack.fluent.runs import get_experiment as get_experiment
    from pack.fluent.runs import get_experiment_by_name as get_experiment_by_name
    from pack.fluent.runs import get_run as get_run
    from pack.fluent.runs import last_active_run as last_active_run
    from pack.fluent.runs import log_artifact as log_artifact
    from pack.fluent.runs import log_artifacts as log_artifacts
    from pack.fluent.runs import log_dict as log_dict
    from pack.fluent.runs import log_figure as log_figure
    from pack.fluent.runs import log_metric as log_metric
    from pack.fluent.runs import log_metrics as log_metrics
    from pack.fluent.runs import log_param as log_param
    from pack.fluent.runs import log_params as log_params
    from pack.fluent.runs import log_text as log_text
    from pack.fluent.runs import set_experiment as set_experiment
    from pack.fluent.runs import set_tag as set_tag
    from pack.fluent.runs import set_tags as set_tags
    from pack.fluent.runs import start_run as start_run
    from pack.fluent.state import get_registry_uri as get_registry_uri
    from pack.fluent.state import get_tracking_uri as get_tracking_uri
    from pack.fluent.state import set_registry_uri as set_registry_uri
    from pack.fluent.state import set_tracking_uri as set_tracking_uri
    from pack.mlmodel.infer import infer_signature as infer_signature

    MlflowClient = Client
    MlflowException = PackError

_VERBS = {
    "pack.fluent.runs": (
        "ActiveRun active_run create_experiment delete_tag end_run get_artifact_uri get_experiment "
        "get_experiment_by_name get_run last_active_run log_artifact log_artifacts log_dict log_figure log_metric "
        "log_metrics log_param log_params log_text set_experiment set_tag set_tags start_run"
    ),
    "pack.fluent.models": "delete_alias get_alias load_model log_model register_model save_model set_alias",
    "pack.fluent.state": "get_registry_uri get_tracking_uri set_registry_uri set_tracking_uri",
    "pack.fluent.client": "Client",
    "pack.errors": "PackError",
    "pack.mlmodel.infer": "infer_signature",
}
_EXPORTS = {name: (module, name) for module, names in _VERBS.items() for name in names.split()}
# The names that MLflow has for ours.
_EXPORTS |= {"MlflowClient": ("pack.fluent.client", "Client"), "MlflowException": ("pack.errors", "PackError")}
_ROOMS = ("models", "pyfunc", "serving", "sklearn")


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
    return sorted({"__version__", *_EXPORTS, *_ROOMS})


def _near(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*_EXPORTS, *_ROOMS], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
