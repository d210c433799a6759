"""What people do to experiments, runs and models, in any order and with restarts, beside a plain model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, rule

from pack.db.paging import Page
from pack.tracking import Metric, Param, RunTag
from tests.faults.children import ask
from tests.faults.machines import COUNTED, SIZE, StoreMachine
from tests.faults.plain_tracking import PlainExperiment, PlainModel, PlainRun, PlainTracking, point_of

pytestmark = pytest.mark.faults

NAMES = st.sampled_from(["Default", "a", "b", "é", "c d", "A"])
KEYS = st.sampled_from(["m", "n", "m/x", "with blank"])
TEXTS = st.sampled_from(["", "x", "X", "xy", "é", "'", "%", "line\nbreak"])
VALUES = st.sampled_from([0.0, -0.0, 1.0, 0.5, -2.5, math.nan, math.inf, -math.inf, 5e-324, 1e308]) | st.floats()
STEPS = st.sampled_from([0, 0, 1, 2, -1, 2**63 - 1, -(2**63)])
TIMES = st.integers(0, 3)
POINTS = st.lists(st.tuples(KEYS, VALUES, STEPS, TIMES), max_size=4)
FACTS = st.lists(st.tuples(KEYS, TEXTS), max_size=3)

Fits = Callable[[PlainRun], bool]


def _number(key: str, compare: Callable[[float], bool], *, nan: bool = False) -> Fits:
    def fits(run: PlainRun) -> bool:
        value = run.value(key)
        return value is not None and (nan if math.isnan(value) else compare(value))

    return fits


FILTERS: list[tuple[str, Fits]] = [
    ("", lambda run: True),
    ("metrics.m > 0.25", _number("m", lambda value: value > 0.25)),
    ("metrics.m <= 0", _number("m", lambda value: value <= 0)),
    ("metrics.m != 1", _number("m", lambda value: value != 1, nan=True)),
    ("metrics.`m/x` = 0.5", _number("m/x", lambda value: value == 0.5)),
    ("metrics.m IS NULL", lambda run: run.value("m") is None),
    ("params.m = 'x'", lambda run: run.params.get("m") == "x"),
    ("params.m != 'x'", lambda run: run.params.get("m", "x") != "x"),
    ("params.`with blank` LIKE 'x%'", lambda run: run.params.get("with blank", "").startswith("x")),
    ("params.m ILIKE 'X'", lambda run: run.params.get("m", "").lower() == "x"),
    ("params.m IN ('x', 'é', '''')", lambda run: run.params.get("m") in {"x", "é", "'"}),
    ("params.n NOT IN ('x')", lambda run: run.params.get("n", "x") != "x"),
    ("tags.n IS NOT NULL", lambda run: "n" in run.tags),
    ("attributes.status = 'FINISHED'", lambda run: run.status == "FINISHED"),
    ("run_name LIKE 'a%'", lambda run: run.name.startswith("a")),
    ("start_time >= 2", lambda run: run.start >= 2),
    ("end_time < 2", lambda run: run.end is not None and run.end < 2),
    ("tags.m = 'x' AND metrics.n < 1", lambda run: run.tags.get("m") == "x" and _number("n", lambda v: v < 1)(run)),
]


def _sorted_by(value: Callable[[PlainRun], Any], *, down: bool = False) -> Callable[[PlainRun], tuple[Any, ...]]:
    """By a number; NaN and then nothing come last in both directions."""

    def key(run: PlainRun) -> tuple[Any, ...]:
        found = value(run)
        if found is None or math.isnan(found):
            return (2 if found is None else 1, 0)
        return (0, -found if down else found)

    return key


_by_x = _sorted_by(lambda run: run.value("m/x"))
_by_n = _sorted_by(lambda run: run.value("n"), down=True)
ORDERS: list[tuple[list[str], Callable[[PlainRun], tuple[Any, ...]]]] = [
    ([], lambda run: ()),
    (["metrics.m ASC"], _sorted_by(lambda run: run.value("m"))),
    (["metrics.m DESC"], _sorted_by(lambda run: run.value("m"), down=True)),
    (["metrics.`m/x`", "metrics.n DESC"], lambda run: (*_by_x(run), *_by_n(run))),
    (["start_time ASC"], lambda run: (run.start,)),
    (["end_time DESC"], _sorted_by(lambda run: run.end, down=True)),
    (["params.m ASC"], lambda run: ("m" not in run.params, run.params.get("m", "").encode())),
    (["run_name ASC", "tags.n"], lambda run: (run.name.encode(), "n" not in run.tags, run.tags.get("n", "").encode())),
]


def all_pages(search: Callable[[str | None], Page[Any]], size: int) -> list[Any]:
    """The results of every page; none but the last is short."""
    page = search(None)
    found = list(page)
    while page.token is not None:
        assert len(page) == size
        page = search(page.token)
        found += page
    return found


def told(run: Any) -> Any:
    """A run as the store tells it, comparable."""
    info, data = run.info, run.data
    metrics = sorted((key, repr(value + 0.0)) for key, value in data.metrics.items())
    about = (info.experiment_id, info.run_name, info.start_time, info.status, info.end_time, info.lifecycle_stage)
    return (*about, metrics, sorted(data.params.items()), sorted(data.tags.items()))


def expected(run: PlainRun) -> Any:
    """A run as the plain model has it, in the same form."""
    metrics = sorted((key, repr(run.value(key))) for key in run.latest)
    about = (run.experiment, run.name, run.start, run.status, run.end, "deleted" if run.deleted else "active")
    return (*about, metrics, sorted(run.params.items()), sorted(run.tags.items()))


class TrackingMachine(StoreMachine):
    """Rules for experiments, runs and logged models."""

    experiments, runs, models = Bundle("experiments"), Bundle("runs"), Bundle("models")

    def __init__(self) -> None:
        super().__init__()
        self.plain = PlainTracking()

    @initialize(target=experiments)
    def the_default_experiment(self) -> str:
        self.plain.experiments["0"].created = self.tracking.get_experiment("0").creation_time or 0
        return "0"

    @rule(target=experiments, name=NAMES, tags=FACTS)
    def create_experiment(self, name: str, tags: list[tuple[str, str]]) -> str:
        answers = self.both(
            lambda: self.tracking.create_experiment(name, tags=dict(tags)), lambda: self.plain.refuse_taken(name)
        )
        if answers is None:
            return "0"
        made = self.tracking.get_experiment(answers[0])
        self.plain.experiments[answers[0]] = PlainExperiment(answers[0], name, made.creation_time or 0, dict(tags))
        return str(answers[0])

    @rule(experiment=experiments, name=NAMES)
    def rename_experiment(self, experiment: str, name: str) -> None:
        self.both(
            lambda: self.tracking.rename_experiment(experiment, name),
            lambda: self.plain.rename_experiment(experiment, name),
        )

    @rule(experiment=experiments)
    def delete_experiment(self, experiment: str) -> None:
        self.both(lambda: self.tracking.delete_experiment(experiment), lambda: self.plain.delete_experiment(experiment))

    @rule(experiment=experiments)
    def restore_experiment(self, experiment: str) -> None:
        self.both(
            lambda: self.tracking.restore_experiment(experiment), lambda: self.plain.restore_experiment(experiment)
        )

    @rule(experiment=experiments, key=KEYS, value=TEXTS)
    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        self.both(
            lambda: self.tracking.set_experiment_tag(experiment, key, value),
            lambda: self.plain.experiment(experiment).tags.update({key: value}),
        )

    @rule(target=runs, experiment=experiments, start=TIMES, name=NAMES, tags=FACTS)
    def create_run(self, experiment: str, start: int, name: str, tags: list[tuple[str, str]]) -> str:
        given = [RunTag(key, value) for key, value in tags]
        answers = self.both(
            lambda: self.tracking.create_run(experiment, user_id="", start_time=start, run_name=name, tags=given),
            lambda: self.plain.experiment(experiment),
        )
        if answers is None:
            return "none"
        run_id = answers[0].info.run_id
        self.plain.runs[run_id] = PlainRun(run_id, experiment, name, start, tags={**dict(tags), "mlflow.runName": name})
        return str(run_id)

    @rule(run=runs, points=POINTS, params=FACTS, tags=FACTS)
    def log_batch(self, run: str, points: list[Any], params: list[Any], tags: list[Any]) -> None:
        metrics = [Metric(key, value, at, step) for key, value, step, at in points]
        self.both(
            lambda: self.tracking.log_batch(
                run, metrics=metrics, params=[Param(*one) for one in params], tags=[RunTag(*one) for one in tags]
            ),
            lambda: self.plain.log_batch(run, [(key, point_of(*rest)) for key, *rest in points], params, tags),
        )

    @rule(run=runs, status=st.sampled_from([None, "FINISHED", "FAILED", "RUNNING"]), end=st.none() | TIMES, name=NAMES)
    def update_run(self, run: str, status: str | None, end: int | None, name: str | None) -> None:
        self.both(
            lambda: self.tracking.update_run(run, status=status, end_time=end, run_name=name),
            lambda: self.plain.update_run(run, status, end, name),
        )

    @rule(run=runs)
    def delete_run(self, run: str) -> None:
        self.both(lambda: self.tracking.delete_run(run), lambda: self.plain.delete_run(run))

    @rule(run=runs)
    def restore_run(self, run: str) -> None:
        self.both(lambda: self.tracking.restore_run(run), lambda: self.plain.restore_run(run))

    @rule(run=runs, key=KEYS)
    def delete_tag(self, run: str, key: str) -> None:
        self.both(lambda: self.tracking.delete_tag(run, key), lambda: self.plain.delete_tag(run, key))

    @rule(target=models, run=runs, name=st.sampled_from(["a", "b"]), params=FACTS)
    def create_model(self, run: str, name: str, params: list[tuple[str, str]]) -> str:
        experiment = self.plain.runs[run].experiment if run in self.plain.runs else "0"
        answers = self.both(
            lambda: self.tracking.create_logged_model(experiment, name=name, source_run_id=run, params=dict(params)),
            lambda: self.plain.experiment(experiment),
        )
        if answers is None:
            return "none"
        model_id = answers[0].model_id
        self.plain.models[model_id] = PlainModel(model_id, experiment, name, run, params=dict(params))
        return str(model_id)

    @rule(model=models, status=st.sampled_from(["READY", "FAILED"]))
    def finalize_model(self, model: str, status: str) -> None:
        self.both(
            lambda: self.tracking.finalize_logged_model(model, status),
            lambda: setattr(self.plain.model(model), "status", status),
        )

    @rule(model=models, params=FACTS)
    def log_model_params(self, model: str, params: list[tuple[str, str]]) -> None:
        self.both(
            lambda: self.tracking.log_model_params(model, dict(params)),
            lambda: self.plain.log_model_params(model, dict(params)),
        )

    @rule(model=models, tags=FACTS)
    def tag_model(self, model: str, tags: list[tuple[str, str]]) -> None:
        self.both(
            lambda: self.tracking.set_logged_model_tags(model, dict(tags)),
            lambda: self.plain.model(model).tags.update(tags),
        )

    @rule(model=models)
    def delete_model(self, model: str) -> None:
        self.both(
            lambda: self.tracking.delete_logged_model(model),
            lambda: setattr(self.plain.model(model), "deleted", True),
        )

    @rule(model=models)
    def restore_model(self, model: str) -> None:
        self.both(lambda: self.tracking.restore_logged_model(model), lambda: self.plain.restore_model(model))

    @rule()
    def empty_the_trash(self) -> None:
        self.tracking.purge(self.tracking.trash())
        self.plain.purge()

    @rule()
    def restart_the_store(self) -> None:
        self.restart()

    @rule(
        query=st.sampled_from(FILTERS),
        order=st.sampled_from(ORDERS),
        size=st.integers(1, 5),
        view=st.sampled_from([1, 2, 3]),
    )
    def search_runs(self, query: Any, order: Any, size: int, view: int) -> None:
        (text, fits), (terms, key) = query, order
        experiments = list(self.plain.experiments)
        wanted = self.plain.search_runs(experiments, view, fits, key)
        found = all_pages(
            lambda token: self.tracking.search_runs(
                experiments, filter_string=text, view_type=view, order_by=terms, max_results=size, page_token=token
            ),
            size,
        )
        assert [run.info.run_id for run in found] == wanted
        assert self.tracking.count_runs(experiments, filter_string=text, view_type=view) == len(wanted)
        self.counted["steps"] += 1

    @rule(run=runs, key=KEYS, size=st.integers(1, 3))
    def page_through_a_history(self, run: str, key: str, size: int) -> None:
        if run not in self.plain.runs:
            return
        wanted = sorted(self.plain.runs[run].points.get(key, ()))
        pages = all_pages(
            lambda token: self.tracking.get_metric_history(run, key, max_results=size, page_token=token), size
        )
        for found in (pages, self.tracking.get_metric_history(run, key)):
            assert [point_of(point.value, point.step, point.timestamp) for point in found] == wanted

    @invariant()
    def every_run_is_as_the_plain_model_has_it(self) -> None:
        for run_id, run in self.plain.runs.items():
            assert told(self.tracking.get_run(run_id)) == expected(run)

    @invariant()
    def experiments_and_models_are_as_the_plain_model_has_them(self) -> None:
        listed = sorted(self.plain.experiments.values(), key=lambda one: (-one.created, int(one.id)))
        found = all_pages(
            lambda token: self.tracking.search_experiments(view_type=3, max_results=4, page_token=token), 4
        )
        assert [(one.experiment_id, one.name, one.lifecycle_stage, one.tags) for one in found] == [
            (one.id, one.name, "deleted" if one.deleted else "active", one.tags) for one in listed
        ]
        for model in self.plain.models.values():
            if not model.deleted:
                got = self.tracking.get_logged_model(model.id)
                assert (got.name, got.status, got.params, got.tags) == (
                    model.name,
                    model.status,
                    model.params,
                    model.tags,
                )

    def teardown(self) -> None:
        """At the end a new process sees the same."""
        if self.plain.runs:
            self.database.close()
            seen = ask(runs_seen, str(self.place.database), list(self.plain.runs))
            assert seen == [expected(run) for run in self.plain.runs.values()]
        super().teardown()


def runs_seen(database: str, run_ids: list[str], answers: Any) -> None:
    """In a process of its own: the runs of a store."""
    from pack.tracking import open_tracking

    store = open_tracking(f"sqlite:///{database}")
    answers.send([told(store.get_run(run_id)) for run_id in run_ids])


TestTrackingMachine = TrackingMachine.TestCase
TestTrackingMachine.settings = SIZE


def test_the_machine_went_through_enough(figure: Callable[..., None]) -> None:
    figure("tracking against a plain model", **COUNTED["TrackingMachine"])
    assert COUNTED["TrackingMachine"]["restarts"]
