"""What is cut off in the middle: operations that people wait for, and what each of them must leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pack
from pack.db import Database, default_place
from pack.db.check import check
from pack.fluent import state, trash
from pack.mlmodel import digests
from pack.tracking import Metric, Param, RunTag, ViewType
from tests import models

NAMES = [f"k{number}" for number in range(20)]
OPTIONS: dict[str, Any] = {"pip_requirements": ["scikit-learn"]}
_OLD: dict[str, Any] = {"metrics": {"old": 0.5, "older": float("inf")}, "params": {"depth": "3"}}


@lru_cache(maxsize=1)
def classifier() -> Any:
    """The model that is logged."""
    return models.classifier()


@lru_cache(maxsize=1)
def rows() -> Any:
    """The example that it is logged with."""
    return models.iris()[0][:3]


def settle() -> None:
    """Make the store that every operation starts from, in this folder."""
    pack.set_experiment("base")
    with pack.start_run(run_name="old") as old:
        pack.log_metrics(_OLD["metrics"])
        pack.log_params(_OLD["params"])
        pack.log_text("old text", "notes/old.txt")
        info = pack.log_model(classifier(), "model", input_example=rows(), **OPTIONS)
    for _ in range(2):
        pack.register_model(info.model_uri, "churn")
    pack.set_alias("churn", "champion", 1, reason="first")
    pack.set_alias("churn", "challenger", 2)
    with pack.start_run(run_name="trashed") as trashed:
        pack.log_metric("gone", 1.0)
        pack.log_text("gone", "gone.txt")
        pack.log_model(classifier(), "gone", **OPTIONS)
    pack.delete_run(trashed.info.run_id)
    state.tracking().delete_logged_model(str(pack.last_logged_model().model_id))  # type: ignore[union-attr]
    ids = {"run": old.info.run_id, "model": info.model_uri, "trashed": trashed.info.run_id}
    Path("ids.json").write_text(json.dumps(ids), encoding="utf-8")
    state.tracking().close()
    state.registry().close()


@lru_cache(maxsize=1)
def ids() -> dict[str, str]:
    """What `settle` made."""
    found: dict[str, str] = json.loads(Path("ids.json").read_text(encoding="utf-8"))
    return found


def assert_intact() -> None:
    """What was there before an operation is there, as it was; and the database is sound."""
    health = check(default_place())
    assert health.sound, health.problems
    known = ids()
    run = pack.get_run(known["run"])
    assert run.data.metrics.items() >= _OLD["metrics"].items()
    assert run.data.params.items() >= _OLD["params"].items()
    assert (Path(run.info.artifact_uri) / "notes" / "old.txt").read_text(encoding="utf-8") == "old text"
    assert [move.to_version for move in pack.alias_history("churn", "champion")][:1] == [1]
    assert state.registry().get_model_version("churn", 1).run_id == known["run"]
    assert_verified(known["model"])


def assert_verified(model_uri: str) -> None:
    """Every byte of a model is the one that was written."""
    report = digests.check(Path(pack.artifacts.local_path(model_uri)))
    report.raise_if_damaged()
    assert report.sealed


@dataclass(frozen=True)
class Operation:
    """One operation, how often it is found done, and what runs before, so that nothing of it is new.

    `most` is how often it may be found where it was repeated because the last flush had failed.
    """

    act: Callable[[], Any]
    done: Callable[[], int]
    warm: Callable[[], Any] = lambda: None
    most: int = 1


def _log_batch() -> None:
    metrics = [Metric(name, float(place), place, place) for place, name in enumerate(NAMES)]
    params = [Param(name, name) for name in NAMES]
    state.tracking().log_batch(ids()["run"], metrics=metrics, params=params, tags=[RunTag(name, "x") for name in NAMES])


def _batches() -> int:
    data = state.tracking().get_run(ids()["run"]).data
    found = {len(facts.keys() & set(NAMES)) for facts in (data.metrics, data.params, data.tags)}
    assert found <= {0, len(NAMES)}, f"a batch was torn: {found}"
    assert len(found) == 1, f"a batch was torn: {found}"
    return int(found != {0})


def _point() -> None:
    with pack.start_run(run_id=ids()["run"]):
        pack.log_metric("m", 1.5, step=7, timestamp=1)
        pack.log_param("p", 1)


def _points() -> int:
    data = state.tracking().get_run(ids()["run"]).data
    return int(data.metrics.get("m") == 1.5 and data.params.get("p") == "1")


def _log_text() -> None:
    state_of_run = ids()["run"]
    pack.log_text("new" * 1000, "new/deep/text.txt", run_id=state_of_run)


def _texts() -> int:
    path = Path(pack.get_run(ids()["run"]).info.artifact_uri) / "new" / "deep" / "text.txt"
    assert not path.exists() or path.read_text(encoding="utf-8") == "new" * 1000
    return int(path.exists())


def _log_folder() -> None:
    Path("out/in").mkdir(parents=True, exist_ok=True)
    for name in ("a", "in/b"):
        Path("out", name).write_text(name * 3000, encoding="utf-8")


def _log_artifacts() -> None:
    pack.log_artifacts("out", "copied", run_id=ids()["run"])


def _artifacts() -> int:
    root = Path(pack.get_run(ids()["run"]).info.artifact_uri) / "copied"
    files = [root / name for name in ("a", "in/b") if (root / name).exists()]
    assert all(file.read_text(encoding="utf-8") == str(file.relative_to(root)) * 3000 for file in files)
    return len(files) // 2


def _log_table() -> None:
    pack.log_table({"a": [1, 2]}, "table.json", run_id=ids()["run"])


def _tables() -> int:
    path = Path(pack.get_run(ids()["run"]).info.artifact_uri) / "table.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["data"] if path.exists() else []
    assert rows == [[1], [2]] * (len(rows) // 2)
    return len(rows) // 2


def _log_model() -> str:
    return str(pack.log_model(classifier(), "new", input_example=rows(), **OPTIONS).model_uri)


def _models() -> int:
    found = state.tracking().models_of_run(ids()["run"], "new")
    for one in found:
        assert_verified(one.model_uri)
    return len(found)


def _register() -> Any:
    return pack.register_model(ids()["model"], "new").version


def _registered() -> int:
    found = state.registry().search_model_versions(filter_string="name = 'new'", order_by=["version ASC"])
    assert [one.version for one in found] == list(range(1, len(found) + 1))
    for one in found:
        assert_verified(f"models:/new/{one.version}")
    return len(found)


def _set_alias() -> Any:
    return pack.set_alias("churn", "champion", 2, reason="better").to_version


def _aliases() -> int:
    moves = [move.to_version for move in pack.alias_history("churn", "champion")]
    assert pack.get_alias("churn", "champion").version == moves[-1]
    return moves.count(2)


def _delete_alias() -> None:
    pack.delete_alias("churn", "challenger")


def _aliases_deleted() -> int:
    aliases = state.registry().get_registered_model("churn").aliases
    moves = [move.to_version for move in pack.alias_history("churn", "challenger")]
    assert ("challenger" in aliases) == (moves[-1] is not None)
    return int("challenger" not in aliases)


def _delete_run() -> None:
    state.tracking().delete_run(ids()["run"])


def _runs_deleted() -> int:
    return int(pack.get_run(ids()["run"]).info.lifecycle_stage == "deleted")


def _delete_version() -> None:
    state.registry().delete_model_version("churn", 2, force=True)


def _versions_deleted() -> int:
    present = {one.version for one in state.registry().search_model_versions(filter_string="name = 'churn'")}
    aliases = state.registry().get_registered_model("churn").aliases
    assert ("challenger" in aliases) == (2 in present), "a deleted version holds an alias"
    return int(2 not in present)


def _gc() -> int:
    return len(trash.collect(state.tracking(), state.registry(), older_than=-1000))


def _collected() -> int:
    store = state.tracking()
    gone = not store.trash() and not store.doomed()
    if gone:
        assert not list(default_place().artifacts.rglob("gone.txt"))
        assert not [path for path in default_place().artifacts.rglob("MLmodel") if "m-" in str(path)][1:]
    return int(gone)


def _start_and_end() -> str:
    with pack.start_run(run_name="new") as run:
        return run.info.run_id


def _ended() -> int:
    found = state.tracking().search_runs([pack.set_experiment("base").experiment_id], filter_string="run_name = 'new'")
    return sum(run.info.status == "FINISHED" for run in found)


def _first_use() -> str:
    return pack.create_experiment("first")


def _first_uses() -> int:
    names = [one.name for one in state.tracking().search_experiments(view_type=ViewType.ALL)]
    assert set(names) <= {"Default", "first"}
    return names.count("first")


def _close() -> None:
    """Record, and close the last connection: what the log holds goes into the database."""
    _log_batch()
    state.tracking().close()


def _warm_checkpoint() -> None:
    """From now on every commit moves what the log holds into the database, which else happens every 10,000 pages."""
    _warm_run()
    database: Database = state.tracking().close.__self__  # type: ignore[attr-defined]
    database.handle().open().execute("PRAGMA wal_autocheckpoint=1")


def _warm_model() -> None:
    _warm_run()
    pack.start_run(run_id=ids()["run"])
    pack.log_model(classifier(), "warm", input_example=rows(), **OPTIONS)


def _warm_run() -> None:
    pack.set_experiment("base")
    state.tracking().log_batch(ids()["run"], tags=[RunTag("warm", "x")])
    pack.log_text("warm", "warm/text.txt", run_id=ids()["run"])
    pack.alias_history("churn")
    state.registry().set_registered_model_tag("churn", "warm", "x")


def _warm_register() -> None:
    _warm_run()
    pack.register_model(ids()["model"], "warm")


def _warm_folder() -> None:
    _warm_run()
    _log_folder()


def _warm_table() -> None:
    _warm_run()
    pack.log_table({"a": [1]}, "warm.json", run_id=ids()["run"])


OPERATIONS = {
    "log_batch": Operation(_log_batch, _batches, _warm_run),
    "log_batch with a checkpoint": Operation(_log_batch, _batches, _warm_checkpoint),
    "log_metric": Operation(_point, _points, _warm_run),
    "log_text": Operation(_log_text, _texts, _warm_run),
    "log_artifacts": Operation(_log_artifacts, _artifacts, _warm_folder),
    "log_table": Operation(_log_table, _tables, _warm_table, most=2),
    "log_model": Operation(_log_model, _models, _warm_model),
    "register_model": Operation(_register, _registered, _warm_register),
    "set_alias": Operation(_set_alias, _aliases, _warm_run),
    "delete_alias": Operation(_delete_alias, _aliases_deleted, _warm_run),
    "delete_run": Operation(_delete_run, _runs_deleted, _warm_run),
    "delete_version": Operation(_delete_version, _versions_deleted, _warm_run),
    "start and end a run": Operation(_start_and_end, _ended, _warm_run),
    "gc": Operation(_gc, _collected, _warm_run),
    "close": Operation(_close, _batches, _warm_run),
    "first use": Operation(_first_use, _first_uses),
}
