"""What the tracking store accepts: MLflow's limits and rules of names (interoperability facts, REST API, section 3)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pack import settings, uris
from pack.errors import InvalidValue
from pack.tracking.entities import DatasetInput, Metric, Param, RunTag, ViewType

KEY = 250
PARAM = 6000
TAG = 8000
EXPERIMENT = 500
EXPERIMENT_TAG = 20_000
DATASETS = 1000
DATASET = {"name": 500, "digest": 36, "source_type": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
LOCATION = 2048
BATCH = {"metrics": 1000, "params": 100, "tags": 100}
BATCH_TOTAL = 1000
INTEGER = 2**63
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_KEY = re.compile(r"[/\w.\- :]+")


def check_key(key: Any, noun: str) -> str:
    """A metric's, param's or tag's name; raises `InvalidValue` for one that no store takes."""
    if not isinstance(key, str):
        raise InvalidValue(f"the name of a {noun} is text, not {type(key).__name__}", hint="write it in quotes")
    return _checked_key(key, noun)


@lru_cache(maxsize=8192)
def _checked_key(key: str, noun: str) -> str:
    if not _KEY.fullmatch(key) or posixpath.normpath(key) != key or key in {".", ".."}:
        raise InvalidValue(
            f"{str(key)[:100]!a} cannot name a {noun}",
            hint="use letters, digits, _ - . : / and blanks, not starting with / and without ..",
        )
    if key.startswith(("/", "../")):
        raise InvalidValue(f"{key[:100]!a} cannot name a {noun}", hint="a name is a relative path")
    if len(key) > KEY:
        raise InvalidValue(f"the name of a {noun} has {len(key)} characters, {KEY} are allowed")
    return key


def check_text(value: str, limit: int, noun: str) -> str:
    """A value within its limit; a longer one is cut where the settings say so, else `InvalidValue`."""
    if len(value) <= limit:
        return value
    if settings.truncate_long_values():
        return value[:limit]
    raise InvalidValue(f"the value of a {noun} has {len(value):,} characters, {limit:,} are allowed")


