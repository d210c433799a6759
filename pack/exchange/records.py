"""Experiments, runs and models as the fields of a JSON file, and back. The fields are those of the entities.

What is a place on one disk (artifact and storage locations) is left out: files lie beside their record.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pack.exchange.layout import number_text
from pack.exchange.points import of_model
from pack.exchange.source import Home
from pack.exchange.values import listed, mapping, optional_text, optional_whole, real, text, texts, whole
from pack.registry import AliasMove, ModelVersion, RegisteredModel
from pack.tracking import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
)
from pack.uris import relative_path

Fields = dict[str, Any]
_POINT = ("key", "step", "timestamp", "run_id", "dataset_name", "dataset_digest")
_DATASET = ("name", "digest", "source_type", "source", "schema", "profile")


def experiment_fields(given: Experiment) -> Fields:
    """An experiment as fields."""
    return _without(asdict(given), "artifact_location")


def experiment_of(fields: Fields) -> Experiment:
    """An experiment from its fields."""
    return Experiment(
        experiment_id=text(fields.get("experiment_id"), "experiment_id"),
        name=text(fields.get("name"), "name"),
        artifact_location="",
        lifecycle_stage=text(fields.get("lifecycle_stage"), "lifecycle_stage"),
        tags=texts(fields.get("tags"), "tags"),
        creation_time=optional_whole(fields.get("creation_time"), "creation_time"),
        last_update_time=optional_whole(fields.get("last_update_time"), "last_update_time"),
    )


def run_fields(given: Run) -> Fields:
    """A run as fields; its points lie in a file of their own."""
    return {
        **_without(asdict(given.info), "artifact_uri", "experiment_id"),
        "params": given.data.params,
        "tags": given.data.tags,
        "datasets": [_dataset_fields(one) for one in given.inputs.dataset_inputs],
        "input_models": sorted(one.model_id for one in given.inputs.model_inputs),
        "output_models": [asdict(one) for one in sorted(given.outputs.model_outputs, key=lambda one: one.model_id)],
    }


def run_of(fields: Fields, *, experiment: str) -> Run:
    """A run from its fields."""
    info = RunInfo(
        run_id=text(fields.get("run_id"), "run_id"),
        experiment_id=experiment,
        user_id=text(fields.get("user_id"), "user_id"),
        status=text(fields.get("status"), "status"),
        start_time=whole(fields.get("start_time"), "start_time"),
        end_time=optional_whole(fields.get("end_time"), "end_time"),
        lifecycle_stage=text(fields.get("lifecycle_stage"), "lifecycle_stage"),
        artifact_uri="",
        run_name=text(fields.get("run_name"), "run_name"),
    )
    data = RunData({}, texts(fields.get("params"), "params"), texts(fields.get("tags"), "tags"))
    datasets = [_dataset_of(mapping(one, "a dataset")) for one in listed(fields.get("datasets"), "datasets")]
    used = [LoggedModelInput(text(one, "a model")) for one in listed(fields.get("input_models"), "input_models")]
    made = [_output_of(mapping(one, "a model")) for one in listed(fields.get("output_models"), "output_models")]
    return Run(info, data, RunInputs(datasets, used), RunOutputs(made))


def logged_fields(given: LoggedModel) -> Fields:
    """A logged model as fields."""
    fields = _without(asdict(given), "artifact_location", "experiment_id")
    return {**fields, "metrics": [_point_fields(one) for one in sorted(given.metrics, key=of_model)]}


def logged_of(fields: Fields, *, experiment: str) -> LoggedModel:
    """A logged model from its fields."""
    model_id = text(fields.get("model_id"), "model_id")
    points = [mapping(one, "a metric") for one in listed(fields.get("metrics"), "metrics")]
    return LoggedModel(
        experiment_id=experiment,
        model_id=model_id,
        name=text(fields.get("name"), "name"),
        artifact_location="",
        creation_timestamp=whole(fields.get("creation_timestamp"), "creation_timestamp"),
        last_updated_timestamp=whole(fields.get("last_updated_timestamp"), "last_updated_timestamp"),
        model_type=optional_text(fields.get("model_type"), "model_type"),
        source_run_id=optional_text(fields.get("source_run_id"), "source_run_id"),
        status=text(fields.get("status"), "status"),
        status_message=optional_text(fields.get("status_message"), "status_message"),
        tags=texts(fields.get("tags"), "tags"),
        params=texts(fields.get("params"), "params"),
        step=whole(fields.get("step", 0), "step"),
        metrics=[_point_of(one, model_id) for one in points],
        lifecycle_stage=text(fields.get("lifecycle_stage"), "lifecycle_stage"),
    )


def registered_fields(given: RegisteredModel, last_version: int, moves: tuple[AliasMove, ...]) -> Fields:
    """A registered model as fields, with its aliases and their history."""
    fields = _without(asdict(given), "latest_versions")
    return {**fields, "last_version": last_version, "moves": [_without(asdict(one), "name") for one in moves]}


def registered_of(fields: Fields) -> tuple[RegisteredModel, int, tuple[AliasMove, ...]]:
    """A registered model, its highest number, and the moves of its aliases."""
    name = text(fields.get("name"), "name")
    aliases = mapping(fields.get("aliases"), "aliases")
    model = RegisteredModel(
        name=name,
        creation_timestamp=whole(fields.get("creation_timestamp"), "creation_timestamp"),
        last_updated_timestamp=whole(fields.get("last_updated_timestamp"), "last_updated_timestamp"),
        description=text(fields.get("description"), "description"),
        tags=texts(fields.get("tags"), "tags"),
        aliases={text(key, "an alias"): whole(value, "a version") for key, value in aliases.items()},
    )
    moves = [_move_of(mapping(one, "a move"), name) for one in listed(fields.get("moves"), "moves")]
    return model, whole(fields.get("last_version", 0), "last_version"), tuple(moves)


def version_fields(given: ModelVersion, home: Home | None) -> Fields:
    """A version as fields, and where its files lie in the folder."""
    place = None
    if home is not None:
        place = {"run_id": home.run_id, "model_id": home.model_id, "path": home.path}
    return {**_without(asdict(given), "storage_location", "aliases"), "home": place}


def version_of(fields: Fields) -> tuple[ModelVersion, Home | None]:
    """A version from its fields; a home with neither a run nor a logged model is the version's own."""
    source = text(fields.get("source"), "source")
    version = ModelVersion(
        name=text(fields.get("name"), "name"),
        version=whole(fields.get("version"), "version"),
        creation_timestamp=whole(fields.get("creation_timestamp"), "creation_timestamp"),
        last_updated_timestamp=whole(fields.get("last_updated_timestamp"), "last_updated_timestamp"),
        description=text(fields.get("description"), "description"),
        user_id=text(fields.get("user_id"), "user_id"),
        current_stage=text(fields.get("current_stage"), "current_stage"),
        source=source,
        storage_location=source,
        run_id=optional_text(fields.get("run_id"), "run_id"),
        run_link=optional_text(fields.get("run_link"), "run_link"),
        model_id=optional_text(fields.get("model_id"), "model_id"),
        digest=optional_text(fields.get("digest"), "digest"),
        status=text(fields.get("status"), "status"),
        status_message=optional_text(fields.get("status_message"), "status_message"),
        tags=texts(fields.get("tags"), "tags"),
    )
    if fields.get("home") is None:
        return version, None
    place = mapping(fields.get("home"), "home")
    path = text(place.get("path"), "path")
    return version, Home(
        run_id=optional_text(place.get("run_id"), "run_id"),
        model_id=optional_text(place.get("model_id"), "model_id"),
        path=relative_path(path) if path else "",
    )


