"""The MLmodel file: what a model directory says about itself.

Keys and their forms are MLflow's (interoperability facts, model directory, section 2), read from its first version on;
our own facts stand under the key `pack`, which MLflow keeps and ignores.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pack import yamls
from pack.errors import InvalidValue, NotFound, StorageFailed
from pack.mlmodel.signature import ModelSignature

if TYPE_CHECKING:
    from pack.mlmodel.params import ParamSchema
    from pack.mlmodel.schema import Schema

MLMODEL = "MLmodel"
# The MLflow whose format we write; its readers compare this with their own version.
MLFLOW_FORMAT = "3.17.2"
_ALWAYS = {"flavors", "model_id", "prompts"}
_TEXTS = {"artifact_path", "run_id", "utc_time_created", "model_uuid", "mlflow_version", "model_id"}


def _now() -> str:
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


@dataclass(frozen=True)
class Model:
    """An MLmodel file, field by field; `extra` keeps the top-level keys that are not known here."""

    artifact_path: str | None = None
    run_id: str | None = None
    utc_time_created: str = field(default_factory=_now)
    flavors: dict[str, dict[str, Any]] = field(default_factory=dict)
    model_uuid: str | None = field(default_factory=lambda: uuid.uuid4().hex)
    mlflow_version: str | None = MLFLOW_FORMAT
    model_id: str | None = None
    prompts: list[str] | None = None
    signature: ModelSignature | None = None
    is_signature_from_type_hint: bool = False
    type_hint_from_example: bool = False
    saved_input_example_info: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    model_size_bytes: int | None = None
    resources: dict[str, Any] | None = None
    auth_policy: dict[str, Any] | None = None
    env_vars: list[str] | None = None
    pack: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Read the MLmodel file of a directory, or the file itself; raises `NotFound` where there is none."""
        place = Path(path)
        place = place / MLMODEL if place.is_dir() else place
        try:
            return cls.parse(place.read_bytes())
        except FileNotFoundError as error:
            raise NotFound("there is no MLmodel file there", hint="give the directory that holds it") from error
        except OSError as error:
            raise StorageFailed(f"the MLmodel file cannot be read: {error.strerror}") from error

    @classmethod
    def parse(cls, data: bytes | str) -> Model:
        """Read the text of an MLmodel file; raises `InvalidValue` for anything else."""
        found = yamls.load(data, "the MLmodel file")
        if not isinstance(found, dict):
            raise InvalidValue("the MLmodel file is not a mapping", hint="it starts with keys such as `flavors:`")
        return cls.from_dict(found)

    @classmethod
    def from_dict(cls, model_dict: Mapping[str, Any]) -> Model:
        """The model that these keys describe; missing keys stay empty, unknown ones are kept in `extra`."""
        known = {item.name for item in fields(cls)} - {"extra"}
        given = {key: value for key, value in model_dict.items() if key in known}
        given |= {name: _text(name, given[name]) for name in _TEXTS & given.keys()}
        given["flavors"] = _flavors(given.get("flavors"))
        if given.get("signature") is not None:
            given["signature"] = ModelSignature.from_dict(given["signature"])
        for name in ("model_uuid", "mlflow_version"):
            given.setdefault(name, None)
        return cls(**given, extra={str(key): value for key, value in model_dict.items() if key not in known})

    def to_dict(self) -> dict[str, Any]:
        """The keys of the file: those that hold something, and those that MLflow always writes."""
        found = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "extra"}
        found["signature"] = self.signature.to_dict() if self.signature else None
        kept = {key: value for key, value in found.items() if value is not None or key in _ALWAYS}
        if self.signature is None:
            kept = {key: value for key, value in kept.items() if "type_hint" not in key}
        return {**self.extra, **kept}

    def to_yaml(self) -> str:
        """The text of the file."""
        return yamls.dump(self.to_dict())

    def replace(self, **changes: Any) -> Model:
        """The same model with some fields changed."""
        return replace(self, **changes)

    def get_input_schema(self) -> Schema | None:
        """The schema of the inputs, if the model has a signature."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> Schema | None:
        """The schema of the outputs, if the model has a signature."""
        return self.signature.outputs if self.signature else None

    def get_params_schema(self) -> ParamSchema | None:
        """The schema of the params, if the model has a signature."""
        return self.signature.params if self.signature else None

    def flavor(self, name: str) -> dict[str, Any]:
        """The block of one flavor; raises `NotFound` naming the flavors that are there."""
        if name not in self.flavors:
            there = ", ".join(sorted(self.flavors)) or "none"
            raise NotFound(f"the model has no {name!r} flavor", hint=f"its flavors: {there}")
        return self.flavors[name]


@dataclass(frozen=True)
class ModelInfo:
    """What logging or saving a model answers, under MLflow's names."""

    model_uri: str
    model: Model
    name: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    creation_timestamp: int | None = None
    registered_model_version: int | None = None

    def __getattr__(self, name: str) -> Any:
        """The fields of the model itself: `flavors`, `signature`, `run_id`, `model_id`, `metadata`, ..."""
        if name.startswith("_") or name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (int, float)):
        return str(value)
    raise InvalidValue(f"{name!r} in the MLmodel file must be text, not {type(value).__name__}")


def _flavors(found: Any) -> dict[str, dict[str, Any]]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(block, (dict, type(None))) for block in found.values()):
        raise InvalidValue("`flavors` in the MLmodel file must map each flavor's name to its block")
    return {str(name): dict(block or {}) for name, block in found.items()}
