"""A bad call has the same error code here as in MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import pack
from pack import entities
from pack.errors import InvalidState, PackError

# What both are given: a client `c`, an experiment `e`, a run `r`, a deleted experiment and run `de` and `dr`, a model
# `n` with version `v`, a logged model `m`; the run has param p = 1, and the model param a = 1.
CALLS = """
c.create_experiment("taken")
c.create_experiment("")
c.create_experiment("x" * 501)
c.create_experiment("located", artifact_location="/" + "x" * 2048)
c.get_experiment("999999")
c.get_experiment("abc")
c.set_experiment_tag(de, "a", "b")
c.set_experiment_tag(e, "a", "b" * 20001)
c.set_experiment_tag(e, "a" * 251, "b")
c.delete_experiment_tag(e, "nothing")
c.create_run(de)
c.create_run("999999")
c.get_run("0" * 32)
c.log_metric(dr, "a", 1.0)
c.log_param(dr, "a", 1)
c.set_tag(dr, "a", 1)
c.delete_tag(dr, "a")
c.update_run(dr, name="x")
c.log_metric("0" * 32, "a", 1.0)
c.log_metric(r, "a", "x")
c.log_metric(r, "a" * 251, 1.0)
c.log_metric(r, "../a", 1.0)
c.log_metric(r, "a//b", 1.0)
c.log_metric(r, "a", 1.0, timestamp=-1)
c.log_metric(r, "a", 1.0, timestamp=10**18)
c.log_param(r, "p", "1")
c.log_param(r, "p", "2")
c.log_param(r, "q", "x" * 6000)
c.log_param(r, "q", "x" * 6001)
c.set_tag(r, "q", "x" * 8000)
c.set_tag(r, "q", "x" * 8001)
c.set_tag(r, "q" * 251, "x")
c.delete_tag(r, "nothing")
c.log_batch(r, metrics=[Metric("m", 1.0, 1, step) for step in range(1001)])
c.log_batch(r, params=[Param("m", str(number)) for number in range(2)])
c.log_inputs(r, [DatasetInput(Dataset("x" * 501, "d", "t", "s"), [])])
c.log_inputs(r, [DatasetInput(Dataset("x", "d" * 37, "t", "s"), [])])
c.log_inputs(r, [DatasetInput(Dataset("x", "d", "t", "s"), [InputTag("k", "v" * 501)])])
c.delete_run("0" * 32)
c.restore_run("0" * 32)
c.search_runs([e], "params.a = '1' OR 1 = 1")
c.search_runs([e], "metrics.a = 'x'")
c.search_runs([e], order_by=["nothing"])
c.search_runs([e], max_results=0)
c.search_runs([e], max_results=50001)
c.search_runs([e], page_token="x")
c.search_experiments(max_results=50001)
c.create_registered_model(n)
c.create_registered_model("a/b")
c.create_registered_model("")
c.create_registered_model("..")
c.get_registered_model("nothing")
c.rename_registered_model("other", n)
c.rename_registered_model("nothing", "else")
c.delete_registered_model("nothing")
c.get_model_version(n, 99)
c.get_model_version(n, "x")
c.get_model_version("nothing", 1)
c.delete_model_version(n, 99)
c.set_registered_model_alias(n, "a", 99)
c.set_registered_model_alias("nothing", "a", v)
c.set_registered_model_alias(n, "latest", v)
c.set_registered_model_alias(n, "v1", v)
c.set_registered_model_alias(n, "a@b", v)
c.set_registered_model_alias(n, "../", v)
c.set_registered_model_alias(n, "a" * 255, v)
c.set_registered_model_alias(n, "a" * 256, v)
c.delete_registered_model_alias(n, "nothing")
c.set_registered_model_tag(n, "k", "x" * 100001)
c.set_registered_model_tag(n, "k" * 251, "x")
c.set_model_version_tag(n, v, "k", "x" * 100001)
c.delete_registered_model_tag(n, "nothing")
c.transition_model_version_stage(n, v, "Live")
c.search_registered_models(max_results=1001)
c.search_model_versions("nothing = 'x'")
c.search_logged_models([e], "nothing = 'x'")
c.get_logged_model("m-0")
c.create_logged_model(e, name="a.b")
c.delete_logged_model_tag(m, "nothing")
c.delete_logged_model("m-0")
""".strip().splitlines()
# The same call, answered differently on purpose.
OTHERS = {
    "c.delete_experiment(de)": "deleting twice is deleting: who did not hear the first answer may ask again",
    "c.restore_experiment(e)": "restoring what is there is no error either",
    "c.rename_experiment(e, 'Default')": "a taken name is ALREADY_EXISTS; MLflow answers what its database said",
    "c.rename_experiment(de, 'x')": "one code for whatever is deleted",
    "c.create_experiment('remote', artifact_location='http://169.254.169.254/')": "nothing is fetched from there",
    "c.get_run('../x')": "no run has this id; MLflow's server answers so too",
    "c.log_metric(r, 'a', 1.0, step=2**63)": "MLflow's database overflows",
    "c.get_metric_history('0' * 32, 'a')": "the run does not exist; MLflow answers an empty history",
    "c.search_runs([e], order_by=['metrics.a', 'metrics.a'])": "MLflow stumbles over a term given twice",
    "c.get_model_version_by_alias(n, 'nothing')": "what does not exist is not found",
    "c.set_registered_model_alias(n, '1', v)": "a number is a version: models:/NAME@1 would be read as one",
    "c.transition_model_version_stage(n, v, 'Archived', True)": "the call is wrong, the server is not",
    "c.log_model_params(m, {'a': '2'})": "a param that is set again, as of runs; MLflow answers what its database said",
    "c.log_model_params(m, {'a': '1'})": "the same value again is no error, as of runs",
    "c.log_metric(r, 'a', 1.0, model_id='m-0')": "the model does not exist",
    "c.log_inputs(r, [DatasetInput(Dataset('', 'd', 't', 's'), [])])": "data without a name cannot be found again",
    "c.create_logged_model(e, name='a/b')": "an artifact path of MLflow 2 is a name too: it becomes a-b",
    "c.update_run(r, status='DONE')": "MLflow raises an error without a code",
    "c.finalize_logged_model(m, 'DONE')": "the same",
}
SET_UP = """
e = c.create_experiment("taken")
r = c.create_run(e).info.run_id
dr = c.create_run(e).info.run_id
c.delete_run(dr)
de = c.create_experiment("deleted")
c.delete_experiment(de)
n = c.create_registered_model("churn").name
c.create_registered_model("other")
m = c.create_logged_model(e, name="x", params={"a": "1"}).model_id
c.log_param(r, "p", "1")
"""
SCRIPT = f"""
import logging, os
logging.disable(logging.CRITICAL)
os.environ["MLFLOW_TRUNCATE_LONG_VALUES"] = "false"
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
c = MlflowClient()
{SET_UP}
v = c._get_registry_client().store.create_model_version(n, "s3://bucket/churn").version
answer = []
for call in CALLS:
    try:
        eval(call)
        answer.append(None)
    except Exception as error:
        answer.append(getattr(error, "error_code", type(error).__name__))
