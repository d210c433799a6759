"""Record into runs: params, metrics, tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pack.errors import InvalidValue
from pack.fluent import state
from pack.fluent.logged import get_active_model_id
from pack.fluent.pairs import pairs
from pack.fluent.runs import current_run_id
from pack.tracking import Metric, Param, RunTag
from pack.tracking.limits import BATCH, BATCH_TOTAL


class Recorded:
    """What a call with `synchronous=False` answers: it was durable when the call returned, so nothing is awaited."""

    def wait(self) -> None:
        """Return at once."""


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Record a param of the open run; it is set once. Answers the value.

    >>> log_param("learning_rate", 0.01)  # doctest: +SKIP
    0.01
    """
    run = current_run_id()
    state.store_of(run).log_batch(run, params=[Param(key, str(value))])
    return Recorded() if synchronous is False else value


def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> Recorded | None:
    """Record several params.

    >>> log_params({"depth": 3, "trees": 100})  # doctest: +SKIP
    """
    items = [Param(key, str(value)) for key, value in pairs(params, "params").items()]
    run = run_id or current_run_id()
    for start in range(0, len(items), BATCH["params"]):
        state.store_of(run).log_batch(run, params=items[start : start + BATCH["params"]])
    return answer(synchronous)


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> Recorded | None:
    """Record a point of a metric; with `step`, a curve. It is on the disk when the call returns.

    With `model_id` (or an active model) it is kept with that logged model too, with `dataset` as what it was
    measured on. Raises `InvalidValue` for what is no number.

    >>> log_metric("loss", 0.3, step=1)  # doctest: +SKIP
    """
    return log_metrics({key: value}, step, synchronous, run_id, timestamp, model_id, dataset)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> Recorded | None:
    """Record a point of several metrics, in batches of 1,000; each batch is kept whole or not at all.

    >>> log_metrics({"accuracy": 0.95, "f1": 0.93})  # doctest: +SKIP
    """
    when = moment(timestamp)
    model = model_id or get_active_model_id()
    name, digest = _measured_on(dataset)
    at = 0 if step is None else whole(step)
    points = [Metric(key, value, when, at, model, name, digest) for key, value in pairs(metrics, "metrics").items()]
    run = run_id or current_run_id()
    for start in range(0, len(points), BATCH["metrics"]):
        state.store_of(run).log_batch(run, metrics=points[start : start + BATCH["metrics"]])
    return answer(synchronous)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> Recorded | None:
    """Set a tag of the open run.

    >>> set_tag("stage", "baseline")  # doctest: +SKIP
    """
    return set_tags({key: value}, synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> Recorded | None:
    """Set several tags of the open run.

    >>> set_tags({"stage": "baseline", "team": "growth"})  # doctest: +SKIP
    """
    items = [RunTag(key, str(value)) for key, value in pairs(tags, "tags").items()]
    run = current_run_id()
    for start in range(0, len(items), BATCH["tags"]):
        state.store_of(run).log_batch(run, tags=items[start : start + BATCH["tags"]])
    return answer(synchronous)


def delete_tag(key: str) -> None:
    """Remove a tag of the open run.

    >>> delete_tag("stage")  # doctest: +SKIP
    """
    run = current_run_id()
    state.store_of(run).delete_tag(run, key)


def flush_async_logging() -> None:
    """Return at once: every call is durable when it returns, there is nothing to flush.

    >>> flush_async_logging()
    """


def flush_artifact_async_logging() -> None:
    """Return at once, as `flush_async_logging` does.

    >>> flush_artifact_async_logging()
    """


def batches(**items: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Metrics, params and tags in as few batches as a store takes: one where they fit, else several of each."""
    if sum(map(len, items.values())) <= BATCH_TOTAL and all(len(many) <= BATCH[noun] for noun, many in items.items()):
        yield items
        return
    for noun, many in items.items():
        for start in range(0, len(many), BATCH[noun]):
            yield {noun: many[start : start + BATCH[noun]]}


def whole(step: Any) -> int:
    """A step as a whole number: 3.0 and a NumPy 3 are 3; raises `InvalidValue` for 3.5."""
    if type(step) is int:
        return step
    try:
        number = int(step)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"a step is a whole number, not {type(step).__name__}") from error
    if number != step:
        raise InvalidValue(f"a step is a whole number, not {step!a}")
    return number


def moment(timestamp: Any) -> int:
    """A time in whole milliseconds: now where none is given; fractions, as `time.time() * 1000` has, are cut off."""
    if timestamp is None:
        return state.now()
    if type(timestamp) is int:
        return timestamp
    try:
        return whole(timestamp // 1)
    except (TypeError, InvalidValue) as error:
        raise InvalidValue(
            f"a time is a number of milliseconds since 1970, not {timestamp!a:.80}", hint="pass time.time() * 1000"
        ) from error


def _measured_on(dataset: Any) -> tuple[str | None, str | None]:
    """The name and digest of the data that a metric was measured on."""
    if dataset is None:
        return None, None
    try:
        return dataset.name, dataset.digest
    except AttributeError as error:
        raise InvalidValue(
            f"{type(dataset).__name__} is no dataset", hint="make one: pack.data.from_pandas(frame, source=PATH)"
        ) from error


def answer(synchronous: bool | None) -> Recorded | None:
    """What a call answers: something to wait for where it was asked not to wait."""
    return Recorded() if synchronous is False else None
