"""Find runs, experiments, models and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, TypeVar

from pack.db.paging import Page
from pack.errors import InvalidValue, NotFound
from pack.fluent import frames, state
from pack.registry import ModelVersion, RegisteredModel
from pack.tracking import Experiment, LoggedModel, Run, TrackingStore, ViewType

T = TypeVar("T")
_MOST = 100_000


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = _MOST,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
    *,
    select: Sequence[str] | None = None,
) -> Any:
    """The runs that a filter finds, as a DataFrame, or with `output_format="list"` as runs.

    Looks in the experiment in use where none is given. `select`, such as `["metrics.loss", "params"]`, loads only
    some of what runs recorded. Raises `InvalidValue` with the place of the fault in a filter or order.

    >>> search_runs(filter_string="metrics.accuracy > 0.9 AND params.optimizer = 'adam'",
    ...             order_by=["metrics.accuracy DESC"])  # doctest: +SKIP
    """
    if output_format not in {"pandas", "list"}:
        raise InvalidValue(f"{output_format!a} is no output format", hint='use "pandas" or "list"')
    store = state.tracking()
    ids = _experiments(store, experiment_ids, experiment_names, everywhere=search_all_experiments)

    def page(size: int, token: str | None) -> Page[Run]:
        return store.search_runs(
            ids,
            filter_string=filter_string,
            view_type=run_view_type,
            max_results=size,
            order_by=order_by,
            page_token=token,
            select=listed(select),
        )

    runs = collected(page, max_results, 5000)
    return runs if output_format == "list" else frames.frame_of(runs)


def count_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> int:
    """How many runs a filter finds; none of them is loaded.

    >>> count_runs(filter_string="attributes.status = 'FAILED'")  # doctest: +SKIP
    3
    """
    store = state.tracking()
    ids = _experiments(store, experiment_ids, experiment_names, everywhere=search_all_experiments)
    return store.count_runs(ids, filter_string=filter_string, view_type=run_view_type)


def search_experiments(
    view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """The experiments that a filter finds, the newest first unless an order is given.

    >>> search_experiments(filter_string="name LIKE 'churn%'")  # doctest: +SKIP
    """

    def page(size: int, token: str | None) -> Page[Experiment]:
        return state.tracking().search_experiments(
            filter_string=filter_string, view_type=view_type, max_results=size, order_by=order_by, page_token=token
        )

    return collected(page, max_results, 1000)


def search_logged_models(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    datasets: Sequence[Mapping[str, str]] | None = None,
    max_results: int | None = None,
    order_by: Sequence[Mapping[str, Any]] | None = None,
    output_format: str = "pandas",
) -> Any:
    """The logged models that a filter finds, as a DataFrame, or with `output_format="list"` as models.

    `datasets` (dicts of `dataset_name` and `dataset_digest`) counts only what was measured on one of them.

    >>> search_logged_models(filter_string="metrics.accuracy > 0.9")  # doctest: +SKIP
    """
    if output_format not in {"pandas", "list"}:
        raise InvalidValue(f"{output_format!a} is no output format", hint='use "pandas" or "list"')
    ids = experiment_ids_of(experiment_ids) if experiment_ids is not None else [state.experiment_id()]
    terms, measured = orders_of_models(order_by, datasets)

    def page(size: int, token: str | None) -> Page[LoggedModel]:
        return state.tracking().search_logged_models(
            ids,
            filter_string=filter_string,
            datasets=measured,
            max_results=size,
            order_by=terms,
            page_token=token,
        )

    models = collected(page, max_results, 1000)
    return models if output_format == "list" else frames.models_frame(models)


def search_registered_models(
    max_results: int | None = None, filter_string: str | None = None, order_by: Sequence[str] | None = None
) -> list[RegisteredModel]:
    """The registered models that a filter finds, by name unless an order is given.

    >>> search_registered_models(filter_string="tags.team = 'growth'")  # doctest: +SKIP
    """

    def page(size: int, token: str | None) -> Page[RegisteredModel]:
        return state.registry().search_registered_models(
            filter_string=filter_string, max_results=size, order_by=order_by, page_token=token
        )

    return collected(page, max_results, 1000)


def search_model_versions(
    max_results: int | None = None, filter_string: str | None = None, order_by: Sequence[str] | None = None
) -> list[ModelVersion]:
    """The versions that a filter finds, the last updated first unless an order is given.

    >>> search_model_versions(filter_string="name = 'churn'")  # doctest: +SKIP
    """

    def page(size: int, token: str | None) -> Page[ModelVersion]:
        return state.registry().search_model_versions(
            filter_string=filter_string, max_results=size, order_by=order_by, page_token=token
        )

    return collected(page, max_results, 10_000)


def collected(page: Callable[[int, str | None], Page[T]], most: Any, size: int) -> list[T]:
    """The results of as many pages as it takes."""
    if most is not None and (isinstance(most, bool) or not isinstance(most, Integral) or most < 1):
        raise InvalidValue(f"max_results must be a number from 1 up, not {most!a}")
    most = None if most is None else int(most)
    found: list[T] = []
    token = None
    while True:
        wanted = size if most is None else min(size, most - len(found))
        got = page(wanted, token)
        found += got
        token = got.token
        if token is None or len(found) == most:
            return found


def orders_of_models(
    order_by: Sequence[Mapping[str, Any]] | None, datasets: Sequence[Mapping[str, str]] | None
) -> tuple[list[str], list[Mapping[str, str]]]:
    """MLflow's terms for logged models as terms of our grammar, and the datasets on which things are measured."""
    terms = []
    measured = list(datasets or ())
    for order in order_by or ():
        name = order.get("field_name") if isinstance(order, Mapping) else None
        if not isinstance(name, str):
            raise InvalidValue("an order of logged models is a dict", hint='use {"field_name": "metrics.loss"}')
        terms.append(f"{name} {'ASC' if order.get('ascending', True) else 'DESC'}")
        if order.get("dataset_name"):
            measured.append({key: order[key] for key in ("dataset_name", "dataset_digest") if order.get(key)})
    return terms, measured


def experiment_ids_of(given: Any) -> list[str]:
    """Ids of experiments as a list of texts; one id may be given as it is."""
    if isinstance(given, (str, int)):
        return [str(given)]
    if not isinstance(given, Iterable):
        raise InvalidValue(f"experiment ids are a list, not {type(given).__name__}", hint='write ["1", "2"]')
    return [str(one) for one in given]


def listed(given: Sequence[str] | str | None) -> Sequence[str] | None:
    """Names as a list; one may be given as it is."""
    return [given] if isinstance(given, str) else given


def _experiments(
    store: TrackingStore, given: Sequence[str] | None, names: Sequence[str] | None, *, everywhere: bool
) -> list[str]:
    """Where to look for runs."""
    ids = [] if given is None else experiment_ids_of(given)
    if ids and names:
        raise InvalidValue("experiments were given by id and by name", hint="leave one of the two out")
    if names:
        return [_by_name(store, name) for name in listed(names) or ()]
    if ids:
        return ids
    if everywhere:
        return [one.experiment_id for one in search_experiments(ViewType.ALL)]
    runs = state.open_runs()
    return [runs[-1].info.experiment_id if runs else state.experiment_id()]


def _by_name(store: TrackingStore, name: str) -> str:
    found = store.get_experiment_by_name(name)
    if found is None:
        raise NotFound(f"there is no experiment named {str(name)[:100]!a}", hint="list them: pack experiments list")
    return found.experiment_id
