"""Answers of the solver are kept for ten minutes, for the same question asked of the same places."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pack.envs import solved
from pack.errors import Unavailable

ASKED: list[str] = []


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    ASKED.clear()


def answer(*question: str, **world: str) -> str:
    def solve() -> str:
        ASKED.append(" ".join(question))
        return f"answer {len(ASKED)}"

    return solved.kept(question, {"HOME": str(Path.cwd()), **world}, solve)


def test_the_same_question_is_asked_once() -> None:
    assert [answer("numpy"), answer("numpy"), answer("scipy"), answer("numpy")] == [
        "answer 1", "answer 1", "answer 2", "answer 1",
    ]  # fmt: skip


def test_other_places_have_answers_of_their_own() -> None:
    answer("numpy")
    assert answer("numpy", PIP_INDEX_URL="https://packages.example.com") == "answer 2"
    Path(".config/uv").mkdir(parents=True)
    Path(".config/uv/uv.toml").write_text('index-strategy = "unsafe-best-match"')
    assert answer("numpy") == "answer 3"


def test_after_ten_minutes_it_is_asked_again_and_the_old_answer_goes(tmp_path: Path) -> None:
    answer("numpy")
    (path,) = (tmp_path / "cache" / "solved-v1").iterdir()
    os.utime(path, (time.time() - 601, time.time() - 601))
    assert answer("scipy") == "answer 2"
    assert not path.exists()
    assert answer("numpy") == "answer 3"


def test_a_failure_is_no_answer() -> None:
    def fails() -> str:
        raise Unavailable("no index")

    with pytest.raises(Unavailable):
        solved.kept(("numpy",), {}, fails)
    assert answer("numpy") == "answer 1"


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_only_this_user_can_put_an_answer_there(tmp_path: Path) -> None:
    answer("numpy")
    folder = tmp_path / "cache" / "solved-v1"
    assert folder.stat().st_mode & 0o077 == 0


def test_without_a_place_to_keep_it_the_answer_is_given_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PACK_CACHE_DIR", str(tmp_path / "file"))
    assert [answer("numpy"), answer("numpy")] == ["answer 1", "answer 2"]
