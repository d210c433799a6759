"""What the tracking store holds, under MLflow's attribute names; times are milliseconds since 1970."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

# What a logged model's status message says where its process was gone before it was done.
ENDED = "the process that wrote it ended"


class ViewType(IntEnum):
    """Which of the things found a search answers: active ones, deleted ones, or both."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3


class RunStatus(IntEnum):
    """The status of a run, by MLflow's numbers; stores and entities use the names."""

    RUNNING = 1
    SCHEDULED = 2
    FINISHED = 3
    FAILED = 4
    KILLED = 5

    @staticmethod
    def to_string(status: int) -> str:
        """The name of a status."""
        return RunStatus(status).name

    @staticmethod
    def from_string(name: str) -> RunStatus:
        """The status of a name."""
        return RunStatus[name]

    @staticmethod
    def is_terminated(status: int | str) -> bool:
        """Whether a run of this status has ended."""
        name = status if isinstance(status, str) else RunStatus(status).name
        return name in {"FINISHED", "FAILED", "KILLED"}


class Metric(NamedTuple):
    """One point of a metric; `model_id` and the dataset say what it was measured on.

    A named tuple, because a history has many: a hundred thousand are made in a tenth of the time of dataclasses.
    """

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class Param:
    """A param: it is set once."""

    key: str
    value: str


@dataclass(frozen=True)
class RunTag:
    """A tag: it can be set again."""

    key: str
    value: str


@dataclass(frozen=True)
class RunInfo:
    """What a run is: ids, status (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED), times, and where its files lie."""

    run_id: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None
    lifecycle_stage: str
    artifact_uri: str
    run_name: str

    @property
    def run_uuid(self) -> str:
        """The run's id, under its older name."""
        return self.run_id


@dataclass(frozen=True)
class RunData:
    """What a run recorded: the latest value of each metric, params and tags."""

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InputTag:
    """A tag of an input: `mlflow.data.context` says what the data was for."""

    key: str
    value: str


@dataclass(frozen=True)
class Dataset:
    """What is known of data: its name, digest, where it came from, schema and size; the last four are JSON texts."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class DatasetInput:
    """Data that a run used."""

    dataset: Dataset
    tags: tuple[InputTag, ...] = ()


@dataclass(frozen=True)
class LoggedModelInput:
    """A model that a run used."""

    model_id: str


@dataclass(frozen=True)
class LoggedModelOutput:
    """A model that a run made, and at which step."""

    model_id: str
    step: int = 0


@dataclass(frozen=True)
class RunInputs:
    """What a run used."""

    dataset_inputs: list[DatasetInput] = field(default_factory=list)
    model_inputs: list[LoggedModelInput] = field(default_factory=list)


@dataclass(frozen=True)
class RunOutputs:
    """What a run made."""

    model_outputs: list[LoggedModelOutput] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """A run: what it is, what it recorded, what it used and made."""

    info: RunInfo
    data: RunData
    inputs: RunInputs = field(default_factory=RunInputs)
    outputs: RunOutputs = field(default_factory=RunOutputs)

    def to_dictionary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "info": asdict(self.info),
            "data": asdict(self.data),
            "inputs": asdict(self.inputs),
            "outputs": asdict(self.outputs),
        }


@dataclass(frozen=True)
class Experiment:
    """A group of runs, under one name."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    tags: dict[str, str] = field(default_factory=dict)
    creation_time: int | None = None
    last_update_time: int | None = None


@dataclass(frozen=True)
class LoggedModel:
    """A model that was logged: its id (`m-` and 32 hexadecimal digits), status, and where its directory lies."""

    experiment_id: str
    model_id: str
    name: str
    artifact_location: str
    creation_timestamp: int
    last_updated_timestamp: int
    model_type: str | None = None
    source_run_id: str | None = None
    status: str = "READY"
    status_message: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    step: int = 0
    metrics: list[Metric] = field(default_factory=list)
    lifecycle_stage: str = "active"

    @property
    def model_uri(self) -> str:
        """The URI that loads it."""
        return f"models:/{self.model_id}"


@dataclass(frozen=True)
class Taken:
    """What an import took in: whether the run or model was new, and how many points, params and tags were."""

    new: bool
    points: int = 0
    params: int = 0
    tags: int = 0


@dataclass(frozen=True)
class Trashed:
    """Something deleted: a `run`, `logged model` or `experiment`, when, and its own folder (empty for none)."""

    kind: str
    id: str
    name: str
    deleted_time: int
    location: str
