"""The layers of our own: the same bytes each time, and nothing of the machine that made them."""

from __future__ import annotations

import gzip
import importlib.util
import io
import marshal
import os
import stat
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pack.envs.locking import Lock
from pack.envs.targets import Target
from pack.errors import Damaged, InvalidState, PackError
from pack.images.oci import layers
from pack.images.oci.blobs import Layer
from pack.images.oci.interpreters import Interpreter
from pack.images.oci.kept import Shelf
from tests.images.bases import digest_of
from tests.images.wheels import lock_of, wheel

SITE = "opt/pack/lib/python3.11/site-packages"
PYTHON = Interpreter("/usr/bin/python3.11", "amd64")
HERE = Target.of().python


def made(lock: Lock, *, kept: str = "kept", time: int = 0, python: Interpreter = PYTHON) -> Layer:
    layer, _ = layers.dependencies(lock, python, kept=Shelf(Path(kept)), time=time, wheelhouse=Path("wheels"))
    return layer


def opened(layer: Layer) -> tarfile.TarFile:
    """The tar file of a layer, compared with its digests."""
    data = b"".join(layer.blob.checked())
    unpacked = gzip.decompress(data) if layer.blob.media_type.endswith("gzip") else data
    assert digest_of(unpacked) == layer.diff_id
    return tarfile.open(fileobj=io.BytesIO(unpacked))


def test_packages_become_an_environment_of_the_bases_python() -> None:
    files = opened(made(lock_of(wheel(Path("wheels")))))
    assert files.getmember("opt/pack/bin/python").linkname == PYTHON.path
    settings = files.extractfile("opt/pack/pyvenv.cfg")
    assert settings is not None
    assert b"home = /usr/bin\n" in settings.read()
    assert f"{SITE}/tiny/__init__.py" in files.getnames()
    assert [name for name in files.getnames() if name.startswith("opt/pack/bin/")] == ["opt/pack/bin/python"]


def test_nothing_of_this_machine_gets_into_a_layer() -> None:
    files = opened(made(lock_of(wheel(Path("wheels")))))
    for member in files:
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert member.issym() or not member.mode & 0o022
        assert not member.pax_headers
        data = files.extractfile(member) if member.isreg() else None
        assert str(Path.cwd()).encode() not in (data.read() if data else b"")
    record = files.extractfile(f"{SITE}/tiny-1.0.dist-info/RECORD")
    assert record is not None
    assert b"bin/tiny" not in record.read()


def test_bytecode_goes_along_for_the_python_that_is_here() -> None:
    lock = lock_of(wheel(Path("wheels"), files={"tiny/tests/__init__.py": ""}), python=HERE)
    files = opened(made(lock))
    found = [name for name in files.getnames() if name.endswith(".pyc")]
    assert found == [
        f"opt/pack/lib/python{HERE}/site-packages/tiny/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
    ]
    data = files.extractfile(found[0])
    assert data is not None
    head, code = data.read(16), marshal.loads(data.read())
    assert (head[:4], head[4:8]) == (importlib.util.MAGIC_NUMBER, b"\x01\0\0\0")  # by hash, which is not compared
    assert code.co_filename == f"/opt/pack/lib/python{HERE}/site-packages/tiny/__init__.py"
    assert made(lock) == made(lock, kept="other")


def test_another_python_would_not_read_it_and_gets_none() -> None:
    other = "3.10" if HERE != "3.10" else "3.11"
    assert not [
        name for name in opened(made(lock_of(wheel(Path("wheels")), python=other))).getnames() if "cache" in name
    ]


def test_headers_go_along_where_something_can_read_them() -> None:
    lock = lock_of(wheel(Path("wheels"), files={"torch/include/torch.h": "", "torch/nn.h": ""}))
    without = opened(made(lock)).getnames()
    assert f"{SITE}/torch/nn.h" in without
    assert f"{SITE}/torch/include/torch.h" not in without
    assert f"{SITE}/torch/include/torch.h" in opened(made(lock, python=replace(PYTHON, compiler=True))).getnames()


