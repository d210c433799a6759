"""Search of experiments, logged models, registered models and versions, against plain Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pack.db import Page
from pack.errors import InvalidValue
from pack.registry import RegistryStore, open_registry
from pack.tracking import Metric, TrackingStore, ViewType, open_tracking
from tests.db.oracle import Condition, Row, Term, chosen
from tests.db.rows import EXAMPLES, KEYS, conditions, joined, metrics, names, orders, tables, words

WHOSE = "of"  # the tag that tells the rows of one example from those of others
PART = st.sampled_from(["a", "A", "ab", "a_b", "é", "É", "🚀", "10", "9"])
few = settings(max_examples=EXAMPLES // 2, deadline=None)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('search')}/pack.db"


@pytest.fixture(scope="module")
def tracking(uri: str) -> TrackingStore:
    return open_tracking(uri)


@pytest.fixture(scope="module")
def registry(uri: str) -> RegistryStore:
    return open_registry(uri)


def check(
    search: Callable[..., Page[Any]],
    known: Callable[[Any], str],
    rows: Sequence[Row],
    *,
    wanted: Sequence[Condition],
    terms: Sequence[Term],
    ties: Sequence[Term],
) -> None:
    """The pages of every size are what plain Python chooses."""
    text, order = " AND ".join(one.text() for one in wanted), [term.text() for term in terms]
    expected = chosen(rows, wanted, terms, ties)
    for size in range(1, len(rows) + 2):
        found = joined(
            lambda size, token: search(filter_string=text, order_by=order, max_results=size, page_token=token), size
        )
        assert [known(one) for one in found] == expected


EXPERIMENT_TEXTS = [*names("attributes", ["name", "experiment_id"]), *names("tags", KEYS)]
EXPERIMENT_COUNTS = names("attributes", ["creation_time", "last_update_time"])


@few
@given(
    st.lists(tables(words), max_size=6),
    st.lists(conditions(EXPERIMENT_TEXTS, EXPERIMENT_COUNTS), max_size=2),
    orders([*EXPERIMENT_COUNTS, *EXPERIMENT_TEXTS[:1], *EXPERIMENT_TEXTS[2:]]),
)
def test_experiments_are_found_in_order(
    tracking: TrackingStore, given_tags: list[dict[str, str]], wanted: list[Condition], terms: list[Term]
) -> None:
    whose = os.urandom(8).hex()
    rows = [_experiment(tracking, f"{whose}{number}", {**tags, WHOSE: whose}) for number, tags in enumerate(given_tags)]
    mine = [Condition("tags", WHOSE, "=", whose), *wanted]
    ties = [Term("attributes", "creation_time", descending=True), Term("attributes", "number")]
    check(tracking.search_experiments, lambda one: str(one.experiment_id), rows, wanted=mine, terms=terms, ties=ties)


def _experiment(store: TrackingStore, name: str, tags: dict[str, str]) -> Row:
    made = store.get_experiment(store.create_experiment(name, tags=tags))
    columns: dict[str, Any] = {
        "name": name,
        "experiment_id": made.experiment_id,
        "number": int(made.experiment_id),
        "creation_time": made.creation_time,
        "last_update_time": made.last_update_time,
    }
    return Row(made.experiment_id, columns, {"tags": {**tags}})


LOGGED_TEXTS = [
    *names("attributes", ["name", "model_type", "status", "source_run_id"]),
    *names("params", KEYS),
    *names("tags", KEYS),
]
LOGGED_COUNTS = [*names("metrics", KEYS), *names("attributes", ["creation_timestamp", "creation_time"])]


@st.composite
def logged(draw: st.DrawFn) -> Row:
    columns: dict[str, Any] = {
        "name": draw(PART),
        "model_type": draw(st.none() | PART),
        "status": draw(st.sampled_from(["READY", "FAILED", "PENDING"])),
        "source_run_id": None,
    }
    facts = {"metrics": draw(tables(metrics)), "params": draw(tables(words)), "tags": draw(tables(words))}
    return Row("", columns, facts)


@few
@given(
    st.lists(logged(), max_size=6),
    st.lists(conditions(LOGGED_TEXTS, LOGGED_COUNTS), max_size=2),
    orders([*LOGGED_TEXTS, *LOGGED_COUNTS]),
)
def test_logged_models_are_found_in_order(
    tracking: TrackingStore, rows: list[Row], wanted: list[Condition], terms: list[Term]
) -> None:
    experiment = tracking.create_experiment(os.urandom(8).hex())
    run = tracking.create_run(experiment, user_id="", start_time=0, run_name="r").info.run_id
    for number, row in enumerate(rows):
        _log(tracking, experiment, run, row)
        row.columns["number"] = number
    ties = [
        Term("attributes", "creation_timestamp", descending=True),
        Term("attributes", "number", descending=True),
    ]

    def search(**asked: Any) -> Page[Any]:
        return tracking.search_logged_models([experiment], **asked)

    check(search, lambda one: str(one.model_id), rows, wanted=wanted, terms=terms, ties=ties)


def _log(store: TrackingStore, experiment: str, run: str, row: Row) -> None:
    kind = row.columns["model_type"]
    made = store.create_logged_model(
        experiment,
        name=str(row.columns["name"]),
        params={key: str(value) for key, value in row.facts["params"].items()},
        tags={key: str(value) for key, value in row.facts["tags"].items()},
        model_type=None if kind is None else str(kind),
    )
    if row.columns["status"] != "PENDING":
        store.finalize_logged_model(made.model_id, str(row.columns["status"]))
    row.id = made.model_id
    row.columns["creation_timestamp"] = row.columns["creation_time"] = made.creation_timestamp
    for key, value in row.facts["metrics"].items():
        store.log_batch(run, metrics=[Metric(key, value, 1, model_id=made.model_id)])  # type: ignore[arg-type]


MODEL_TEXTS = [*names("attributes", ["name"]), *names("tags", KEYS), *names("aliases", ["name"])]
MODEL_COUNTS = names("attributes", ["creation_timestamp", "last_updated_timestamp", "timestamp"])
VERSION_TEXTS = [
    *names("attributes", ["name", "run_id", "source_path", "current_stage"]),
    *names("tags", KEYS),
    *names("aliases", ["name"]),
]
VERSION_COUNTS = names("attributes", ["version_number", "creation_timestamp", "last_updated_timestamp"])
a_model = st.fixed_dictionaries(
    {
        "part": PART,
        "tags": tables(words),
        "versions": st.lists(
            st.fixed_dictionaries(
                {
                    "run_id": st.none() | PART,
                    "source": words,
                    "tags": tables(words),
                    "alias": st.none() | PART.filter(str.isalpha),
                }
            ),
            max_size=3,
        ),
    }
)


@few
@given(
    st.lists(a_model, max_size=4),
    st.lists(conditions(MODEL_TEXTS, MODEL_COUNTS), max_size=2),
    orders([*MODEL_TEXTS[:-1], *MODEL_COUNTS]),
)
def test_registered_models_are_found_in_order(
    registry: RegistryStore, models: list[Any], wanted: list[Condition], terms: list[Term]
) -> None:
    whose, rows = _registered(registry, models)
    mine = [Condition("tags", WHOSE, "=", whose), *wanted]
    ties = [Term("attributes", "name")]
    check(registry.search_registered_models, lambda one: str(one.name), rows, wanted=mine, terms=terms, ties=ties)


@few
@given(
    st.lists(a_model, max_size=3),
    st.lists(conditions(VERSION_TEXTS, VERSION_COUNTS), max_size=2),
    orders([*VERSION_TEXTS[:-1], *VERSION_COUNTS]),
)
def test_versions_are_found_in_order(
    registry: RegistryStore, models: list[Any], wanted: list[Condition], terms: list[Term]
) -> None:
    whose, found = _registered(registry, models)
    rows = [_version(registry, row.id, one.version) for row in found for one in _versions(registry, row.id)]
    mine = [Condition("tags", WHOSE, "=", whose), *wanted]
    ties = [
        Term("attributes", "last_updated_timestamp", descending=True),
        Term("attributes", "name"),
        Term("attributes", "version_number", descending=True),
    ]

    def known(one: Any) -> str:
        return f"{one.name}/{one.version}"

    check(registry.search_model_versions, known, rows, wanted=mine, terms=terms, ties=ties)


def _versions(store: RegistryStore, name: str) -> Page[Any]:
    return store.search_model_versions(filter_string=f"name = '{name}'")


def _registered(store: RegistryStore, models: list[Any]) -> tuple[str, list[Row]]:
    """Register models with their versions; answers their common tag, and the models as rows."""
    whose = os.urandom(8).hex()
    rows = []
    for number, model in enumerate(models):
        name = f"{model['part']}{number}{whose}"
        store.create_registered_model(name, tags={**model["tags"], WHOSE: whose})
        for one in model["versions"]:
            _register(store, name, one, whose)
        found = store.get_registered_model(name)
        columns: dict[str, Any] = {
            "name": name,
            "creation_timestamp": found.creation_timestamp,
            "last_updated_timestamp": found.last_updated_timestamp,
            "timestamp": found.last_updated_timestamp,
        }
        aliases: list[dict[str, Any]] = [{"name": alias} for alias in found.aliases]
        rows.append(Row(name, columns, {"tags": {**found.tags}}, {"aliases": aliases}))
    return whose, rows


def _register(store: RegistryStore, name: str, one: Any, whose: str) -> None:
    made = store.create_model_version(
        name, source=one["source"], storage_location="/x", run_id=one["run_id"], tags={**one["tags"], WHOSE: whose}
    )
    if one["alias"]:
        store.set_alias(name, one["alias"], made.version)


def _version(store: RegistryStore, name: str, version: int) -> Row:
    found = store.get_model_version(name, version)
    columns: dict[str, Any] = {
        "name": name,
        "run_id": found.run_id,
        "source_path": found.source,
        "current_stage": found.current_stage,
        "version_number": version,
        "creation_timestamp": found.creation_timestamp,
        "last_updated_timestamp": found.last_updated_timestamp,
    }
    aliases: list[dict[str, Any]] = [{"name": alias} for alias in found.aliases]
    return Row(f"{name}/{version}", columns, {"tags": {**found.tags}}, {"aliases": aliases})


def test_experiments_are_sorted_by_their_number_not_by_its_digits(tracking: TrackingStore) -> None:
    made = {tracking.create_experiment(os.urandom(8).hex()) for _ in range(12)}
    listed = [one.experiment_id for one in tracking.search_experiments(order_by=["experiment_id"])]
    assert listed == sorted(listed, key=int)
    assert made <= set(listed)
    last = max(made, key=int)
    assert [one.experiment_id for one in tracking.search_experiments(filter_string=f"experiment_id IN ('{last}')")] == [
        last
    ]


def test_each_target_refuses_names_that_it_does_not_have(tracking: TrackingStore, registry: RegistryStore) -> None:
    searches: dict[Callable[..., Page[Any]], tuple[str, ...]] = {
        tracking.search_experiments: (
            "metrics.m = 1",
            "params.p = 'x'",
            "artifact_location = 'x'",
            "aliases.name = 'x'",
        ),
        lambda **asked: tracking.search_logged_models(["0"], **asked): ("datasets.name = 'x'", "run_id = 'x'"),
        registry.search_registered_models: ("metrics.m = 1", "version = 1", "deleted_name = 'x'", "name = 1"),
        registry.search_model_versions: ("params.p = 'x'", "model = 1", "storage_location = 'x'", "version = 'x'"),
    }
    for search, texts in searches.items():
        for text in (*texts, "nothing = 1", "a.b = 1", "aliases.nothing = 'x'"):
            with pytest.raises(InvalidValue, match="character"):
                search(filter_string=text)
        for term in ("nothing", "a.b", "aliases.name", "1; DROP TABLE runs"):
            with pytest.raises(InvalidValue, match="the order"):
                search(order_by=[term])


def test_each_target_has_a_largest_page(tracking: TrackingStore, registry: RegistryStore) -> None:
    largest: dict[Callable[..., Page[Any]], int] = {
        tracking.search_experiments: 50_000,
        lambda **asked: tracking.search_runs(["0"], **asked): 50_000,
        registry.search_registered_models: 1000,
        registry.search_model_versions: 200_000,
    }
    for search, most in largest.items():
        search(max_results=most)
        for size in (0, -1, most + 1, True, None, "1", 1.0):
            with pytest.raises(InvalidValue, match=f"from 1 to {most:,}"):
                search(max_results=size)


def test_only_what_is_in_the_trash_is_hidden_and_shown_by_its_view(tracking: TrackingStore) -> None:
    gone, kept = (tracking.create_experiment(os.urandom(8).hex()) for _ in range(2))
    tracking.delete_experiment(gone)
    for view, expected in (
        (ViewType.ACTIVE_ONLY, {kept}),
        (ViewType.DELETED_ONLY, {gone}),
        (ViewType.ALL, {gone, kept}),
    ):
        found = {one.experiment_id for one in tracking.search_experiments(view_type=view, max_results=50_000)}
        assert found & {gone, kept} == expected
