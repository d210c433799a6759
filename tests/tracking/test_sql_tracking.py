"""The tracking store in the embedded database."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pack.db import Database, Place, default_place
from pack.errors import InvalidState, InvalidUri, StorageFailed
from pack.tracking import Metric, TrackingStore, open_tracking
from pack.tracking.sql import SqlTracking
from tests.contracts.tracking import TrackingContract

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))


class TestSqlTracking(TrackingContract):
    @pytest.fixture
    def store(self) -> TrackingStore:
        return open_tracking()

    @pytest.fixture
    def reopen(self) -> Callable[[], TrackingStore]:
        return open_tracking


def test_the_store_of_a_folder_above_is_used(own_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_tracking().create_experiment("above")
    (own_world / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(own_world / "deep" / "er")
    assert default_place().database == own_world / ".pack" / "pack.db"
    assert open_tracking().get_experiment_by_name("above") is not None


def test_the_store_is_private(own_world: Path) -> None:
    open_tracking().create_experiment("x")
    assert (own_world / ".pack").stat().st_mode & 0o077 == 0


def test_a_store_can_be_moved_with_its_artifacts(
    own_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_tracking().create_run("0", user_id="", start_time=0, run_name="r")
    assert run.info.artifact_uri.startswith(str(own_world))
    own_world.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert open_tracking().get_run(run.info.run_id).info.artifact_uri.startswith(str(tmp_path / "moved"))


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000",
        "postgresql://x/y",
        "sqlite:///:memory:",
        "sqlite:///",
        "./mlruns",
        "file:///x",
        "databricks",
    ],
)
def test_a_store_that_is_not_supported_says_what_is(uri: str) -> None:
    with pytest.raises(InvalidUri) as error:
        open_tracking(uri)
    assert "sqlite:///PATH.db" in (error.value.hint or "")


def test_every_thread_records(own_world: Path) -> None:
    store = open_tracking()
    run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id

    def record(number: int) -> None:
        for step in range(20):
            store.log_batch(run, metrics=[Metric(f"m{number}", 1.0, step, step)])

    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(store.get_metric_history(run, f"m{number}")) for number in range(8)] == [20] * 8


def _get_or_create(answers: multiprocessing.Queue[str]) -> None:
    from pack.fluent.experiments import set_experiment

    answers.put(set_experiment("shared").experiment_id)


def test_many_processes_that_want_one_experiment_get_the_same(own_world: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    children = [context.Process(target=_get_or_create, args=(answers,)) for _ in range(64 if FULL else 6)]
    for child in children:
        child.start()
    ids = {answers.get(timeout=120) for _ in children}
    for child in children:
        child.join()
    assert len(ids) == 1
    assert [one.name for one in open_tracking().search_experiments()] == ["shared", "Default"]


RECORDING = """
import pack
with pack.start_run() as run:
    for step in range(10**6):
        pack.log_metric("m", step, step=step)
        print(run.info.run_id, step, flush=True)
"""


@pytest.mark.faults
def test_what_was_acknowledged_survives_a_kill_and_the_run_is_marked_failed(own_world: Path) -> None:
    for _ in range(20 if FULL else 3):
        child = subprocess.Popen([sys.executable, "-c", RECORDING], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(15)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        run_id, last = [line.split() for line in lines if len(line.split()) == 2][-1]
        store = open_tracking()
        assert len(store.get_metric_history(run_id, "m")) >= int(last) + 1
        assert run_id in store.fail_orphans()
        assert store.get_run(run_id).info.status == "FAILED"


def test_a_run_of_a_living_process_is_not_an_orphan() -> None:
    from pack.tracking.owner import this_process

    store = open_tracking()
    run = store.create_run("0", user_id="", start_time=0, run_name="r", owner=this_process()).info.run_id
    assert store.fail_orphans() == []
    assert store.get_run(run).info.status == "RUNNING"


def test_a_database_from_the_future_is_refused(own_world: Path) -> None:
    open_tracking().create_experiment("x")
    raw = sqlite3.connect(own_world / ".pack" / "pack.db")
    raw.execute("INSERT INTO pack_schema (version) VALUES (999)")
    raw.commit()
    raw.close()
    with pytest.raises(InvalidState, match="newer pack"):
        open_tracking().get_experiment("0")


def test_a_damaged_database_is_a_clear_error(own_world: Path) -> None:
    store = open_tracking()
    store.create_experiment("x")
    del store
    path = own_world / ".pack" / "pack.db"
    for leftover in path.parent.glob("pack.db-*"):
        leftover.unlink()
    path.write_bytes(b"this is no database at all, but it is long enough to be looked at" * 100)
    with pytest.raises(StorageFailed):
        open_tracking().get_experiment("0")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = Place(tmp_path / "file" / "pack.db", tmp_path / "file" / "artifacts")
    with pytest.raises(StorageFailed, match="cannot be made"):
        SqlTracking(Database(place)).get_experiment("0")


def _record_without_end(store: TrackingStore, run: str) -> None:
    for step in range(1000):
        store.log_batch(run, metrics=[Metric(f"k{step}-{n}", 1.0, 1) for n in range(100)])


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_loses_nothing_and_recording_goes_on_afterwards(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        store = open_tracking(f"sqlite:///{disk}/pack.db")
        run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id
        store.log_batch(run, metrics=[Metric("m", 1.0, 1)])
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(b"x" * free)
        with pytest.raises(StorageFailed, match="full"):
            _record_without_end(store, run)
        kept = store.get_run(run).data.metrics
        assert kept["m"] == 1.0
        (disk / "filler").unlink()
        store.log_batch(run, metrics=[Metric("after", 2.0, 1)])
        assert store.get_run(run).data.metrics == {**kept, "after": 2.0}
        store.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
