"""What the verbs remember: the store in use, the experiment, and the runs that are open in this thread."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pack import settings

if TYPE_CHECKING:
    from pack.registry import RegistryStore
    from pack.tracking import Run, TrackingStore


class _State(threading.local):
    """Each thread has its own open runs; the rest is shared below."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.last: str | None = None


_thread = _State()
_lock = threading.RLock()
_tracking_uri: str | None = None
_registry_uri: str | None = None
_experiment_id: str | None = None
_trackings: dict[str, TrackingStore] = {}
_registries: dict[str, RegistryStore] = {}
# The runs that this process started and has not ended, by the process that started them.
_open: dict[str, tuple[int, TrackingStore]] = {}


def set_tracking_uri(uri: str | Path | None) -> None:
    """Choose where runs are recorded: `sqlite:///PATH.db`, or None for the local store in `.pack/`.

    Raises `InvalidUri` for a store that is not supported.

    >>> set_tracking_uri("sqlite:///runs.db")  # doctest: +SKIP
    """
    global _tracking_uri, _experiment_id
    from pack.db import place_of

    text = str(uri) if uri else None
    place_of(text)
    with _lock:
        _tracking_uri, _experiment_id = text, None


def get_tracking_uri() -> str:
    """Where runs are recorded now, as a URI.

    >>> get_tracking_uri()  # doctest: +SKIP
    'sqlite:////home/ada/churn/.pack/pack.db'
    """
    from pack.db import place_of

    return place_of(_tracking_uri or settings.tracking_uri()).uri


def set_registry_uri(uri: str | Path | None) -> None:
    """Choose where models are registered; None is where runs are recorded.

    >>> set_registry_uri("sqlite:///models.db")  # doctest: +SKIP
    """
    global _registry_uri
    from pack.db import place_of

    text = str(uri) if uri else None
    place_of(text)
    _registry_uri = text


def get_registry_uri() -> str:
    """Where models are registered now, as a URI.

    >>> get_registry_uri()  # doctest: +SKIP
    """
    from pack.db import place_of

    return place_of(_registry_uri or settings.registry_uri() or _tracking_uri or settings.tracking_uri()).uri


def tracking() -> TrackingStore:
    """The tracking store in use."""
    uri = get_tracking_uri()
    with _lock:
        if uri not in _trackings:
            from pack.tracking import open_tracking

            _trackings[uri] = open_tracking(uri if not _is_default(uri) else None)
        return _trackings[uri]


def registry() -> RegistryStore:
    """The registry in use."""
    uri = get_registry_uri()
    with _lock:
        if uri not in _registries:
            from pack.registry import open_registry

            _registries[uri] = open_registry(uri if not _is_default(uri) else None)
        return _registries[uri]


def _is_default(uri: str) -> bool:
    """Whether a URI is the one of the local store, whose artifacts lie beside it."""
    from pack.db import default_place

    return uri == default_place().uri


def experiment_id() -> str:
    """The experiment of new runs: chosen by `set_experiment`, else by the environment, else the default one."""
    if _experiment_id is not None:
        return _experiment_id
    name = settings.experiment_name()
    if name is not None:
        found = tracking().get_experiment_by_name(name)
        return found.experiment_id if found else tracking().create_experiment(name)
    given = settings.experiment_id()
    return tracking().get_experiment(given).experiment_id if given else "0"


def use_experiment(experiment: str) -> None:
    """Remember the experiment of new runs."""
    global _experiment_id
    _experiment_id = experiment


def open_runs() -> list[Run]:
    """The runs that are open in this thread, the innermost last."""
    return _thread.runs


def last_run_id() -> str | None:
    """The run that was active last in this thread."""
    return _thread.last


def push(run: Run) -> None:
    """Open a run in this thread."""
    _thread.runs.append(run)
    _thread.last = run.info.run_id
    _open[run.info.run_id] = (os.getpid(), tracking())


def pop() -> Run | None:
    """Close the innermost run of this thread."""
    if not _thread.runs:
        return None
    run = _thread.runs.pop()
    _open.pop(run.info.run_id, None)
    return run


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@atexit.register
def _close_open_runs() -> None:
    """A run that is open when Python ends has finished, or failed if an exception ended it."""
    failed = hasattr(sys, "last_exc") or hasattr(sys, "last_value")
    for run_id, (pid, store) in list(_open.items()):
        if pid == os.getpid():
            store.update_run(run_id, status="FAILED" if failed else "FINISHED", end_time=now())
