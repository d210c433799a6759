"""The suite that every artifact store passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pack.artifacts import ArtifactStore
from pack.errors import InvalidValue, NotFound, PackError

LEAVING = [
    "../secret", "model/../../secret", "a/../../../secret", "..", ".", "", "/etc/passwd", "//etc/passwd", "///",
    "C:\\x", "C:x", "\\\\?\\C:\\x", "\\\\127.0.0.1\\share", "..\\..\\secret", "%2e%2e%2fsecret", "..%2fsecret",
    "%2E%2e/secret", "%5c..%5csecret", "x#/../../secret", "x%23", "x?/../../secret", "x%3f", "x;/../../secret",
    "a;b=/..", "a\x00.txt", "a\r\n", "a\x1b[0m", "a\x7f", "a\u2028b", "a\u202eb", "\uff0e\uff0e/secret",
    "a\uff0f..\uff0f..\uff0fsecret", "a//b", "a/./b", "a/", "x" * 256, "/".join(["a"] * 2500),
]  # fmt: skip


class ArtifactContract:
    """`store()` makes an empty store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        raise NotImplementedError

    def test_a_file_comes_back_as_it_went(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 100)
        store.put(tmp_path / "a.bin", "plots/a.bin")
        store.get("plots/a.bin", tmp_path / "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == store.read("plots/a.bin") == bytes(range(256)) * 100

    def test_a_folder_comes_back_as_it_went(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "out" / "deep").mkdir(parents=True)
        (tmp_path / "out" / "deep" / "a b.txt").write_text("1", encoding="utf-8")
        (tmp_path / "out" / "é.txt").write_text("2", encoding="utf-8")
        store.put(tmp_path / "out", "results")
        store.get("results", tmp_path / "back")
        assert (tmp_path / "back" / "deep" / "a b.txt").read_text(encoding="utf-8") == "1"
        assert [entry.path for entry in store.list("results")] == ["results/deep", "results/é.txt"]

    def test_a_listing_says_what_is_a_folder_and_how_large_files_are(
        self, store: ArtifactStore, tmp_path: Path
    ) -> None:
        (tmp_path / "a").write_bytes(b"123")
        store.put(tmp_path / "a", "x/a")
        assert [(entry.path, entry.is_dir, entry.file_size) for entry in store.list()] == [("x", True, None)]
        assert [(entry.path, entry.is_dir, entry.file_size) for entry in store.list("x")] == [("x/a", False, 3)]
        assert store.list("nothing") == []

    def test_putting_again_replaces_and_deleting_removes(self, store: ArtifactStore, tmp_path: Path) -> None:
        for text in ("one", "two"):
            (tmp_path / "a").write_text(text, encoding="utf-8")
            store.put(tmp_path / "a", "a")
        assert store.read("a") == b"two"
        store.delete("a")
        with pytest.raises(NotFound):
            store.read("a")
        with pytest.raises(NotFound):
            store.delete("a")

    @pytest.mark.parametrize("path", LEAVING)
    def test_a_path_that_could_leave_the_root_is_refused_everywhere(
        self, store: ArtifactStore, tmp_path: Path, path: str
    ) -> None:
        (tmp_path / "secret").write_text("the secret", encoding="utf-8")
        (tmp_path / "mine").write_text("x", encoding="utf-8")
        with pytest.raises(InvalidValue):
            store.read(path)
        with pytest.raises(InvalidValue):
            store.put(tmp_path / "mine", path)
        with pytest.raises(InvalidValue):
            store.delete(path)
        with pytest.raises(PackError):
            store.get(path or "..", tmp_path / "back")
        assert (tmp_path / "secret").read_text(encoding="utf-8") == "the secret"
        assert not (tmp_path / "back").exists()
