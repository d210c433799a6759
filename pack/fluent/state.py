"""What the verbs remember: the store in use, the experiment, and the runs that are open in this thread."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pack import settings
from pack.errors import PackError

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
_model_id: str | None = None
_last_run: str | None = None
_last_model: str | None = None
_watching: dict[str, Callable[[], None]] = {}
_trackings: dict[str, TrackingStore] = {}
_found: dict[tuple[str | None, ...], TrackingStore] = {}
_registries: dict[str, RegistryStore] = {}
# The runs that this process started and has not ended, by the process that started them.
_open: dict[str, tuple[int, TrackingStore, int]] = {}


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


def is_tracking_uri_set() -> bool:
    """Whether a store was chosen, by `set_tracking_uri` or by the environment.

    >>> is_tracking_uri_set()  # doctest: +SKIP
    False
    """
    return _tracking_uri is not None or settings.tracking_uri.is_set()


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


def registry_address() -> str | None:
    """The address of the server where models are registered; None where that is a store of this machine."""
    text = _registry_uri or settings.registry_uri() or _tracking_uri or settings.tracking_uri()
    return text if text and text.lower().startswith(("http://", "https://")) else None


def tracking() -> TrackingStore:
    """The tracking store in use."""
    # Asked for by every call that records: what decides is compared, and looked up only when it changed.
    asked = _asked()
    found = _found.get(asked)
    if found is None:
        found = _found[asked] = _opened()
    return found


def store_of(run_id: str) -> TrackingStore:
    """The store that an open run was started in; for any other run the one in use."""
    known = _open.get(run_id)
    return tracking() if known is None else known[1]


def _asked() -> tuple[str | None, ...]:
    """Everything that decides which store is in use."""
    setting, environment = settings.tracking_uri, os.environ
    here = os.getcwd()  # noqa: PTH109 - for every call that records
    return _tracking_uri, environment.get(setting.name), environment.get(str(setting.fallback)), here


def _opened() -> TrackingStore:
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
    """The run that was active last in this thread, else the one of any thread."""
    return _thread.last or _last_run


def push(run: Run) -> None:
    """Open a run in this thread."""
    global _last_run
    _thread.runs.append(run)
    _thread.last = _last_run = run.info.run_id
    _open[run.info.run_id] = (os.getpid(), tracking(), run.info.start_time)


def pop_to(run_id: str) -> list[Run]:
    """Close a run of this thread and those inside it, the innermost first; none where it is not open here."""
    if all(run.info.run_id != run_id for run in _thread.runs):
        return []
    closed: list[Run] = []
    while not closed or closed[-1].info.run_id != run_id:
        closed.append(_thread.runs.pop())
    return closed


def ended(run_id: str) -> None:
    """A run was ended in its store; it is no longer this process's to end."""
    _open.pop(run_id, None)


def watch(run_id: str, stop: Callable[[], None]) -> None:
    """Remember how to stop what watches a run."""
    _watching[run_id] = stop


def stop_watching(run_id: str) -> None:
    """Stop what watches a run, if something does."""
    stop = _watching.pop(run_id, None)
    if stop is not None:
        stop()


def use_model(model_id: str | None) -> None:
    """Remember the model that metrics are linked with."""
    global _model_id
    _model_id = model_id


def active_model_id() -> str | None:
    """The model that metrics are linked with."""
    return _model_id


def logged(model_id: str) -> None:
    """Remember the model that was logged last."""
    global _last_model
    _last_model = model_id


def last_model_id() -> str | None:
    """The model that was logged last in this process."""
    return _last_model


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@atexit.register
def _close_open_runs() -> None:
    """A run that is open when Python ends has finished, or failed if an exception ended it."""
    failed = hasattr(sys, "last_exc") or hasattr(sys, "last_value")
    for run_id, (pid, store, start) in list(_open.items()):
        if pid != os.getpid():
            continue
        stop_watching(run_id)
        try:
            store.update_run(run_id, status="FAILED" if failed else "FINISHED", end_time=max(now(), start))
        except PackError as error:
            # Nobody is left to catch it; the next run that starts finds this one's process gone, and marks it FAILED.
            print(f"pack: the run {run_id} could not be ended: {error.message}", file=sys.stderr)


def _after_fork() -> None:
    """A lock that another thread held when this process was forked would never be let go here."""
    global _lock
    _lock = threading.RLock()
    _watching.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
