"""A disk that is full or read-only, no file handle left, no large file allowed: typed errors, and then it goes on."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.fluent import state
from tests.faults.children import ask, attempt, enter
from tests.faults.conftest import FULL
from tests.faults.disks import empty, fill, needs_root, remount, small_disk
from tests.faults.operations import OPERATIONS, OPTIONS, assert_intact, assert_verified, classifier, ids, rows

pytestmark = pytest.mark.faults
FREE = [leave * 4096 for leave in ((*range(32), 64, 128, 256, 512) if FULL else (0, 1, 3, 8, 20, 64))]
HANDLES = range(24 if FULL else 10)
SIZES = [leave * 512 for leave in (range(64) if FULL else (0, 1, 8, 40))]


def _write_everything(number: int) -> Iterator[Callable[[], Any]]:
    """Things that write: into the database, among the artifacts, into temporary files."""
    run = ids()["run"]
    yield lambda: pack.log_metrics({f"m{number}": 1.0}, run_id=run)
    yield lambda: pack.log_text("x" * 20_000, f"text{number}.txt", run_id=run)
    yield lambda: pack.log_table({"a": list(range(2000))}, f"table{number}.json", run_id=run)
    yield lambda: assert_verified(pack.log_model(classifier(), "m", input_example=rows(), **OPTIONS).model_uri)
    yield lambda: pack.register_model(ids()["model"], "other")
    yield lambda: pack.set_alias("churn", "champion", 1 + number % 2)
    yield lambda: pack.Client().log_figure(run, _figure(), f"figure{number}.png")


def _figure() -> Any:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(range(10))
    return figure


def _outcomes(number: int) -> list[str]:
    """What came of everything that writes; a raw error is told in full."""
    answers = [attempt(act) for act in _write_everything(number)]
    return [str(answer.get("raw") or answer.get("refused") or "done") for answer in answers]


def fill_up(world: str, disk: str, answers: Any) -> None:
    """Write with less and less space, and each time again when there is space; answers the outcomes of both."""
    enter(world)
    OPERATIONS["log_model"].warm()
    _outcomes(-1)
    for number, leave in enumerate(FREE):
        fill(Path(disk), leave=leave)
        full = _outcomes(2 * number)
        empty(Path(disk))
        answers.send((full, _outcomes(2 * number + 1)))
        assert_intact()
    answers.send(None)


def limit(world: str, kind: int, values: list[int], answers: Any) -> None:
    """The same with a limit of the process."""
    enter(world)
    OPERATIONS["log_model"].warm()
    _outcomes(-1)
    before = resource.getrlimit(kind)
    floor = max(int(one.name) for one in Path("/proc/self/fd").iterdir()) if kind == resource.RLIMIT_NOFILE else 0
    for number, value in enumerate(values):
        resource.setrlimit(kind, (floor + value, before[1]))
        limited = _outcomes(2 * number)
        resource.setrlimit(kind, before)
        answers.send((limited, _outcomes(2 * number + 1)))
        assert_intact()
    answers.send(None)


def go_read_only(world: str, disk: str, answers: Any) -> None:
    """Write and read while the disk is read-only, in a process that was writing and in one that starts then."""
    enter(world)
    _outcomes(-1)
    for store in (state.tracking(), state.registry()):
        store.close()  # a disk with a file that is open for writing does not become read-only in good order
    remount(Path(disk), "ro")
    first = _outcomes(0)
    old = attempt(_old)
    remount(Path(disk), "rw")
    answers.send((first, old, _outcomes(1)))


def start_read_only(world: str, answers: Any) -> None:
    enter(world)
    answers.send((attempt(_old), _outcomes(0)))


def _old() -> float:
    return pack.get_run(ids()["run"]).data.metrics["old"]


def all_of(target: Callable[..., None], *arguments: Any) -> list[Any]:
    """Everything that a function sends, run in a process of its own, up to None."""
    from tests.faults.children import CONTEXT, start

    mine, theirs = CONTEXT.Pipe(duplex=False)
    child = start(target, *arguments, theirs)
    theirs.close()
    found = list(iter(mine.recv, None))
    child.join()
    return found


def assert_typed(found: list[tuple[list[str], list[str]]]) -> int:
    """While it lasted everything was done or refused in words; afterwards everything was done. Answers refusals."""
    for during, after in found:
        assert set(during) <= {"done", "StorageFailed"}, "\n".join(during)
        assert set(after) == {"done"}, "\n".join(after)
    refused = sum(outcome != "done" for during, _ in found for outcome in during)
    assert refused, "nothing was refused: the fault was none"
    return refused


@needs_root
@pytest.mark.parametrize("part", ["database", "artifacts", "temporary files"])
def test_a_full_disk(
    part: str, worlds: Callable[..., Path], tmp_path: Path, figure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds()
    with small_disk(tmp_path / "disk") as disk:
        lies = {"database": world / ".pack", "artifacts": world / ".pack" / "artifacts"}.get(part)
        if lies is not None:
            _move(lies, disk)
        found = all_of(fill_up if lies else fill_up_temporary, str(world), str(disk))
        figure(f"full disk: {part}", times_filled=len(found), refusals=assert_typed(found))


def fill_up_temporary(world: str, disk: str, answers: Any) -> None:
    """The same, with temporary files on the small disk."""
    os.environ["TMPDIR"] = os.environ["SQLITE_TMPDIR"] = tempfile.tempdir = disk
    fill_up(world, disk, answers)


def _move(folder: Path, disk: Path) -> None:
    """Put a folder on a disk, and the disk in its place; a database without its artifacts."""
    kept = folder / "artifacts"
    if kept.is_dir():
        shutil.move(kept, folder.parent / "artifacts")
        kept.symlink_to(folder.parent / "artifacts")
    shutil.copytree(folder, disk, dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(folder)
    folder.symlink_to(disk)


@pytest.mark.parametrize(
    ("kind", "values"),
    [(resource.RLIMIT_NOFILE, list(HANDLES)), (resource.RLIMIT_FSIZE, SIZES)],
    ids=["file handles", "file size"],
)
def test_a_limit_of_the_process(
    kind: int, values: list[int], worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    found = all_of(limit, str(worlds()), kind, values)
    name = "no file handles" if kind == resource.RLIMIT_NOFILE else "file size limit"
    figure(name, limits=len(found), refusals=assert_typed(found))


@needs_root
def test_a_disk_that_becomes_read_only(worlds: Callable[..., Path], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64m") as disk:
        shutil.copytree(worlds(), disk / "world")
        during, old, after = ask(go_read_only, str(disk / "world"), str(disk))
        assert_typed([(during, after)])
        assert old.get("refused") == "StorageFailed", old


@needs_root
def test_a_disk_that_is_read_only_from_the_start(worlds: Callable[..., Path], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64m") as disk:
        shutil.copytree(worlds(), disk / "world")
        remount(disk, "ro")
        read, outcomes = ask(start_read_only, str(disk / "world"))
        assert set(outcomes) == {"StorageFailed"}, "\n".join(outcomes)
        assert read.get("refused") == "StorageFailed", read
        assert "copied elsewhere" in read["hint"]
