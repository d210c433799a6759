"""The same experiments, models and versions in MLflow and here: the same are found, in the same order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import pack
from pack.errors import InvalidValue
from pack.fluent import state
from pack.tracking import Metric

# name, tags
EXPERIMENTS = [("churn", {"team": "growth"}), ("Churn", {"team": "Risk"}), ("a b", {}), ("é", {"team": "growth"})]
# name, tags, versions as (tags, alias)
MODELS: list[tuple[str, dict[str, str], list[tuple[dict[str, str], str | None]]]] = [
    ("churn", {"team": "growth"}, [({"ok": "yes"}, "champion"), ({"ok": "no"}, None), ({}, "next")]),
    ("Churn", {"team": "Risk"}, [({"ok": "Yes"}, None)]),
    ("a_b", {}, []),
    ("axb", {"team": ""}, [({}, "champion")]),
    ("é", {"team": "growth"}, [({"a.b c": "x"}, None)]),
]
# name, type, metrics, params, tags
LOGGED: list[tuple[str, str | None, dict[str, float], dict[str, str], dict[str, str]]] = [
    ("one", "agent", {"f1": 0.5, "val f1": 0.1}, {"lr": "0.1"}, {"ok": "yes"}),
    ("two", None, {"f1": float("nan")}, {"lr": "0.2"}, {}),
    ("Two", "Agent", {"f1": 0.9}, {}, {"ok": "no"}),
    ("four", "agent", {}, {"lr": "x"}, {}),
]
ASKED: dict[str, list[tuple[str, list[str]]]] = {
    "experiments": [
        ("", []),
        ("name = 'churn'", []),
        ("name != 'churn'", []),
        ("name LIKE 'c%'", []),
        ("name ILIKE 'c%'", []),
        ("attribute.name = 'churn'", []),
        ("attributes.name = 'a b'", []),
        ("attr.name = 'a b'", []),
        ("name IN ('churn')", []),
        ("experiment_id = '1'", []),
        ("experiment_id IN ('1', '2')", []),
        ("experiment_id = 1", []),
        ("tags.team = 'growth'", []),
        ("tag.team != 'growth'", []),
        ("tags.`team` LIKE 'g%'", []),
        ("tags.team ILIKE 'r%'", []),
        ("tags.team IS NULL", []),
        ("creation_time > 0", []),
        ("creation_time < 1", []),
        ("last_update_time >= 0 AND name = 'churn'", []),
        ("lifecycle_stage = 'active'", []),
        ("metrics.a > 1", []),
        ("params.a = 'x'", []),
        ("name > 'a'", []),
        ("name = churn", []),
        ("", ["name"]),
        ("", ["name DESC"]),
        ("", ["experiment_id"]),
        ("", ["experiment_id DESC"]),
        ("", ["attribute.name ASC"]),
        ("", ["creation_time ASC"]),
        ("", ["last_update_time DESC"]),
        ("", ["tags.team"]),
        ("", ["nothing"]),
    ],
    "models": [
        ("", []),
        ("name = 'churn'", []),
        ("name != 'churn'", []),
        ("name LIKE 'a_b'", []),
        ("name LIKE 'c%'", []),
        ("name ILIKE 'c%'", []),
        ("name IN ('churn', 'é')", []),
        ("tags.team = 'growth'", []),
        ("tags.team != 'growth'", []),
        ("tags.`team` LIKE '%'", []),
        ("tags.team ILIKE 'R%'", []),
        ("tag.team = 'growth'", []),
        ("attribute.name = 'churn'", []),
        ("name = 'churn' AND tags.team = 'growth'", []),
        ("name > 'a'", []),
        ("name = 1", []),
        ("version = 1", []),
        ("timestamp > 0", []),
        ("", ["name DESC"]),
        ("", ["name ASC"]),
        ("", ["timestamp", "name"]),
        ("", ["last_updated_timestamp DESC"]),
        ("", ["creation_timestamp"]),
        ("", ["tags.team"]),
        ("", ["nothing"]),
    ],
    "versions": [
        ("", ["name", "version_number"]),
        ("name = 'churn'", ["version_number DESC"]),
        ("name = 'churn'", ["version_number ASC"]),
        ("name LIKE 'c%'", ["version_number"]),
        ("name ILIKE 'c%'", ["name", "version_number"]),
        ("name IN ('churn', 'é')", ["name", "version_number"]),
        ("name != 'churn'", ["name"]),
        ("version_number = 1", ["name"]),
        ("version_number > 1 AND name = 'churn'", ["version_number"]),
        ("version_number <= 2", ["name", "version_number"]),
        ("version_number != 1", ["version_number"]),
        ("version_number = '1'", []),
        ("run_id = 'r'", []),
        ("run_id IN ('r')", []),
        ("run_id = ''", ["name"]),
        ("source_path = 's3://bucket/churn/1'", []),
        ("source_path LIKE 's3%'", []),
        ("tags.ok = 'yes'", []),
        ("tag.ok != 'yes'", ["name", "version_number"]),
        ("tags.`a.b c` = 'x'", []),
        ("tags.ok LIKE 'y%'", []),
        ("tags.ok ILIKE 'y%'", ["name"]),
        ("attribute.name = 'é'", []),
        ("version = 1", []),
        ("current_stage = 'None'", []),
        ("nothing = 'x'", []),
        ("", ["creation_timestamp", "name", "version_number"]),
        ("", ["last_updated_timestamp", "name", "version_number DESC"]),
        ("", ["nothing"]),
        ("", ["tags.ok"]),
    ],
    "logged": [
        ("", []),
        ("name = 'one'", []),
        ("attributes.name = 'two'", []),
        ("name LIKE 't%'", []),
        ("name ILIKE 't%'", []),
        ("name != 'one'", []),
        ("model_type = 'agent'", []),
        ("model_type ILIKE 'AGENT'", []),
        ("metrics.f1 > 0.4", []),
        ("metrics.f1 >= 0.9", []),
        ("metrics.f1 != 0.5", []),
        ("metrics.`val f1` < 0.5", []),
        ("params.lr = '0.1'", []),
        ("params.lr LIKE '0.%'", []),
        ("tags.ok = 'yes'", []),
        ("tags.ok != 'yes'", []),
        ("lifecycle_stage = 'active'", []),
        ("creation_timestamp > 0", []),
        ("creation_time > 0", []),
        ("last_updated_timestamp > 0", []),
        ("source_run_id = 'x'", []),
        ("name = 'one' AND metrics.f1 > 0.4", []),
        ("metrics.f1 > 'x'", []),
        ("params.lr > '0'", []),
        ("status = 'READY'", []),
        ("status = 2", []),
        ("nothing = 'x'", []),
        ("", ["metrics.f1 ASC"]),
        ("", ["metrics.f1 DESC"]),
        ("", ["name ASC"]),
        ("", ["creation_timestamp ASC"]),
        ("", ["params.lr ASC"]),
        ("", ["tags.ok ASC"]),
        ("", ["model_type ASC", "name ASC"]),
        ("", ["nothing ASC"]),
    ],
}
# Where the two differ on purpose, and why.
DIFFERENT: dict[tuple[str, ...], str] = {
    ("experiments", "attributes.name = 'a b'"): "the entity has the names here that it has for runs",
    ("experiments", "attr.name = 'a b'"): "the same",
    ("experiments", "name IN ('churn')"): "every name takes a list",
    ("experiments", "", "tags.team"): "what is searched by a name is sorted by it too",
    ("models", "timestamp > 0"): "the same, the other way round",
    ("models", "", "creation_timestamp"): "the same",
    ("models", "", "tags.team"): "the same",
    ("versions", "version_number = '1'"): "a text is no number, as for metrics",
    ("versions", "version = 1"): "the name that a version has everywhere else",
    ("versions", "current_stage = 'None'"): "stages can be searched as long as there are any",
    ("versions", "", "tags.ok"): "what is searched by a name is sorted by it too",
    ("logged", "metrics.f1 > 'x'"): "MLflow stumbles over it",
    ("logged", "status = 'READY'"): "MLflow compares the number by which it stores a status",
    ("logged", "status = 2"): "the same",
    ("logged", "", "metrics.f1 ASC"): "NaN comes after the numbers, as it does for runs",
    ("logged", "", "params.lr ASC"): "what is searched by a name is sorted by it too",
    ("logged", "", "tags.ok ASC"): "the same",
}
SCRIPT = """
import logging, time
logging.disable(logging.CRITICAL)
import mlflow
from mlflow.entities import Metric