def check_point(metric: Metric) -> float:
    """The value of a point, as a float, where its name, step and time fit; raises `InvalidValue` where they do not."""
    check_key(metric.key, "metric")
    value, step, timestamp = metric.value, metric.step, metric.timestamp
    if type(value) is not float:
        try:
            value = float(_only(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidValue(f"metric {metric.key!r} needs a number, not {type(metric.value).__name__}") from error
    if type(step) is not int or not -INTEGER <= step < INTEGER:
        raise InvalidValue(f"metric {metric.key!r}: the step must be a whole number of 64 bits")
    if type(timestamp) is not int or not 0 <= timestamp < INTEGER:
        raise InvalidValue(
            f"metric {metric.key!r}: the timestamp must be milliseconds since 1970, an int that is not negative, "
            f"not {timestamp!a:.80}"
        )
    return value


def _only(value: Any) -> Any:
    """The number in an array of one, as metrics of NumPy and TensorFlow come; anything else as it is."""
    return value.item() if getattr(value, "size", None) == 1 and hasattr(value, "item") else value


def check_step(step: Any) -> int:
    """The step of a model: a whole number of 64 bits."""
    if type(step) is not int or not -INTEGER <= step < INTEGER:
        raise InvalidValue("the step of a model must be a whole number of 64 bits")
    return step


def check_linked(model_id: Any) -> str:
    """The id of a model that a run used or made."""
    if not isinstance(model_id, str) or not 1 <= len(model_id) <= KEY:
        raise InvalidValue(f"{str(model_id)[:64]!a} is no id of a model", hint="give one like m-0123...")
    return model_id


def check_time(milliseconds: Any) -> int:
    """A time: milliseconds since 1970, in 64 bits."""
    if type(milliseconds) is not int or not -INTEGER <= milliseconds < INTEGER:
        raise InvalidValue("a time must be a whole number of milliseconds since 1970, in 64 bits")
    return milliseconds


def check_batch(**given: Sequence[Any]) -> None:
    """How much one batch may hold."""
    for noun, items in given.items():
        if len(items) > BATCH[noun]:
            raise InvalidValue(f"a batch holds {len(items):,} {noun}, {BATCH[noun]:,} are allowed")
    total = sum(map(len, given.values()))
    if total > BATCH_TOTAL:
        raise InvalidValue(f"a batch holds {total:,} entries, {BATCH_TOTAL:,} are allowed")


def check_experiment(name: Any) -> str:
    """The name of an experiment."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidValue("an experiment needs a name", hint="give one like 'churn'")
    if len(name) > EXPERIMENT:
        raise InvalidValue(f"the name of an experiment has {len(name)} characters, {EXPERIMENT} are allowed")
    return name


def check_model(name: Any) -> str:
    """The name of a logged model."""
    if not isinstance(name, str) or not name.strip() or len(name) > KEY or re.search(r"[/:.%\"'\x00-\x1f]", name):
        raise InvalidValue(
            f"{str(name)[:100]!a} cannot name a logged model",
            hint="leave out / : . % quotes and control characters",
        )
    return name


def check_status(status: str) -> str:
    """The status of a run."""
    if status not in STATUSES:
        raise InvalidValue(f"{status!r} is no status of a run", hint=f"use one of {', '.join(STATUSES)}")
    return status


def check_param(param: Param) -> Param:
    """A param whose name and value the store takes."""
    check_key(param.key, "param")
    return Param(param.key, check_text(str(param.value), PARAM, f"param {param.key!r}"))


def check_tag(tag: RunTag) -> RunTag:
    """A tag whose name and value the store takes."""
    check_key(tag.key, "tag")
    return RunTag(tag.key, check_text(str(tag.value), TAG, f"tag {tag.key!r}"))


def check_view(view_type: Any) -> ViewType:
    """Which of active and deleted things are looked at."""
    if view_type in tuple(ViewType):
        return ViewType(view_type)
    raise InvalidValue(f"{str(view_type)[:50]!a} is no view", hint="use ViewType.ACTIVE_ONLY, DELETED_ONLY or ALL")


def experiment_number(text: Any) -> int:
    """An experiment's id as a number; one that is no number names nothing."""
    if re.fullmatch(r"[0-9]{1,18}", str(text)):
        return int(text)
    raise InvalidValue(
        f"{str(text)[:50]!a} is not an experiment id", hint="ids are numbers; names go by set_experiment"
    )


def check_tags(tags: Mapping[str, Any] | None, limit: int, noun: str) -> dict[str, str]:
    """Tags whose names and values fit; a longer value is `InvalidValue`."""
    found = {check_key(key, "tag"): str(value) for key, value in (tags or {}).items()}
    for key, value in found.items():
        if len(value) > limit:
            raise InvalidValue(f"tag {key!r} of {noun} has {len(value):,} characters, {limit:,} are allowed")
    return found


def check_dataset(given: DatasetInput) -> DatasetInput:
    """A dataset and its tags within MLflow's limits."""
    dataset = given.dataset
    for name, limit in DATASET.items():
        value = getattr(dataset, name)
        if value is not None and (not isinstance(value, str) or len(value) > limit):
            raise InvalidValue(f"the {name} of a dataset must be text of at most {limit:,} characters")
    if not dataset.name or not dataset.digest:
        raise InvalidValue("a dataset needs a name and a digest")
    for tag in given.tags:
        if len(str(tag.key)) > 255 or len(str(tag.value)) > 500:
            raise InvalidValue("the tag of an input has at most 255 characters in its name and 500 in its value")
    return given


def check_location(given: str | None) -> str:
    """A folder for an experiment's files, empty for the store's own; raises `InvalidValue` for a URL."""
    if given is None:
        return ""
    if len(given) > LOCATION:
        raise InvalidValue(f"an artifact location may have at most {LOCATION:,} characters")
    found = uris.parse(given)
    if not isinstance(found, uris.PathUri):
        raise InvalidValue(
            f"artifacts cannot be kept at {given[:100]!a} yet", hint="give a folder of this disk, or leave it out"
        )
    return str(found.path.absolute())
