"""Where a model lands: whole or not at all, with the permissions that the user's other files have."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pack
from pack.errors import AlreadyExists, StorageFailed
from pack.flavors.landing import landing
from tests import models

ROOT = Path(__file__).parent.parent.parent


def test_a_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er"
    with landing(target) as home:
        (home / "a.txt").write_text("a", encoding="utf-8")
        assert not target.exists()
        assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    assert (target / "a.txt").read_text(encoding="utf-8") == "a"
    assert [path.name for path in target.parent.iterdir()] == ["er"]


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with landing(tmp_path / "m") as home:
            (home / "a.txt").write_text("a", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.glob("*m*")) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_folder_has_the_users_usual_permissions(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        pack.save_model(models.classifier(), tmp_path / "m")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((tmp_path / "m" / "MLmodel").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("there", ["file", "link", "broken link", "full folder"])
def test_whatever_is_there_stays(tmp_path: Path, there: str) -> None:
    target, other = tmp_path / "m", tmp_path / "other"
    other.mkdir()
    if there == "file":
        target.write_text("mine", encoding="utf-8")
    elif there == "full folder":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.symlink_to(other if there == "link" else tmp_path / "nowhere")
    with pytest.raises(AlreadyExists), landing(target):
        pass
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "world") == ["m", "other"]
    assert list(other.iterdir()) == []


def test_a_folder_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    def raced() -> None:
        with landing(tmp_path / "m"):
            (tmp_path / "m").mkdir()
            (tmp_path / "m" / "theirs").touch()

    with pytest.raises(AlreadyExists, match="meanwhile"):
        raced()
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["theirs"]


def test_a_save_at_the_end_of_the_program_works(tmp_path: Path) -> None:
    script = (
        "import atexit\nfrom pathlib import Path\nfrom pack.flavors.landing import landing\n"
        "@atexit.register\ndef save():\n"
        f"    with landing(Path({str(tmp_path / 'm')!r})) as home:\n        (home / 'a').touch()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "m" / "a").exists()


@pytest.mark.faults
@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX")
def test_a_file_size_limit_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageFailed, match="File too large"):
            pack.save_model(models.classifier(), tmp_path / "m", input_example=models.iris()[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.glob("*m*")) == []
    pack.save_model(models.classifier(), tmp_path / "m")


READ_ONLY = """
import os
from pathlib import Path
from pack.errors import StorageFailed
from pack.flavors.landing import landing
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
for name in ("m", "deeper/m"):
    try:
        with landing(Path({folder!r}) / name):
            raise SystemExit("landed")
    except StorageFailed as error:
        print(error.message)
"""


@pytest.mark.faults
@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_a_folder_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    for place in (folder, *[place for place in folder.parents if place.is_relative_to("/tmp")]):
        place.chmod(place.stat().st_mode | 0o555)
    folder.chmod(0o555)
    script = READ_ONLY.format(folder=str(folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Permission denied") == 2
    assert list(folder.iterdir()) == []


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
import pack
from tests import models
model, rows = models.classifier(), models.iris()[0]
pack.save_model(model, {folder!r} + "/warm", input_example=rows)
for number in range({kills}):
    child = os.fork()
    if not child:
        for again in range(1000):
            pack.save_model(model, {folder!r} + f"/m-{{number}}-{{again}}", input_example=rows)
        os._exit(0)
    # The first has time to finish some saves, even on a busy machine; the others are cut anywhere.
    time.sleep(random.random() * 0.04 if number else 2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_save_killed_at_any_moment_leaves_whole_models_only(tmp_path: Path) -> None:
    kills = 400 if os.environ.get("PACK_TEST_FULL_SIZE") else 25
    script = KILLED.format(root=str(ROOT), folder=str(tmp_path), kills=kills)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    saved = [path for path in tmp_path.iterdir() if path.name.startswith("m-")]
    assert saved
    assert {path.name.split("-")[1] for path in saved} <= {str(number) for number in range(kills)}
    for path in saved:
        assert pack.pyfunc.load_model(path, trust="safe").predict(models.iris()[0][:1]).tolist() == [0]
