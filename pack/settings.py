"""Every `PACK_*` variable, read when it is asked for; MLflow's name is honoured where one exists.

`settings.tracking_uri()` reads the environment at each call and remembers nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pack.errors import InvalidValue, StorageFailed

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One variable: its name, how its text is read, what holds without it, and MLflow's name as a fallback."""

    name: str
    read: Callable[[str], T]
    default: T
    says: str
    fallback: str | None = None

    def __call__(self) -> T:
        """The value in force now; raises `InvalidValue` for text that cannot be read."""
        for name in (self.name, self.fallback):
            text = os.environ.get(name) if name else None
            if name and text not in (None, ""):
                return self._value(name, str(text))
        return self.default

    def is_set(self) -> bool:
        """Whether the environment sets this variable under either name."""
        return any(os.environ.get(name) for name in (self.name, self.fallback) if name)

    def _value(self, name: str, text: str) -> T:
        try:
            return self.read(text)
        except ValueError as error:
            raise InvalidValue(
                f"{name} is set to {text!r}: {error}", hint=f"{self.says}; unset it for the default, {self.default!r}"
            ) from error


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in {"true", "false", "1", "0", "yes", "no"}:
        raise ValueError("expected true or false")
    return word in {"true", "1", "yes"}


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("expected a number from 0 up")
    return number


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("expected a number from 1 up")
    return number


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _digests(text: str) -> frozenset[str]:
    import re

    found = frozenset(word.removeprefix("sha256:").lower() for word in _words(text))
    if not all(re.fullmatch("[0-9a-f]{64}", one) for one in found):
        raise ValueError("expected digests of 64 hexadecimal digits, as pack verify prints them")
    return found


def _files(text: str) -> tuple[Path, ...]:
    return tuple(Path(part).expanduser() for part in text.split(os.pathsep) if part.strip())


def _identities(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.strip().rpartition("=") for part in text.split(",") if part.strip()]
    if not all(identity.strip() and issuer.strip() for identity, _, issuer in pairs):
        raise ValueError("expected IDENTITY=ISSUER, with commas between several")
    return tuple((identity.strip(), issuer.strip()) for identity, _, issuer in pairs)


def _size(text: str) -> int:
    import re

    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(?:([kmgt]?)(i?)b?)", text.strip().lower())
    if match is None:
        raise ValueError("expected a size such as 500MB or 10GiB")
    number, unit, binary = match.groups()
    return round(float(number) * float((1024 if binary else 1000) ** " kmgt".index(unit or " ")))


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("expected a number of seconds above 0")
    return number


def _json_object(text: str) -> dict[str, Any]:
    import json

    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return read


