"""Search of runs: random rows, filters and orders against plain Python; and what is refused."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pack.db import Page
from pack.db.search import MAX_NUMBERS, MAX_PATTERN
from pack.errors import InvalidValue
from pack.tracking import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, TrackingStore, open_tracking
from tests.db.oracle import Condition, Row, Term, Value, chosen
from tests.db.rows import EXAMPLES, KEYS, conditions, joined, metrics, names, orders, tables, words

TIES = [Term("attributes", "start_time", descending=True), Term("attributes", "run_id")]
TEXTS = [
    *names("attributes", ["run_name", "status", "user_id"]),
    *names("params", KEYS),
    *names("tags", KEYS),
    *names("datasets", ["name", "digest", "context"]),
]
COUNTS = [*names("attributes", ["start_time", "end_time"]), *names("metrics", KEYS)]
ABSENT = st.builds(
    Condition,
    st.sampled_from(["params", "tags", "metrics"]),
    st.sampled_from(KEYS),
    st.sampled_from(["IS NULL", "IS NOT NULL"]),
)
run_conditions = st.lists(conditions(TEXTS, COUNTS) | ABSENT, max_size=3)
run_orders = orders([name for name in [*TEXTS, *COUNTS] if name[0] != "datasets"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingStore:
    """One database for every test of this file; each has an experiment of its own."""
    return open_tracking(f"sqlite:///{tmp_path_factory.mktemp('search')}/pack.db")


@st.composite
def runs(draw: st.DrawFn) -> Row:
    """A run that is not recorded yet; its id comes with recording."""
    datasets = st.fixed_dictionaries({"name": words.filter(bool), "digest": st.sampled_from(["1", "2"])})
    linked = draw(st.lists(datasets, max_size=2, unique_by=lambda one: (one["name"], one["digest"])))
    return Row(
        "",
        {
            "run_name": draw(words.filter(bool)),
            "start_time": draw(st.integers(0, 2) | st.just(2**63 - 1)),
            "end_time": draw(st.none() | st.integers(0, 2)),
            "status": draw(st.sampled_from(["RUNNING", "FINISHED", "FAILED"])),
            "user_id": draw(words),
        },
        {"metrics": draw(tables(metrics)), "params": draw(tables(words)), "tags": draw(tables(words))},
        {"datasets": [{**one, "context": draw(st.none() | words)} for one in linked]},
    )


def record(store: TrackingStore, experiment: str, row: Row) -> None:
    """Make a run of a row, and tell the row what the store says of it besides."""
    made = store.create_run(
        experiment,
        user_id=str(row.columns["user_id"]),
        start_time=int(row.columns["start_time"] or 0),
        run_name=str(row.columns["run_name"]),
        tags=[RunTag(key, str(value)) for key, value in row.facts["tags"].items()],
    )
    row.id = made.info.run_id
    row.columns["run_id"] = row.id
    end = row.columns["end_time"]
    store.update_run(row.id, status=str(row.columns["status"]), end_time=end if isinstance(end, int) else None)
    points = [Metric(key, value, 1) for key, value in row.facts["metrics"].items()]  # type: ignore[arg-type]
    store.log_batch(row.id, metrics=points, params=[Param(key, str(v)) for key, v in row.facts["params"].items()])
    store.log_inputs(row.id, datasets=[_dataset(one) for one in row.linked["datasets"]])


def _dataset(facts: dict[str, Value]) -> DatasetInput:
    context = facts["context"]
    tags = () if context is None else (InputTag("mlflow.data.context", str(context)),)
    return DatasetInput(Dataset(str(facts["name"]), str(facts["digest"]), "local", "{}"), tags)


def fresh(store: TrackingStore, rows: Sequence[Row]) -> str:
    """A new experiment that holds runs of the rows."""
    experiment = store.create_experiment(os.urandom(8).hex())
    for row in rows:
        record(store, experiment, row)
    return experiment


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(runs(), max_size=7), run_conditions, run_orders)
def test_runs_are_found_in_order_whatever_the_size_of_pages(
    store: TrackingStore, rows: list[Row], wanted: list[Condition], terms: list[Term]
) -> None:
    experiment = fresh(store, rows)
    text, order = " AND ".join(one.text() for one in wanted), [term.text() for term in terms]
    expected = chosen(rows, wanted, terms, TIES)
    for size in range(1, len(rows) + 2):
        pages = joined(
            lambda size, token: store.search_runs(
                [experiment], filter_string=text, order_by=order, max_results=size, page_token=token
            ),
            size,
        )
        assert [run.info.run_id for run in pages] == expected
    assert store.count_runs([experiment], filter_string=text) == len(expected)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(st.lists(runs(), min_size=2, max_size=6), st.lists(runs(), max_size=8), run_orders, st.integers(1, 3))
def test_runs_that_come_in_between_pages_neither_hide_nor_double_others(
    store: TrackingStore, rows: list[Row], later: list[Row], terms: list[Term], size: int
) -> None:
    experiment = fresh(store, rows)
    there = [row.id for row in rows]
    coming = iter(later)

    def page(size: int, token: str | None) -> Page[Any]:
        got = store.search_runs(
            [experiment], order_by=[term.text() for term in terms], max_results=size, page_token=token
        )
        for row, _ in zip(coming, range(2), strict=False):
            record(store, experiment, row)
        return got

    seen = [run.info.run_id for run in joined(page, size)]
    assert len(seen) == len(set(seen))
    assert [one for one in seen if one in there] == chosen(rows, [], terms, TIES)


@pytest.fixture
def experiment(store: TrackingStore) -> str:
    """Three runs: `one` has everything, `two` has other values, `three` has nothing."""
    made = store.create_experiment(os.urandom(8).hex())
    for name, value in (("one", "Adam"), ("two", "sgd"), ("three", None)):
        run = store.create_run(made, user_id="ada", start_time=2**63 - 1, run_name=name).info.run_id
        if value is not None:
            facts = [Metric("m", float(len(value)), 1)], [Param("p", value)], [RunTag("t", value)]
            store.log_batch(run, metrics=facts[0], params=facts[1], tags=facts[2])
            store.log_inputs(run, datasets=[DatasetInput(Dataset(value, "d", "local", "{}"))])
    return made


def found(store: TrackingStore, experiment: str, text: str, order: Sequence[str] = ("run_name",)) -> list[str]:
    return [run.info.run_name for run in store.search_runs([experiment], filter_string=text, order_by=order)]


@pytest.mark.parametrize("entity", ["metrics", "metric", "`metrics`"])
def test_metrics_are_found_under_each_name_of_the_entity(store: TrackingStore, experiment: str, entity: str) -> None:
    assert found(store, experiment, f"{entity}.m > 3") == ["one"]
    assert found(store, experiment, f"{entity}.m != 4") == ["two"]
    assert found(store, experiment, "", [f"{entity}.m"]) == ["two", "one", "three"]


@pytest.mark.parametrize(
    "name",
    [
        *(f"{entity}.p" for entity in ("params", "param", "parameter", "parameters")),
        *(f"{entity}.t" for entity in ("tags", "tag")),
    ],
)
def test_params_and_tags_are_found_under_each_name_of_the_entity(
    store: TrackingStore, experiment: str, name: str
) -> None:
    assert found(store, experiment, f"{name} = 'Adam'") == ["one"]
    assert found(store, experiment, f"{name} != 'Adam'") == ["two"]
    assert found(store, experiment, f"{name} LIKE 'a%'") == []
    assert found(store, experiment, f"{name} ILIKE 'a%'") == ["one"]
    assert found(store, experiment, f"{name} IS NULL") == ["three"]
    assert found(store, experiment, "", [f"{name} DESC"]) == ["two", "one", "three"]


@pytest.mark.parametrize(
    "name",
    [
        *(f"{entity}.run_name" for entity in ("attributes", "attribute", "attr", "run")),
        *("run_name", "`run name`", "`Run name`", '"Run Name"'),
    ],
)
def test_attributes_are_found_under_each_of_their_names(store: TrackingStore, experiment: str, name: str) -> None:
    assert found(store, experiment, f"{name} = 'one'") == ["one"]
    assert found(store, experiment, f"{name} IN ('two', 'one')", [f"{name} DESC"]) == ["two", "one"]


@pytest.mark.parametrize("entity", ["datasets", "dataset"])
def test_datasets_are_found_under_each_name_of_the_entity(store: TrackingStore, experiment: str, entity: str) -> None:
    assert found(store, experiment, f"{entity}.name = 'Adam'") == ["one"]
    assert found(store, experiment, f"{entity}.name NOT IN ('Adam')") == ["two"]
    assert found(store, experiment, f"{entity}.digest ILIKE 'D'") == ["one", "two"]
    assert found(store, experiment, f"{entity}.context != 'x'") == []


@pytest.mark.parametrize("name", ["start_time", "created", "Created"])
def test_times_are_compared_to_the_last_of_their_64_bits(store: TrackingStore, experiment: str, name: str) -> None:
    assert len(found(store, experiment, f"{name} = 9223372036854775807")) == 3
    assert found(store, experiment, f"{name} = 9223372036854775806") == []
    assert len(found(store, experiment, f"{name} > 9223372036854775806")) == 3


def test_a_run_is_found_by_where_its_files_lie(store: TrackingStore, experiment: str) -> None:
    run = store.search_runs([experiment], max_results=1)[0].info
    assert found(store, experiment, f"artifact_uri = '{run.artifact_uri}'") == [run.run_name]
    assert found(store, experiment, f"run_id IN ('{run.run_id}', 'x')") == [run.run_name]


def test_a_number_means_the_double_that_a_metric_holds(store: TrackingStore, experiment: str) -> None:
    run = store.search_runs([experiment], filter_string="run_name = 'three'")[0].info.run_id
    store.log_batch(run, metrics=[Metric("big", 9007199254740993, 1), Metric("odd", 0.1 + 0.2, 1)])
    for text in (
        "big = 9007199254740993",
        "big IN (9007199254740993)",
        "odd = 0.30000000000000004",
        "odd IN (1, 0.30000000000000004)",
    ):
        assert found(store, experiment, f"metrics.{text}") == ["three"]
    assert found(store, experiment, "metrics.odd = 0.3") == []


def test_nan_differs_from_every_number_and_comes_after_them(store: TrackingStore, experiment: str) -> None:
    run = store.search_runs([experiment], filter_string="run_name = 'three'")[0].info.run_id
    store.log_batch(run, metrics=[Metric("m", math.nan, 1)])
    store.create_run(experiment, user_id="", start_time=0, run_name="zero")
    assert found(store, experiment, "metrics.m != 4") == ["three", "two"]
    for op in ("=", "<", "<=", ">", ">="):
        assert "three" not in found(store, experiment, f"metrics.m {op} 0")
    assert found(store, experiment, "metrics.m IS NOT NULL") == ["one", "three", "two"]
    for direction, numbers in (("ASC", ["two", "one"]), ("DESC", ["one", "two"])):
        assert found(store, experiment, "", [f"metrics.m {direction}"]) == [*numbers, "three", "zero"]


NUMBER_NAMES = ["metrics.m", "start_time", "end_time"]
TEXT_NAMES = ["params.p", "tags.t", "status", "run_id", "datasets.name"]
COMPARED = ["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE"]
LISTED = ["IN", "NOT IN"]
WRONG = [
    *(f"{name} {op} 'x'" for name in NUMBER_NAMES for op in COMPARED),
    *(f"{name} {op} ('x')" for name in NUMBER_NAMES for op in LISTED),
    *(f"{name} {op} 1" for name in NUMBER_NAMES for op in ("LIKE", "ILIKE")),
    *(f"{name} {op} 1" for name in TEXT_NAMES for op in COMPARED),
    *(f"{name} {op} (1)" for name in TEXT_NAMES for op in LISTED),
    *(f"{name} {op} 'x'" for name in TEXT_NAMES for op in ("<", "<=", ">", ">=")),
    *(f"{name} {op} ('x', 1)" for name in (*NUMBER_NAMES, *TEXT_NAMES) for op in LISTED),
    *(f"datasets.name {op}" for op in ("IS NULL", "IS NOT NULL")),
]


@pytest.mark.parametrize("text", WRONG)
def test_an_operator_and_a_value_that_do_not_fit_a_name_are_refused_at_their_place(
    store: TrackingStore, experiment: str, text: str
) -> None:
    with pytest.raises(InvalidValue) as error:
        found(store, experiment, f"run_name = 'one' AND {text}")
    assert error.value.facts["position"] > len("run_name = 'one' AND ")
    assert "SELECT" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "nothing = 1",
        "attributes.nothing = 1",
        "nothing.a = 1",
        "METRICS.m = 1",
        "datasets.nothing = 'x'",
        "datasets.`name'; --` = 'x'",
        "attributes.`runs.id` = 1",
        "attributes.experiment = 1",
        "lifecycle_stage = 'deleted'",
        "rowid = 1",
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_known(store: TrackingStore, experiment: str, text: str) -> None:
    with pytest.raises(InvalidValue, match="character 1: this name is not known here") as error:
        found(store, experiment, text)
    assert "metrics.KEY" in (error.value.hint or "")


@pytest.mark.parametrize(
    "term",
    [
        "nothing",
        "runs.id",
        "datasets.name",
        "attributes.nothing DESC",
        "rowid",
        "1",
        "start_time; DROP TABLE runs",
        "random()",
        ",",
    ],
)
def test_an_order_by_what_is_no_name_is_refused(store: TrackingStore, experiment: str, term: str) -> None:
    with pytest.raises(InvalidValue, match="the order cannot be used, character"):
        found(store, experiment, "", [term])


@pytest.mark.parametrize("text", ["name='' OR 1=1 --", "'; DROP TABLE runs; --", "run_name = 'x'; DROP TABLE runs"])
def test_sql_in_a_filter_is_refused_and_in_a_text_it_is_a_text(
    store: TrackingStore, experiment: str, text: str
) -> None:
    with pytest.raises(InvalidValue):
        found(store, experiment, text)
    literal = text.replace("'", "''")
    assert found(store, experiment, f"run_name = '{literal}'") == []
    assert found(store, experiment, f"tags.`{literal}` = '{literal}'", [f"tags.`{literal}`"]) == []
    assert len(found(store, experiment, "")) == 3


def test_patterns_and_lists_of_numbers_have_a_limit(store: TrackingStore, experiment: str) -> None:
    for op in ("LIKE", "ILIKE"):
        assert found(store, experiment, f"tags.t {op} '{'İ' * MAX_PATTERN}'") == []
        with pytest.raises(InvalidValue, match="8,000 characters"):
            found(store, experiment, f"tags.t {op} '{'x' * (MAX_PATTERN + 1)}'")
    numbers = ",".join(map(str, range(MAX_NUMBERS)))
    assert found(store, experiment, f"metrics.m IN ({numbers})") == ["one", "two"]
    with pytest.raises(InvalidValue, match="100 numbers"):
        found(store, experiment, f"metrics.m IN ({numbers}, 1)")


def test_the_largest_filter_and_order_are_answered(store: TrackingStore, experiment: str) -> None:
    ids = ", ".join(f"'{number:032}'" for number in range(1800))
    assert found(store, experiment, f"run_id NOT IN ({ids})", [f"metrics.m{n}" for n in range(20)]) != []
    clauses = " AND ".join(f"metrics.m{number} IS NULL" for number in range(100))
    assert len(found(store, experiment, clauses)) == 3
    wild = "%".join("a" * 3999)
    store.log_batch(store.search_runs([experiment])[0].info.run_id, tags=[RunTag("long", "a" * 8000)])
    assert found(store, experiment, f"tags.long LIKE '%{wild}%b'") == []


@pytest.mark.parametrize("view", [0, 4, "active", None, [1]])
def test_a_view_that_is_none_is_refused(store: TrackingStore, view: Any) -> None:
    for search in (
        lambda: store.search_runs(["0"], view_type=view),
        lambda: store.count_runs(["0"], view_type=view),
        lambda: store.search_experiments(view_type=view),
    ):
        with pytest.raises(InvalidValue, match="view"):
            search()


@pytest.mark.parametrize("ids", ["0", ["0 OR 1=1"], [None], ["-1"], ["1" * 19], [True], ["²"]])
def test_what_is_no_list_of_experiments_is_refused(store: TrackingStore, ids: Any) -> None:
    with pytest.raises(InvalidValue):
        store.search_runs(ids)


def test_runs_of_many_experiments_are_found(store: TrackingStore, experiment: str) -> None:
    assert len(store.search_runs([experiment, *map(str, range(10_000, 12_000))])) == 3
    assert store.search_runs([]) == []
