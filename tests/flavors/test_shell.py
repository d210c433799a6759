"""The save shell: whole or not at all, whatever happens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import AlreadyExists, CannotInfer, InvalidValue, ModelFailed, NotFound, SchemaMismatch, StorageFailed
from pack.mlmodel import digests
from tests import models

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))
ROOT = Path(__file__).parent.parent.parent


def test_a_signature_is_inferred_from_the_example(tmp_path: Path) -> None:
    frame = models.mixed_frame(3)
    model = pack.save_model(models.mixed_pipeline(), tmp_path / "m", input_example=frame)
    assert model.signature is not None
    assert (
        repr(model.signature.inputs)
        == "['city': string (required), 'income': double (required), 'age': long (required)]"
    )
    assert model.signature.outputs is not None


def test_an_example_that_no_signature_describes_is_an_error_and_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(CannotInfer, match="'z'"):
        pack.save_model(lambda model_input: 1, tmp_path / "m", input_example=pd.DataFrame({"z": [1j]}))
    assert list(tmp_path.glob("*m*")) == []


def test_no_signature_is_possible_on_purpose(tmp_path: Path) -> None:
    features, _ = models.iris()
    model = pack.save_model(models.classifier(), tmp_path / "m", input_example=features[:2], signature=False)
    assert model.signature is None


def test_an_example_that_contradicts_the_given_signature_is_an_error(tmp_path: Path) -> None:
    signature = pack.infer_signature(pd.DataFrame({"a": [1]}))
    with pytest.raises(SchemaMismatch, match="'a'"):
        pack.save_model(
            lambda rows: rows, tmp_path / "m", signature=signature, input_example=pd.DataFrame({"a": ["x"]})
        )


def test_a_model_that_fails_on_its_own_example_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="failed on its input example"):
        pack.save_model(models.classifier(), tmp_path / "m", input_example=np.array([["a", "b", "c", "d"]]))
    assert not (tmp_path / "m").exists()


def test_params_beside_the_example_become_the_params_schema(tmp_path: Path) -> None:
    def scale(model_input: Any, params: dict[str, Any]) -> Any:
        return model_input * params["by"]

    model = pack.save_model(scale, tmp_path / "m", input_example=(np.ones((2, 2)), {"by": 3.0}))
    assert repr(model.get_params_schema()) == "['by': double (default: 3.0)]"
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(np.ones((1, 2))).tolist() == [[3.0, 3.0]]
    assert loaded.predict(np.ones((1, 2)), params={"by": 2.0}).tolist() == [[2.0, 2.0]]


def test_code_and_extra_files_travel_and_links_do_not(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("import scipy\n", encoding="utf-8")
    (tmp_path / "lib" / "__pycache__").mkdir()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    home = tmp_path / "m"
    pack.save_model(models.classifier(), home, code_paths=[tmp_path / "lib"], extra_files=[tmp_path / "notes.txt"])
    assert (home / "code" / "lib" / "a.py").is_file()
    assert not (home / "code" / "lib" / "__pycache__").exists()
    assert (home / "extra_files" / "notes.txt").is_file()
    assert "scipy==" in (home / "requirements.txt").read_text(encoding="utf-8")
    (tmp_path / "lib" / "secret.py").symlink_to("/etc/hostname")
    with pytest.raises(InvalidValue, match="link"):
        pack.save_model(models.classifier(), tmp_path / "n", code_paths=[tmp_path / "lib"])
    with pytest.raises(NotFound):
        pack.save_model(models.classifier(), tmp_path / "n", code_paths=[tmp_path / "nowhere"])


def test_given_requirements_replace_extra_ones_add(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "a", pip_requirements=["scikit-learn", "x==1"])
    assert (tmp_path / "a" / "requirements.txt").read_text(encoding="utf-8") == "scikit-learn\nx==1"
    pack.save_model(models.classifier(), tmp_path / "b", extra_pip_requirements=["x==1", "numpy<9"])
    lines = (tmp_path / "b" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["x==1", "numpy<9"]
    assert not [line for line in lines if line.startswith("numpy==")]
    with pytest.raises(InvalidValue, match="together"):
        pack.save_model(models.classifier(), tmp_path / "c", pip_requirements=[], conda_env={})


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    pack.save_model(models.classifier(), tmp_path / "m")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(AlreadyExists):
        pack.save_model(models.classifier(), tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


SAVING = """
import sys, os
sys.path.insert(0, {root!r})
import pack
from tests import models
model, rows = models.classifier(), models.iris()[0]
print("ready", flush=True)
sys.stdin.readline()
pack.save_model(model, {target!r}, input_example=rows)
print("saved", flush=True)
"""


@pytest.mark.faults
def test_a_killed_save_leaves_nothing_that_looks_like_a_model(tmp_path: Path) -> None:
    outcomes = set()
    for number in range(200 if FULL else 5):
        target = tmp_path / f"m{number}"
        command = [sys.executable, "-c", SAVING.format(root=str(ROOT), target=str(target))]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        child.stdin.write(b"\n")
        child.stdin.flush()
        time.sleep(random.random() * 0.9)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        outcomes.add(target.exists())
        if target.exists():
            assert digests.check(target).intact
            assert pack.pyfunc.load_model(target, trust="safe").flavor == "sklearn"
    assert outcomes


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_a_clear_error_and_saving_works_again_afterwards(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        pack.save_model(models.classifier(), disk / "first")
        filler = disk / "filler"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler.write_bytes(b"x" * max(free - 8192, 0))
        with pytest.raises(StorageFailed, match="could not be written"):
            pack.save_model(models.classifier(), disk / "second", input_example=models.iris()[0])
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "first"]
        assert digests.check(disk / "first").intact
        filler.unlink()
        pack.save_model(models.classifier(), disk / "second")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_read_only_disk_is_a_clear_error_and_what_lies_on_it_loads(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        pack.save_model(models.classifier(), disk / "first")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StorageFailed, match="Read-only"):
            pack.save_model(models.classifier(), disk / "second")
        assert pack.pyfunc.load_model(disk / "first").flavor == "sklearn"
        with pytest.raises(StorageFailed):
            pack.Client(f"sqlite:///{disk}/runs.db").create_experiment("x")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.faults
def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises((StorageFailed, NotADirectoryError, FileExistsError)) as error:
        pack.save_model(models.classifier(), tmp_path / "file" / "model")
    assert isinstance(error.value, StorageFailed)


def test_two_savers_of_one_path_leave_one_whole_model(tmp_path: Path) -> None:
    import threading

    failures: list[BaseException] = []

    def save() -> None:
        try:
            pack.save_model(models.classifier(), tmp_path / "m")
        except AlreadyExists as error:
            failures.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 3
    assert digests.check(tmp_path / "m").intact
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".m")] == []