"""


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore:stages are deprecated")
def test_a_bad_call_has_the_error_code_that_mlflow_gives_it(
    mlflow: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_TRUNCATE_LONG_VALUES", "false")
    calls = [*CALLS, *OTHERS]
    theirs = mlflow(f"CALLS = json.loads({json.dumps(calls)!r})\n{SCRIPT}")
    ours = _codes(calls)
    for call, their, our in zip(calls, theirs, ours, strict=True):
        assert (our != their) == (call in OTHERS), f"{call}: {our}, MLflow {their}"


def _codes(calls: list[str]) -> list[str | None]:
    """The error code of each call, None where it succeeds; anything but our own errors is raised."""
    pack.set_tracking_uri(None)
    names: dict[str, Any] = {**vars(entities), "c": pack.Client()}
    exec(SET_UP, names)
    registry = names["c"]._registry
    names["v"] = registry.create_model_version("churn", source="s3://bucket/churn", storage_location="/x").version
    return [_code(call, names) for call in calls]


def _code(call: str, names: dict[str, Any]) -> str | None:
    try:
        eval(call, names)
    except PackError as error:
        return error.error_code
    return None


def test_codes_of_our_own_come_with_what_mlflow_has_no_word_for() -> None:
    pack.set_tracking_uri(None)
    client = pack.Client()
    client.create_registered_model("churn")
    client._registry.create_model_version("churn", source="s", storage_location="/x")
    client.set_registered_model_alias("churn", "champion", 1)
    for call in (
        lambda: client.delete_model_version("churn", 1),
        lambda: client.delete_registered_model("churn"),
        lambda: client.set_registered_model_alias("churn", "champion", 1, expect=7),
    ):
        with pytest.raises(InvalidState) as error:
            call()
        assert (error.value.error_code, error.value.http_status) == ("INVALID_STATE", 409)
