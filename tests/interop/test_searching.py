"""The same runs in MLflow and here, the same filters and orders: the same runs in the same order."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pack
from pack.errors import InvalidValue
from pack.fluent import state
from pack.tracking import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

NAN = float("nan")
# name, status, metrics, params, tags, datasets (name, digest, context); the n-th starts at 1000 + n
RUNS: list[tuple[str, str, dict[str, float], dict[str, str], dict[str, str], list[tuple[str, str, str | None]]]] = [
    ("first", "FINISHED", {"loss": 0.5, "val loss": 0.7}, {"opt": "adam", "depth": "3"}, {"team": "growth"}, []),
    ("second", "FINISHED", {"loss": 0.25, "5": 1.0}, {"opt": "Adam"}, {"team": "Growth"}, [("iris", "d1", "train")]),
    ("third", "FAILED", {"loss": NAN}, {"opt": "sgd", "depth": "12"}, {}, [("iris", "d2", "eval")]),
    ("fourth", "RUNNING", {}, {}, {"team": "risk", "a.b/c d": "x"}, [("Iris", "d1", None)]),
    ("fifth", "KILLED", {"loss": math.inf}, {"opt": ""}, {"team": ""}, []),
    ("sixth", "FINISHED", {"loss": -math.inf, "train/acc": 0.5}, {"opt": "100%"}, {"team": "a_b"}, []),
    ("Seventh", "FINISHED", {"loss": -0.0, "big": 2.0**53}, {"opt": "a_b"}, {"team": "axb"}, [("é", "d9", "train")]),
    ("eighth", "FINISHED", {"loss": 5e-324}, {"opt": "it's"}, {"team": "É"}, []),
    ("ninth", "FINISHED", {"loss": 0.1 + 0.2}, {"opt": 'say "x"'}, {"team": "é"}, []),
    ("tenth", "FINISHED", {"loss": 1e308, "F1": 0.0}, {"opt": "n\nl"}, {"team": "정"}, []),
]
FILTERS = [
    "",
    "user_id = 'ada'",
    "metrics.loss > 0.25",
    "metrics.loss = 0.5",
    "metrics.loss = 0",
    "metrics.loss != 0.5",
    "metrics.loss = 0.30000000000000004",
    "metrics.loss > 1e300",
    "metrics.loss < -1e300",
    "metrics.loss > -1",
    "metric.loss > 0.25 AND metrics.`val loss` < 1",
    'metrics."val loss" < 1',
    "metrics.`train/acc` = 0.5",
    "metrics.`5` = 1",
    "metrics.big = 9007199254740992",
    "metrics.F1 = 0.0",
    "metrics.f1 = 0.0",
    "params.opt = 'adam'",
    'params.opt = "adam"',
    "param.opt != 'adam'",
    "parameter.opt LIKE 'a%'",
    "parameters.opt ILIKE 'a%'",
    "params.opt LIKE '100%'",
    "params.opt LIKE 'a_b'",
    "params.opt LIKE '%'",
    "params.opt like 'ada_'",
    "params.opt = ''",
    "params.opt = 'n\nl'",
    "params.opt LIKE 'n%l'",
    "params.depth IS NULL",
    "params.depth IS NOT NULL",
    "tags.team IS NULL",
    "tag.team is not null",
    "tags.team = 'growth' and params.opt = 'adam'",
    "tags.team = 'É'",
    "tags.`a.b/c d` = 'x'",
    "tags.team LIKE 'a_b'",
    "tags.mlflow.runName = 'first'",
    "tags.`mlflow.runName` LIKE '%th'",
    "attribute.status != 'FINISHED'",
    "attr.status = 'finished'",
    "run.status LIKE 'F%'",
    "status = 'RUNNING'",
    "run_name = 'first'",
    "`run name` = 'first'",
    "attributes.`Run name` ILIKE 's%'",
    "attributes.run_name LIKE 's%'",
    "start_time > 1004",
    "attributes.start_time <= 1002",
    "attributes.created = 1003",
    "end_time >= 2005",
    "dataset.name = 'iris'",
    "datasets.name ILIKE 'IRIS'",
    "datasets.name LIKE 'ir%'",
    "dataset.digest = 'd1'",
    "dataset.context = 'train'",
    "datasets.name IN ('iris', 'é')",
    "datasets.digest NOT IN ('d1')",
    "datasets.name = 'iris' AND datasets.context = 'eval'",
    "run_id IN ('x', 'y')",
    "run_id NOT IN ('x')",
    "metrics.loss > '0.5'",
    "params.opt = adam",
    "params.opt > 'a'",
    "params.depth = 3",
    "metrics.loss LIKE 'x'",
    "start_time = '1000'",
    "nothing = 'x'",
    "nothing.x = 'x'",
    "datasets.schema = 'x'",
    "metrics.loss > 0.5 OR metrics.loss < 0",
    "(metrics.loss > 0.5)",
    "NOT metrics.loss > 0.5",
    "metrics.loss",
    "params.opt = 'adam",
    "metrics.loss > 0.5; DROP TABLE runs",
    "run_id IN ()",
    'params.opt = "it\'s"',
    "params.opt = 'say \"x\"'",
    "metrics.loss > .2",
    "metrics.loss > -.2",
    "metrics.loss > 5e-1",
    "metrics.loss > 5E-1",
    "metrics.loss > 5.",
    "params.opt NOT LIKE 'a%'",
    "run_name != 'first'",
    "`metrics`.`loss` > 1",
    "metrics.loss = NaN",
    "params.'opt' = 'adam'",
    "params.opt = ''''",
    "tags.team='growth'AND params.opt='adam'",
    "  tags.team  =\n'growth'\tAND\n params.opt\n='adam' ",
    "tags.team='growth' -- x",
    "tags.team='growth';",
    "datasets.name IS NULL",
    "datasets.context != 'train'",
    "datasets.context NOT IN ('train')",
    "end_time = NULL",
    "end_time != 2000",
    "tags.team ILIKE 'G%'",
    "params.opt ILIKE '100\\%'",
    "run_id = 'x'",
    "attributes.run_id LIKE '%'",
    "Attributes.status = 'RUNNING'",
    "METRICS.loss > 1",
    "attributes.Start_time > 1",
    "lifecycle_stage = 'active'",
    "experiment_id = '1'",
    "artifact_uri LIKE '%'",
    "start_time > 1004.5",
    "start_time = 1004.0",
    "params.opt LIKE 5",
    "metrics.a.b > 1",
    "params.opt = `adam`",
    "'x' = params.opt",
    "1 = 1",
    "params.opt = 'adam' /* x */",
    "params.and = 'x'",
    "params.order = 'x'",
    "params.key = 'x'",
    "params.date = 'x'",
    "metrics.count > 1",
    "metrics.1st > 1",
]
ORDERS = [
    ["metrics.loss ASC"],
    ["metrics.loss DESC"],
    ["params.opt ASC"],
    ["params.depth DESC"],
    ["tags.team"],
    ["tags.nothing DESC", "metrics.`val loss`"],
    ["attributes.status", "metrics.loss DESC"],
    ["attributes.run_name"],
    ["end_time"],
    ["end_time DESC"],
    ["created ASC"],
    ["`metrics`.`val loss` DESC", "params.opt"],
    ["nothing"],
    ["nothing.x"],
    ["metrics.loss DOWN"],
    ["metrics.loss DESC, params.opt"],
    ["metric.loss"],
    ["param.opt DESC"],
    ["user_id"],
    ["datasets.name"],
    ["start_time asc"],
    ["lifecycle_stage"],
    ["experiment_id"],
    ["5"],
    [""],
    ["metrics.`val loss` DESC"],
    ["metrics.a.b"],
]
BOTH = [
    ("metrics.loss >= 0.25", ["metrics.loss"]),
    ("metrics.loss < 0.5", ["metrics.loss DESC"]),
    ("metrics.loss <= 0", ["metrics.loss ASC"]),
    ("attributes.status = 'FINISHED'", ["start_time ASC"]),
]
# Where the two differ on purpose, and why.
OTHER_FILTERS = {
    "start_time IS NULL": "every name may be looked for with IS NULL, not only params and tags",
    "metrics.loss IS NULL": "the same",
    "run_id IS NULL": "the same",
    "params.opt = 'it''s'": "a doubled quote is one quote, as in SQL; MLflow cannot write a text with both kinds",
    "metrics.5 = 1": "names with digits, - and / need no quotes",
    "metrics.val-loss > 1": "the same",
    "metrics.train/acc = 0.5": "the same",
    "metrics.in > 1": "a word of the language may be a key",
    "metrics.loss > +0.2": "numbers may have a sign of either kind",
    "metrics.loss IN (0.5)": "every name takes a list, not only run_id and those of datasets",
    "status IN ('FINISHED')": "the same",
    "params.opt IN ('adam')": "the same",
    "start_time IN (1004)": "the same",
    '"metrics".loss > 1': "the entity may be quoted as the key may",
    "metrics.loss > 1e400": "no number is larger than any double; MLflow stores infinity as the largest one",
    "metrics.loss < 1e400": "the same",
    "metrics.loss == 0.5": "== is =",
    "metrics.loss <> 0.5": "<> is !=",
    "tags.team ILIKE 'é'": "letters beyond ASCII have cases too",
    "run_id = ('x')": "MLflow answers what its database said",
    "tags.team = 'growth' AND": "a clause is missing, and MLflow guesses",
    "AND tags.team = 'growth'": "the same",
    "tags.team = 'growth' AND AND params.opt='adam'": "the same",
    "tags.team = 'growth' params.opt='adam'": "the same",
}
OTHER_ORDERS = {
    ("metrics.loss", "metrics.loss"): "MLflow stumbles over a term given twice",
    ("metrics.loss ASC", "metrics.loss DESC"): "the same",
    ("start_time", "created"): "the same; here the second says nothing new",
    ("`run name` DESC",): "what is searched by a name is sorted by it too",
    ("start_time  DESC ",): "blanks do not matter",
    ("metrics.val-loss DESC",): "names with - need no quotes",
}
SCRIPT = """
import logging, time
logging.disable(logging.CRITICAL)
import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