def _dataset_fields(given: DatasetInput) -> Fields:
    return {**asdict(given.dataset), "tags": {tag.key: tag.value for tag in given.tags}}


def _dataset_of(fields: Fields) -> DatasetInput:
    name, digest, kind, source = (text(fields.get(field), f"a dataset's {field}") for field in _DATASET[:4])
    schema, profile = (optional_text(fields.get(field), f"a dataset's {field}") for field in _DATASET[4:])
    tags = texts(fields.get("tags"), "tags")
    return DatasetInput(
        Dataset(name, digest, kind, source, schema, profile), tuple(InputTag(*tag) for tag in tags.items())
    )


def _output_of(fields: Fields) -> LoggedModelOutput:
    return LoggedModelOutput(text(fields.get("model_id"), "model_id"), whole(fields.get("step", 0), "step"))


def _point_fields(given: Metric) -> Fields:
    plain = {name: getattr(given, name) for name in _POINT}
    return {**plain, "value": number_text(given.value)}


def _point_of(fields: Fields, model_id: str) -> Metric:
    return Metric(
        text(fields.get("key"), "key"),
        real(fields.get("value"), "value"),
        whole(fields.get("timestamp"), "timestamp"),
        whole(fields.get("step"), "step"),
        model_id,
        optional_text(fields.get("dataset_name"), "dataset_name"),
        optional_text(fields.get("dataset_digest"), "dataset_digest"),
        optional_text(fields.get("run_id"), "run_id"),
    )


def _move_of(fields: Fields, name: str) -> AliasMove:
    return AliasMove(
        name=name,
        alias=text(fields.get("alias"), "alias"),
        from_version=optional_whole(fields.get("from_version"), "from_version"),
        to_version=optional_whole(fields.get("to_version"), "to_version"),
        user_id=text(fields.get("user_id"), "user_id"),
        timestamp=whole(fields.get("timestamp"), "timestamp"),
        reason=optional_text(fields.get("reason"), "reason"),
    )


def _without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}
