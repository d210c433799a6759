"""A Dockerfile for other builders: only our instructions are in it, whatever a model is called or says of itself."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest

import pack
from pack.errors import Damaged, InvalidState, InvalidValue, PackError
from pack.images.dockerfile import dockerfile, generate
from pack.images.plan import Plan
from pack.mlmodel import digests
from tests import models
from tests.images.plans import small_plan

pytestmark = pytest.mark.sklearn
BASE = "python:3.11-slim"
HOSTILE = ['a"b', "a\\", "$(id)", "${PATH}", "a' #", "--from=x", "`id`", 'a\\\\"\\', "ü 中", "\\$x"]


def instructions(text: str) -> list[tuple[str, str]]:
    """The lines of a Dockerfile: an instruction and what follows; ours never continue one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert not [line for line in lines if line.rstrip().endswith("\\")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def unquoted(word: str) -> str:
    """What a builder makes of a quoted word in which it expands nothing."""
    assert re.fullmatch(r'"(?:[^"\\$]|\\.)*"', word)
    return re.sub(r"\\(.)", r"\1", word[1:-1])


def test_a_folder_has_all_that_is_copied() -> None:
    plan = small_plan(base=BASE)
    generate(plan, Path("context"))
    assert {path.name for path in Path("context").iterdir()} == {
        "Dockerfile", ".dockerignore", "lock.txt", "wheels", "site", "weights", "model", "bom.json",
    }  # fmt: skip
    for kind, what in instructions(Path("context/Dockerfile").read_text()):
        if kind == "COPY" and not what.startswith("--from"):
            assert (Path("context") / json.loads(what)[0]).exists()
    assert Path("context/weights/model.skops").read_bytes() == Path("model/model.skops").read_bytes()
    assert Path("context/site/pack/__init__.py").is_file()


def test_it_is_written_the_same_each_time() -> None:
    generate(small_plan(base=BASE), Path("one"))
    generate(small_plan(base=BASE), Path("two"))
    one, two = (
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
        for folder in ("one", "two")
    )
    assert one == two


def test_it_runs_as_nobody_and_in_json_form() -> None:
    said = instructions(dockerfile(small_plan(base=BASE)))
    last = dict(said)
    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"]) == ["/opt/pack/bin/python", "-m", "pack", "container"]
    assert "CMD [" in last["HEALTHCHECK"]
    assert [kind for kind, _ in said].count("FROM") == 3


def test_an_index_comes_as_a_secret_and_a_wheelhouse_takes_its_place() -> None:
    with_index = dockerfile(small_plan(base=BASE, wheelhouse=None))
    assert "--mount=type=secret,id=pip" in with_index
    assert "--no-index" not in with_index
    without = dockerfile(small_plan(base=BASE))
    assert "--no-index" in without
    assert "secret" not in without


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_is_what_was_said_and_never_an_instruction(text: str) -> None:
    plan = small_plan(base=BASE, variables=(("A", text),), labels=(("b", text),), name=text)
    usual = [kind for kind, _ in instructions(dockerfile(small_plan(base=BASE)))]
    said = instructions(dockerfile(plan))
    assert [kind for kind, _ in said if kind not in {"ENV", "LABEL"}] == [
        kind for kind in usual if kind not in {"ENV", "LABEL"}
    ]
    words = {kind + " " + word.partition("=")[0]: unquoted(word.partition("=")[2]) for kind, word in said
             if kind in {"ENV", "LABEL"} and not word.startswith("PATH=")}  # fmt: skip
    assert words["ENV A"] == words["LABEL b"] == words["LABEL org.opencontainers.image.title"] == text


def hostile_model(home: Path) -> Plan:
    home.mkdir(parents=True)
    pack.save_model(models.classifier(), home / "model")
    return small_plan(base=BASE, report=digests.check((home / "model").absolute()))


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "--from=x", "a\nRUN id", "$(id)"])
def test_a_folder_of_any_name_is_copied(name: str) -> None:
    plan = hostile_model(Path(name))
    generate(plan, Path("context"))
    assert Path("context/Dockerfile").read_text() == dockerfile(small_plan(base=BASE, report=plan.report))
    assert dockerfile(plan).count("COPY") == dockerfile(small_plan(base=BASE)).count("COPY")
    assert Path("context/weights/model.skops").is_file()


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
@pytest.mark.parametrize("kind", ["link", "socket", "pipe"])
def test_what_is_no_plain_file_gets_into_no_context(kind: str) -> None:
    Path("secret").write_text("hidden")
    plan, place = small_plan(base=BASE), Path("model/model.skops")
    place.unlink()
    if kind == "link":
        place.symlink_to(Path("secret").absolute())
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(place))
    with pytest.raises(PackError):
        generate(plan, Path("context"))
    held = [path for path in Path("context").rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in held if path.read_bytes() == b"hidden"]


def test_a_model_that_changes_on_the_way_is_refused() -> None:
    plan = small_plan(base=BASE)
    Path("model/model.skops").write_bytes(b"other")
    with pytest.raises(Damaged, match="changed after it was verified"):
        generate(plan, Path("context"))


def test_something_that_lies_there_is_left_alone() -> None:
    Path("context").mkdir()
    Path("context/keep").write_text("k")
    with pytest.raises(InvalidState, match="something lies in"):
        generate(small_plan(base=BASE), Path("context"))
    assert [path.name for path in Path("context").iterdir()] == ["keep"]


def test_a_base_that_is_a_file_is_for_another_command() -> None:
    with pytest.raises(InvalidValue, match="names its base in a registry"):
        generate(small_plan(), Path("context"))


@pytest.mark.parametrize("name", ["x; id", "-t", "--build-arg=a", "Upper", "a" * 600, "a b", "a\nRUN id", "a$(id)"])
def test_a_base_is_a_name_of_an_image(name: str) -> None:
    with pytest.raises(InvalidValue):
        dockerfile(small_plan(base=name))


def test_a_wheelhouse_without_a_wheel_of_the_lock_says_which() -> None:
    plan = small_plan(base=BASE)
    next(Path("wheels").glob("*.whl")).unlink()
    with pytest.raises(InvalidValue, match=r"has no wheel of tiny 1\.0"):
        generate(plan, Path("context"))
