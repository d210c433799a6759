"""The local store: links never lead out of it, and a file appears whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pack.artifacts import ArtifactStore, local_path
from pack.artifacts.local import LocalStore
from pack.errors import InvalidUri, NotFound, PackError
from tests.contracts.artifacts import ArtifactContract


class TestLocalStore(ArtifactContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return LocalStore(tmp_path / "root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("the secret", encoding="utf-8")
    LocalStore(tmp_path / "root").put_bytes(b"fine", "a/fine.txt")
    return tmp_path / "root"


def test_links_are_neither_read_nor_written_nor_listed(root: Path, tmp_path: Path) -> None:
    store = LocalStore(root)
    (root / "file").symlink_to(tmp_path / "outside" / "secret")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "one").symlink_to(root / "folder")
    (root / "environment").symlink_to("/proc/self/environ")
    for path in ("file", "folder/secret", "one/secret", "environment"):
        with pytest.raises(NotFound):
            store.read(path)
    with pytest.raises(PackError):
        store.put_bytes(b"x", "folder/new")
    assert [entry.path for entry in store.list()] == ["a"]
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret"]


def test_a_link_swapped_in_between_check_and_open_is_never_followed(root: Path, tmp_path: Path) -> None:
    store, stop, seen = LocalStore(root), threading.Event(), set()

    def swap() -> None:
        while not stop.is_set():
            (root / "a").rename(root / "b")
            (root / "a").symlink_to(tmp_path / "outside")
            (root / "a").unlink()
            (root / "b").rename(root / "a")

    (tmp_path / "outside" / "fine.txt").write_text("the secret", encoding="utf-8")
    thread = threading.Thread(target=swap)
    thread.start()
    for _ in range(1000):
        try:
            seen.add(store.read("a/fine.txt"))
        except PackError:
            seen.add(b"refused")
    stop.set()
    thread.join()
    assert seen <= {b"fine", b"refused"}


def test_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        LocalStore(tmp_path / "root").put_bytes(b"x", "a/b/c.txt")
    finally:
        os.umask(before)
    for path in [tmp_path / "root", *(tmp_path / "root").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_put_that_fails_leaves_what_was_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        LocalStore(root).put(tmp_path / "nowhere", "a/fine.txt")
    assert LocalStore(root).read("a/fine.txt") == b"fine"
    assert [path.name for path in (root / "a").iterdir()] == ["fine.txt"]


def test_a_uri_of_a_store_that_is_not_there_yet_says_so() -> None:
    with pytest.raises(InvalidUri, match="s3: locations cannot be read yet"):
        local_path("s3://bucket/model")


def test_the_mlmodel_file_itself_stands_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}", encoding="utf-8")
    assert local_path(tmp_path / "MLmodel") == tmp_path


def test_a_file_of_ones_own_is_listed_whatever_it_looks_like(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root")
    for name in (".new-foo", ".new-", "x"):
        store.put_bytes(b"1", name)
    (tmp_path / "root" / f".new-{'0' * 16}").write_bytes(b"half")
    assert [entry.path for entry in store.list()] == [".new-", ".new-foo", "x"]
