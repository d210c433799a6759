"""Imports and exports that are killed: started again, they complete, and nothing half is ever seen."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pack.errors import StorageFailed
from pack.exchange import export_to, import_from
from tests.exchange import mlruns
from tests.exchange.dump import World

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))
PROGRAM = """
import sys
from pack.errors import StorageFailed
from pack.exchange import export_to, import_from
from tests.exchange.dump import World
from pathlib import Path
source, folder, out = map(Path, sys.argv[1:])
world = World(folder)
print("ready", flush=True)
if out.name == "-":
    import_from(source, tracking=world.tracking, registry=world.registry)
else:
    export_to(out, tracking=world.tracking, registry=world.registry)
print("done", flush=True)
"""


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """An `mlruns` that takes a moment."""
    root = tmp_path / "mlruns"
    home = mlruns.experiment(root)
    for number in range(40):
        folder = mlruns.run(home, f"{number:032x}")
        mlruns.fact(folder / "metrics", "long", "".join(f"{n} {n / 7} {n}\n" for n in range(200)))
        mlruns.fact(folder / "artifacts", "big.bin", f"{number}" * 20_000)
    for number in range(1, 11):
        model_id = f"m-{number:032x}"
        mlruns.logged(home, model_id)
        mlruns.version(
            root, number, source=f"models:/{model_id}", storage_location=f"/away/1/models/{model_id}/artifacts"
        )
    mlruns.fact(root / "models" / "churn" / "aliases", "champion", "7")
    return root


def start(*arguments: Path | str) -> subprocess.Popen[str]:
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)})
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def kill(child: subprocess.Popen[str], after: float) -> bool:
    """Kill it, unless it was done before; whether it was."""
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    assert child.stdout is not None
    done = "done" in child.stdout.read()
    child.wait()
    child.stdout.close()
    return done


def length(*arguments: Path | str) -> float:
    """How long it takes when nobody kills it."""
    begun = time.monotonic()
    child = start(*arguments)
    assert child.stdout is not None
    ready = time.monotonic()
    child.communicate()
    assert ready > begun
    return time.monotonic() - ready


@pytest.mark.faults
def test_a_killed_import_completes_when_it_is_started_again(many: Path, tmp_path: Path) -> None:
    whole = length(many, tmp_path / "whole", "-")
    expected = World(tmp_path / "whole").dump()
    chance, cut = random.Random(7), 0
    for trial in range(20 if FULL else 4):
        folder = tmp_path / f"trial{trial}"
        for _ in range(3):
            cut += not kill(start(many, folder, "-"), chance.uniform(0, whole))
        world = World(folder)
        report = import_from(many, tracking=world.tracking, registry=world.registry)
        assert report.complete, str(report)
        assert world.dump() == expected
        assert not [path for path in folder.rglob("*") if path.name.startswith(".new-")]
    assert cut


@pytest.mark.faults
def test_what_a_killed_import_has_brought_is_whole(many: Path, tmp_path: Path) -> None:
    whole = length(many, tmp_path / "whole", "-")
    expected = World(tmp_path / "whole").dump()
    chance = random.Random(11)
    for trial in range(20 if FULL else 4):
        kill(start(many, tmp_path / f"trial{trial}", "-"), chance.uniform(0, whole))
        found = World(tmp_path / f"trial{trial}").dump()
        assert found["runs"].items() <= expected["runs"].items()
        assert found["logged"].items() <= expected["logged"].items()
        for name, model in found["models"].items():
            assert model["versions"].items() <= expected["models"][name]["versions"].items()


@pytest.mark.faults
def test_a_killed_export_completes_when_it_is_started_again(many: Path, tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    import_from(many, tracking=world.tracking, registry=world.registry)
    whole = length("-", tmp_path / "store", tmp_path / "whole")
    chance = random.Random(13)
    for trial in range(20 if FULL else 4):
        out = tmp_path / f"out{trial}"
        kill(start("-", tmp_path / "store", out), chance.uniform(0, whole))
        report = export_to(out, tracking=world.tracking, registry=world.registry)
        assert report.complete, str(report)
        names = {path.relative_to(out) for path in out.rglob("*")}
        assert names == {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("size", [50, 400, 1000, 3000])
def test_a_full_disk_is_a_clear_error_and_the_import_goes_on_afterwards(many: Path, tmp_path: Path, size: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        world = World(disk)
        world.tracking.create_experiment("mine")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(b"x" * (free - size * 1024))
        with pytest.raises(StorageFailed):
            import_from(many, tracking=world.tracking, registry=world.registry)
        assert world.tracking.get_experiment_by_name("mine") is not None
        (disk / "filler").unlink()
        assert import_from(many, tracking=world.tracking, registry=world.registry).complete
        world.tracking.close()
        world.registry.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