tracking_uri = Setting[str | None]("PACK_TRACKING_URI", str, None, "where runs are recorded", "MLFLOW_TRACKING_URI")
registry_uri = Setting[str | None]("PACK_REGISTRY_URI", str, None, "where models are registered", "MLFLOW_REGISTRY_URI")
experiment_name = Setting[str | None](
    "PACK_EXPERIMENT_NAME", str, None, "the experiment of new runs, by name", "MLFLOW_EXPERIMENT_NAME"
)
experiment_id = Setting[str | None](
    "PACK_EXPERIMENT_ID", str, None, "the experiment of new runs, by id", "MLFLOW_EXPERIMENT_ID"
)
run_id = Setting[str | None]("PACK_RUN_ID", str, None, "the run that the next start_run resumes", "MLFLOW_RUN_ID")
run_context = Setting[dict[str, Any]](
    "PACK_RUN_CONTEXT", _json_object, {}, "a JSON object of tags for new runs", "MLFLOW_RUN_CONTEXT"
)
active_model_id = Setting[str | None](
    "PACK_ACTIVE_MODEL_ID", str, None, "the logged model that metrics are linked with", "MLFLOW_ACTIVE_MODEL_ID"
)
system_metrics = Setting[bool](
    "PACK_SYSTEM_METRICS",
    _flag,
    False,
    "whether new runs record the load of their machine",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING",
)
system_metrics_interval = Setting[float](
    "PACK_SYSTEM_METRICS_INTERVAL",
    _seconds,
    10.0,
    "seconds between two samples of a machine's load",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL",
)
system_metrics_samples = Setting[int](
    "PACK_SYSTEM_METRICS_SAMPLES",
    _count,
    1,
    "how many samples one point of a machine's load is the mean of",
    "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING",
)
system_metrics_node = Setting[str | None](
    "PACK_SYSTEM_METRICS_NODE",
    str,
    None,
    "the machine's name in the names of its load",
    "MLFLOW_SYSTEM_METRICS_NODE_ID",
)
trash_days = Setting[int]("PACK_TRASH_DAYS", _count, 30, "days that deleted things rest in the trash before gc")
trust = Setting[str](
    "PACK_TRUST", _one_of("default", "safe", "signed", "all"), "default", "which models may run their code"
)
trust_digests = Setting[frozenset[str]](
    "PACK_TRUST_DIGESTS", _digests, frozenset(), "digests (SHA-256) of models that may run their code, by default"
)
trust_keys = Setting[tuple[Path, ...]](
    "PACK_TRUST_KEYS", _files, (), "files of public keys whose signatures let a model run its code"
)
trust_certificates = Setting[tuple[Path, ...]](
    "PACK_TRUST_CERTIFICATES", _files, (), "files of certificate authorities that name who may sign models"
)
trust_identities = Setting[tuple[tuple[str, str], ...]](
    "PACK_TRUST_IDENTITIES", _identities, (), "who may sign models keyless, as IDENTITY=ISSUER"
)
trust_sigstore = Setting[Path | None](
    "PACK_TRUST_SIGSTORE", Path, None, "a Sigstore trust configuration, for another instance or without a network"
)
signing_password = Setting[str | None](
    "PACK_SIGNING_PASSWORD", str, None, "the password of the private key that pack sign signs with"
)
state_dir = Setting[Path | None]("PACK_STATE_DIR", Path, None, "where this user's trust records are kept")
model_config = Setting[dict[str, Any]](
    "PACK_MODEL_CONFIG", _json_object, {}, "a JSON object laid over a model's config", "MLFLOW_PYFUNC_INFERENCE_CONFIG"
)
prediction_device = Setting[str | None](
    "PACK_PREDICTION_DEVICE", str, None, "the device that models predict on", "MLFLOW_DEFAULT_PREDICTION_DEVICE"
)
serve_host = Setting[str]("PACK_HOST", str, "127.0.0.1", "the address that pack serve binds", "MLFLOW_HOST")
serve_port = Setting[int]("PACK_PORT", _count, 8080, "the port that pack serve binds", "MLFLOW_PORT")
serve_timeout = Setting[float](
    "PACK_SERVE_TIMEOUT",
    _seconds,
    60.0,
    "seconds that one scoring request may take",
    "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT",
)
serve_max_body = Setting[int](
    "PACK_SERVE_MAX_BODY", _count, 100 * 1024 * 1024, "bytes that the body of a scoring request may have"
)
serve_max_waiting_bytes = Setting[int](
    "PACK_SERVE_MAX_WAITING_BYTES",
    _size,
    512 * 1024 * 1024,
    "how large the bodies of all scoring requests in one process may be together",
)
serve_workers = Setting[int](
    "PACK_SERVE_WORKERS", _number, 1, "how many processes serve on one socket", "MLFLOW_MODELS_WORKERS"
)
serve_keys = Setting[tuple[str, ...]](
    "PACK_SERVE_KEYS", _words, (), "the keys that callers of a server may show, with spaces or commas between them"
)
serve_hosts = Setting[tuple[str, ...]](
    "PACK_ALLOWED_HOSTS", _words, (), "further names that a server answers for, with spaces or commas between them"
)
model_name = Setting[str | None]("PACK_MODEL_NAME", str, None, "the name under which a container serves its model")
model_uri = Setting[str | None]("PACK_MODEL_URI", str, None, "the model that a container serves, where it is another")
predict_route = Setting[str | None](
    "PACK_PREDICT_ROUTE", str, None, "a further path that a server scores at", "AIP_PREDICT_ROUTE"
)
health_route = Setting[str | None](
    "PACK_HEALTH_ROUTE", str, None, "a further path that a server tells its health at", "AIP_HEALTH_ROUTE"
)
serve_drain = Setting[int](
    "PACK_SERVE_DRAIN", _number, 30, "seconds that requests in flight have when a server is to stop"
)
log_format = Setting[str]("PACK_LOG_FORMAT", _one_of("text", "json"), "text", "how a server writes its log")
access_log = Setting[bool]("PACK_ACCESS_LOG", _flag, False, "write a line of JSON for each request")
detect_lock = Setting[bool](
    "PACK_DETECT_LOCK",
    _flag,
    True,
    "whether a project's uv.lock or pylock.toml gives a model's requirements",
    "MLFLOW_UV_AUTO_DETECT",
)
truncate_long_values = Setting[bool](
    "PACK_TRUNCATE_LONG_VALUES",
    _flag,
    True,
    "whether long params and tags are cut rather than refused",
    "MLFLOW_TRUNCATE_LONG_VALUES",
)
cache_dir = Setting[Path | None]("PACK_CACHE_DIR", Path, None, "where downloads are kept")
cache_limit = Setting[int]("PACK_CACHE_LIMIT", _size, 10 * 1024**3, "how large the downloads that are kept may grow")
download_limit = Setting[int]("PACK_DOWNLOAD_LIMIT", _size, 100 * 1024**3, "how large one downloaded file may be")
progress = Setting[bool](
    "PACK_PROGRESS",
    _flag,
    True,
    "whether downloads draw a bar on a terminal",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR",
)
http_timeout = Setting[float](
    "PACK_HTTP_TIMEOUT", _seconds, 60.0, "seconds that a server may be silent", "MLFLOW_HTTP_REQUEST_TIMEOUT"
)
http_retries = Setting[int](
    "PACK_HTTP_RETRIES",
    _count,
    6,
    "how often a request is tried again where the server may answer later",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
)
tracking_username = Setting[str | None](
    "PACK_TRACKING_USERNAME", str, None, "who signs in to the tracking server", "MLFLOW_TRACKING_USERNAME"
)
tracking_password = Setting[str | None](
    "PACK_TRACKING_PASSWORD", str, None, "the password that goes with it", "MLFLOW_TRACKING_PASSWORD"
)
tracking_token = Setting[str | None](
    "PACK_TRACKING_TOKEN", str, None, "a token for the tracking server, in place of the two", "MLFLOW_TRACKING_TOKEN"
)


def cache_folder() -> Path:
    """Where what can be had again is kept: `PACK_CACHE_DIR`, or this user's cache folder."""
    given = cache_dir()
    if given is not None:
        return given.expanduser().absolute()
    from platformdirs import user_cache_path

    found = user_cache_path("pack-models")
    if not found.is_absolute():
        raise StorageFailed(
            "this user has no home folder to keep downloads in", hint="PACK_CACHE_DIR names another folder for them"
        )
    return found


def all_settings() -> list[Setting[Any]]:
    """Every setting of this file, in the order in which it stands here."""
    return [value for value in globals().values() if isinstance(value, Setting)]