def test_the_same_lock_gives_the_same_layer_and_gives_it_at_once_the_second_time() -> None:
    lock = lock_of(wheel(Path("wheels")))
    first, again = (
        layers.dependencies(lock, PYTHON, kept=Shelf(Path("kept")), time=0, wheelhouse=Path("wheels")) for _ in "12"
    )
    assert (first[1], again[1]) == (False, True)
    old = os.umask(0)
    try:
        elsewhere = made(lock, kept="other")
    finally:
        os.umask(old)
    assert first[0] == again[0] == elsewhere
    assert made(lock, time=86_400) != elsewhere


def test_a_kept_layer_that_was_changed_is_made_again() -> None:
    lock = lock_of(wheel(Path("wheels")))
    layer = made(lock)
    path = Shelf(Path("kept")).place(layer.blob.digest)
    path.write_bytes(path.read_bytes()[:-1])
    assert b"".join(made(lock).blob.checked())


def test_wheels_for_another_machine_are_installed_on_this_one() -> None:
    pin = wheel(Path("wheels"), tag="cp311-cp311-manylinux_2_17_aarch64")
    assert f"{SITE}/tiny/__init__.py" in opened(made(lock_of(pin, platform="linux/arm64"))).getnames()
    with pytest.raises(InvalidState):
        made(lock_of(pin, platform="linux/amd64"))


def test_a_wheel_that_differs_from_the_lock_is_not_installed() -> None:
    pin = wheel(Path("wheels"))
    with pytest.raises(Damaged, match="Hash mismatch"):
        made(lock_of(replace(pin, hashes=("0" * 64,))))
    assert not list(Path("kept").rglob("*.json"))


def test_pack_itself_is_a_layer_of_its_own() -> None:
    shelf = Shelf(Path("kept"))
    (layer, was_there), (again, is_there) = (
        layers.own_wheel(Target("3.11", "linux/amd64"), kept=shelf, time=0) for _ in "12"
    )
    assert (was_there, is_there, layer) == (False, True, again)
    names = opened(layer).getnames()
    assert f"{SITE}/pack/__init__.py" in names


def test_files_of_a_model_lose_their_owners_modes_and_times() -> None:
    Path("weights").write_bytes(b"w")
    Path("weights").chmod(0o600 | stat.S_ISUID | 0o111)
    layer = layers.of_files({"opt/ml/model/weights": Path("weights"), "opt/ml/model/a/b": b"x"}, time=0)
    names = [(member.name, member.mode) for member in opened(layer)]
    folders = [("opt", 0o755), ("opt/ml", 0o755), ("opt/ml/model", 0o755), ("opt/ml/model/a", 0o755)]
    assert names == [*folders, ("opt/ml/model/a/b", 0o644), ("opt/ml/model/weights", 0o644)]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_plain_files_get_in(kind: str) -> None:
    Path("secret").write_text("s", encoding="utf-8")
    odd = Path("odd")
    if kind == "link":
        odd.symlink_to("secret")
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.mkdir()
    with pytest.raises(PackError, match="odd"):
        layers.of_files({"opt/odd": odd}, time=0)


def test_a_file_that_changes_after_its_digest_was_taken_is_no_layer() -> None:
    Path("weights").write_bytes(b"before")
    layer = layers.of_files({"w": Path("weights")}, time=0)
    Path("weights").write_bytes(b"change")
    with pytest.raises(Damaged):
        list(layer.blob.checked())


def test_long_and_strange_names_stay_what_they_are() -> None:
    names = ["a" * 200 + "/" + "b" * 200, "naïve", "new\nline", "--from=x", "a 'b' \"c\"", "e\u0301"]
    layer = layers.of_files({f"opt/ml/model/{name}": b"1" for name in names}, time=0)
    assert {f"opt/ml/model/{name}" for name in names} <= set(opened(layer).getnames())
