"""Every verb and every method of the client of mission rows 2 and 7 takes MLflow's arguments, in MLflow's order."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import pack

pytestmark = pytest.mark.mlflow
CLIENT = """
create_experiment create_logged_model create_model_version create_registered_model create_run copy_model_version
delete_experiment delete_experiment_tag delete_logged_model delete_logged_model_tag delete_model_version
delete_model_version_tag delete_registered_model delete_registered_model_alias delete_registered_model_tag delete_run
delete_tag download_artifacts finalize_logged_model get_experiment get_experiment_by_name get_latest_versions
get_logged_model get_metric_history get_model_version get_model_version_by_alias get_model_version_download_uri
get_model_version_stages get_parent_run get_registered_model get_run list_artifacts list_logged_model_artifacts
load_table log_artifact log_artifacts log_batch log_dict log_figure log_image log_inputs log_metric log_model_artifact
log_model_artifacts log_model_params log_outputs log_param log_stream log_table log_text rename_experiment
rename_registered_model restore_experiment restore_run search_experiments search_logged_models search_model_versions
search_registered_models search_runs set_experiment_tag set_logged_model_tags set_model_version_tag
set_registered_model_alias set_registered_model_tag set_tag set_terminated transition_model_version_stage
update_model_version update_registered_model update_run
""".split()  # noqa: SIM905 - reads better
VERBS = """
active_run clear_active_model create_experiment create_external_model delete_experiment delete_experiment_tag
delete_logged_model_tag delete_run delete_tag disable_system_metrics_logging enable_system_metrics_logging end_run
finalize_logged_model flush_artifact_async_logging flush_async_logging get_active_model_id get_artifact_uri
get_experiment get_experiment_by_name get_logged_model get_parent_run get_registry_uri get_run get_tracking_uri
initialize_logged_model is_tracking_uri_set last_active_run last_logged_model load_table log_artifact log_artifacts
log_dict log_figure log_image log_input log_inputs log_metric log_metrics log_model_params log_outputs log_param
log_params log_stream log_table log_text register_model restore_experiment restore_run search_experiments
search_logged_models search_model_versions search_registered_models search_runs set_active_model set_experiment
set_experiment_tag set_experiment_tags set_logged_model_tags set_model_version_tag set_registry_uri
set_system_metrics_node_id set_system_metrics_samples_before_logging set_system_metrics_sampling_interval set_tag
set_tags set_tracking_uri start_run
""".split()  # noqa: SIM905
ARTIFACTS = ["download_artifacts", "list_artifacts", "load_dict", "load_image", "load_text"]
DATA = ["from_numpy", "from_pandas", "get_source"]
# What belongs to rooms that are not here: traces, workspaces, packed environments.
ELSEWHERE = {"trace_location", "env_pack"}

SCRIPT = """
import inspect, mlflow, mlflow.artifacts, mlflow.data
def taken(function):
    return [[one.name, repr(one.default) if one.default is not one.empty else "", one.kind.name]
            for one in inspect.signature(function).parameters.values() if one.name != "self"]
answer = {
    "client": {name: taken(getattr(mlflow.MlflowClient, name)) for name in %(client)r},
    "verbs": {name: taken(getattr(mlflow, name)) for name in %(verbs)r},
    "artifacts": {name: taken(getattr(mlflow.artifacts, name)) for name in %(artifacts)r},
    "data": {name: taken(getattr(mlflow.data, name)) for name in %(data)r},
}
"""


def taken(function: Any) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(function).parameters.values() if one.name != "self"]


def test_our_functions_take_mlflows_arguments_in_mlflows_order(mlflow: Callable[[str], Any]) -> None:
    theirs = mlflow(SCRIPT % {"client": CLIENT, "verbs": VERBS, "artifacts": ARTIFACTS, "data": DATA})
    homes: dict[str, Any] = {"client": pack.MlflowClient, "verbs": pack, "artifacts": pack.artifacts, "data": pack.data}
    wrong = []
    for home, functions in theirs.items():
        for name, arguments in functions.items():
            ours = taken(getattr(homes[home], name))
            places = {one.name: place for place, one in enumerate(ours)}
            for place, (argument, default, kind) in enumerate(arguments):
                if argument in ELSEWHERE:
                    continue
                if argument not in places:
                    wrong.append(f"{home}.{name} does not take {argument}")
                    continue
                mine = ours[places[argument]]
                if kind == "POSITIONAL_OR_KEYWORD" and (places[argument] != place or mine.kind.name != kind):
                    wrong.append(f"{home}.{name} takes {argument} at another place")
                if default and mine.default is inspect.Parameter.empty:
                    wrong.append(f"{home}.{name} cannot be called without {argument}")
    assert wrong == []


def test_mlflows_other_addresses_of_the_client_and_the_entities_work() -> None:
    from pack.tracking import MlflowClient

    assert MlflowClient is pack.Client
    assert int(pack.entities.ViewType.ALL) == 3
    assert pack.entities.RunStatus.to_string(3) == "FINISHED"
    with pytest.raises(AttributeError):
        pack.tracking.Nothing  # noqa: B018


TYPES = """
import importlib, inspect
found = {}
for module, kept in (("types", None), ("types.schema", None), ("types.llm", "mlflow.types.llm")):
    loaded = importlib.import_module("mlflow." + module)
    found[module] = {
        name: [one for one in inspect.signature(value).parameters]
        for name, value in vars(loaded).items()
        if inspect.isclass(value) and value.__module__.startswith(kept or "mlflow.types")
        and not name.startswith("_") and name not in {"BaseType", "TensorInfo", "UnionType", "DataType", "TypeFromDict"}
    }
answer = found
"""


def test_types_have_mlflows_names_and_arguments(mlflow: Callable[[str], Any]) -> None:
    wrong = []
    for module, classes in mlflow(TYPES).items():
        ours = importlib.import_module(f"pack.{module}")
        assert len(classes) > 4
        for name, arguments in classes.items():
            mine = list(inspect.signature(getattr(ours, name)).parameters) if hasattr(ours, name) else None
            if mine is None or not set(arguments) - {"args", "kwargs"} <= set(mine):
                wrong.append((module, name, arguments, mine))
    assert wrong == []