client = mlflow.MlflowClient()
runs, searches = json.loads(DATA)
experiment = client.create_experiment("searched")
for number, (name, status, metrics, params, tags, datasets) in enumerate(runs):
    user = {"mlflow.user": "ada"}
    run = client.create_run(experiment, start_time=1000 + number, tags=user, run_name=name).info.run_id
    client.log_batch(
        run,
        [Metric(key, value, 1, 0) for key, value in metrics.items()],
        [Param(key, value) for key, value in params.items()],
        [RunTag(key, value) for key, value in tags.items()],
    )
    inputs = [
        DatasetInput(Dataset(one, digest, "local", "{}"), [InputTag("mlflow.data.context", context)] if context else [])
        for one, digest, context in datasets
    ]
    client.log_inputs(run, inputs)
    if status != "RUNNING":
        client.set_terminated(run, status, end_time=2000 + number)
answer = []
for text, order in searches:
    try:
        answer.append([run.info.run_name for run in client.search_runs([experiment], text, order_by=order)])
    except Exception as error:
        answer.append(getattr(error, "error_code", type(error).__name__))
"""


def test_runs_are_found_as_mlflow_finds_them(mlflow: Callable[[str], Any]) -> None:
    searches = [*((text, []) for text in FILTERS), *(("", order) for order in ORDERS), *BOTH]
    others = [*((text, []) for text in OTHER_FILTERS), *(("", list(order)) for order in OTHER_ORDERS)]
    theirs = mlflow(f"DATA = {json.dumps([RUNS, [*searches, *others]])!r}\n{SCRIPT}")
    experiment = _record()
    for (text, order), their in zip([*searches, *others], theirs, strict=True):
        ours = _searched(experiment, text, order)
        assert (ours != their) == ((text, order) in others), f"{text!r} {order}: {ours}, MLflow {their}"


def _record() -> str:
    """The runs in a store of ours; answers their experiment."""
    pack.set_tracking_uri(None)
    store = state.tracking()
    experiment = store.create_experiment("searched")
    for number, (name, status, metrics, params, tags, datasets) in enumerate(RUNS):
        run = store.create_run(experiment, user_id="ada", start_time=1000 + number, run_name=name).info.run_id
        store.log_batch(
            run,
            metrics=[Metric(key, value, 1) for key, value in metrics.items()],
            params=[Param(key, value) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        store.log_inputs(run, datasets=[_dataset(*one) for one in datasets])
        if status != "RUNNING":
            store.update_run(run, status=status, end_time=2000 + number)
    return experiment


def _dataset(name: str, digest: str, context: str | None) -> DatasetInput:
    tags = (InputTag("mlflow.data.context", context),) if context else ()
    return DatasetInput(Dataset(name, digest, "local", "{}"), tags)


def _searched(experiment: str, text: str, order: list[str]) -> list[str] | str:
    try:
        runs = state.tracking().search_runs([experiment], filter_string=text, order_by=order)
    except InvalidValue as error:
        return error.error_code
    return [run.info.run_name for run in runs]