client = mlflow.MlflowClient()
experiments, models, logged, asked = json.loads(DATA)
for name, tags in experiments:
    made = client.create_experiment(name, tags=tags)
    time.sleep(0.002)
registry = client._get_registry_client().store
for name, tags, versions in models:
    client.create_registered_model(name, tags)
    time.sleep(0.002)
    for number, (facts, alias) in enumerate(versions):
        version = registry.create_model_version(name, f"s3://bucket/{name}/{number + 1}").version
        for key, value in facts.items():
            client.set_model_version_tag(name, version, key, value)
        if alias:
            client.set_registered_model_alias(name, alias, version)
        time.sleep(0.002)
run = client.create_run(made).info.run_id
for name, kind, metrics, params, tags in logged:
    model = client.create_logged_model(made, name=name, model_type=kind, params=params, tags=tags).model_id
    client.finalize_logged_model(model, "READY")
    for key, value in metrics.items():
        client.log_metric(run, key, value, model_id=model)
    time.sleep(0.002)
def terms(order):
    pairs = [term.split(" ") for term in order]
    return [{"field_name": name, "ascending": direction == "ASC"} for name, direction in pairs]
search = {
    "experiments": lambda text, order: [o.name for o in client.search_experiments(filter_string=text, order_by=order)],
    "models": lambda text, order: [o.name for o in client.search_registered_models(text, order_by=order)],
    "versions": lambda text, by: [f"{v.name}/{v.version}" for v in client.search_model_versions(text, order_by=by)],
    "logged": lambda text, order: [o.name for o in client.search_logged_models([made], text, order_by=terms(order))],
}
answer = {}
for what, pairs in asked.items():
    answer[what] = []
    for text, order in pairs:
        try:
            answer[what].append(search[what](text, order))
        except Exception as error:
            answer[what].append(getattr(error, "error_code", type(error).__name__))
