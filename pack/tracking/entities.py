"""What the tracking store holds, under MLflow's attribute names; times are milliseconds since 1970."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One point of a metric."""

    key: str
    value: float
    timestamp: int
    step: int = 0


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
class Run:
    """A run: what it is, and what it recorded."""

    info: RunInfo
    data: RunData
    inputs: Any = None
    outputs: Any = None

    def to_dictionary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"info": asdict(self.info), "data": asdict(self.data)}


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

    @property
    def model_uri(self) -> str:
        """The URI that loads it."""
        return f"models:/{self.model_id}"


@dataclass(frozen=True)
class Page:
    """Some results and the token that the next page starts from; None at the end."""

    items: tuple[Any, ...]
    token: str | None = None
