"""What runs used and made: datasets and models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pack.errors import InvalidValue
from pack.fluent import context, runs, state
from pack.fluent.pairs import texts
from pack.tracking import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput

if TYPE_CHECKING:
    from pack.data import Dataset as Data

_CONTEXT = "mlflow.data.context"
T = TypeVar("T")


def log_input(
    dataset: Data | None = None,
    context: str | None = None,
    tags: Mapping[str, str] | None = None,
    model: LoggedModelInput | None = None,
) -> None:
    """Link the open run with data that it used, made by `pack.data`; its digest and schema are computed now.

    >>> log_input(pack.data.from_pandas(frame, source="s3://bucket/data.csv"), context="training")  # doctest: +SKIP
    """
    log_inputs(
        datasets=[dataset] if dataset is not None else [],
        contexts=[context],
        tags_list=[tags],
        models=[model] if model is not None else [],
    )


def log_inputs(
    datasets: Sequence[Data] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, str] | None] | None = None,
    models: Sequence[LoggedModelInput] | None = None,
) -> None:
    """Link the open run with several datasets and models.

    >>> log_inputs(datasets=[train, test], contexts=["training", "eval"])  # doctest: +SKIP
    """
    if isinstance(datasets, (int, float, str, Mapping)):
        raise InvalidValue(
            f"datasets are a list, not {type(datasets).__name__}", hint="for a single one: log_input(...)"
        )
    given = list(datasets or ())
    labels = list(contexts or [None] * len(given))
    more = list(tags_list or [None] * len(given))
    if given and not len(given) == len(labels) == len(more):
        raise InvalidValue(
            f"{len(given)} datasets, {len(labels)} contexts and {len(more)} tags_list do not go together",
            hint="give one context and one dict of tags for each dataset, None where there is none",
        )
    inputs = [input_of(one, label, tags) for one, label, tags in zip(given, labels, more, strict=False)]
    run = runs.current_run_id()
    state.store_of(run).log_inputs(run, datasets=inputs, models=_all(models, LoggedModelInput))


def log_outputs(models: Sequence[LoggedModelOutput] | None = None) -> None:
    """Link the open run with models that it made.

    >>> log_outputs([LoggedModelOutput(model_id, step=3)])  # doctest: +SKIP
    """
    run = runs.current_run_id()
    state.store_of(run).log_outputs(run, _all(models, LoggedModelOutput))


def _all(given: Sequence[T] | None, kind: type[T]) -> list[T]:
    """What was given as a list, each of one kind."""
    for one in given or ():
        if not isinstance(one, kind):
            raise InvalidValue(
                f"{str(one)[:80]!a} is no {kind.__name__}", hint=f"write pack.entities.{kind.__name__}(model_id=...)"
            )
    return list(given or ())


def input_of(dataset: Any, context: str | None, tags: Mapping[str, str] | None) -> DatasetInput:
    """A dataset as the store keeps it; raises `InvalidValue` for anything else."""
    labels = [InputTag(key, value) for key, value in texts(tags, "tags").items()]
    if context is not None:
        labels.append(InputTag(_CONTEXT, str(context)))
    return DatasetInput(record_of(dataset), tuple(labels))


def record_of(dataset: Any) -> Dataset:
    """What the store keeps of a dataset; one that names no source comes from the code that runs now."""
    from pack.data.dataset import Dataset as Described

    if isinstance(dataset, Dataset):
        return dataset
    if not isinstance(dataset, Described):
        raise InvalidValue(
            f"{type(dataset).__name__} is no dataset", hint="make one: pack.data.from_pandas(frame, source=PATH)"
        )
    facts: dict[str, Any] = {**dataset.to_dict()}
    if facts["source_type"] == "code" and not json.loads(facts["source"] or "{}").get("tags"):
        facts["source"] = json.dumps({"tags": context.tags()})
    names = ("name", "digest", "source_type", "source", "schema", "profile")
    return Dataset(**{name: facts[name] for name in names})