"""


def test_they_are_found_as_mlflow_finds_them(mlflow: Callable[[str], Any], experiment: str) -> None:
    found = mlflow(f"DATA = {json.dumps([EXPERIMENTS, MODELS, LOGGED, ASKED])!r}\n{SCRIPT}")
    for what, asked in ASKED.items():
        for (text, order), their in zip(asked, found[what], strict=True):
            ours = _searched(what, experiment, text, order)
            different = (what, text, *order) in DIFFERENT
            assert (ours != their) == different, f"{what}, {text!r} {order}: {ours}, MLflow {their}"


@pytest.fixture
def experiment() -> str:
    """Everything recorded here; answers the experiment of the logged models."""
    pack.set_tracking_uri(None)
    tracking, registry = state.tracking(), state.registry()
    for name, tags in EXPERIMENTS:
        made = tracking.create_experiment(name, tags=tags)
        time.sleep(0.002)
    for name, tags, versions in MODELS:
        registry.create_registered_model(name, tags=tags)
        time.sleep(0.002)
        for number, (facts, alias) in enumerate(versions):
            where = f"s3://bucket/{name}/{number + 1}"
            version = registry.create_model_version(name, source=where, storage_location=where, tags=facts).version
            if alias:
                registry.set_alias(name, alias, version)
            time.sleep(0.002)
    run = tracking.create_run(made, user_id="", start_time=0, run_name="r").info.run_id
    for name, kind, metrics, params, tags in LOGGED:
        model = tracking.create_logged_model(made, name=name, model_type=kind, params=params, tags=tags).model_id
        tracking.finalize_logged_model(model, "READY")
        tracking.log_batch(run, metrics=[Metric(key, value, 1, model_id=model) for key, value in metrics.items()])
        time.sleep(0.002)
    return made


def _searched(what: str, experiment: str, text: str, order: list[str]) -> Any:
    client = pack.Client()
    try:
        if what == "experiments":
            return [one.name for one in client.search_experiments(filter_string=text, order_by=order)]
        if what == "models":
            return [one.name for one in client.search_registered_models(text, order_by=order)]
        if what == "versions":
            return [f"{one.name}/{one.version}" for one in client.search_model_versions(text, order_by=order)]
        terms = [{"field_name": term.split(" ")[0], "ascending": term.endswith("ASC")} for term in order]
        return [one.name for one in client.search_logged_models([experiment], text, order_by=terms)]
    except InvalidValue as error:
        return error.error_code
