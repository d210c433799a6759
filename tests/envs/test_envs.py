"""Requirements: inferred without running anything, written as MLflow writes them, and never more than data."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from pack import envs
from pack.envs import files, installed, requirements
from pack.errors import InvalidValue, NotFound


def test_modules_become_pins_of_their_distributions() -> None:
    found = envs.infer_requirements({"sklearn", "yaml", "numpy._core", "os", "pack", "my_own_code", "PIL"})
    assert found == [
        f"numpy=={version('numpy')}",
        f"pillow=={version('pillow')}",
        f"PyYAML=={version('PyYAML')}",
        f"scikit-learn=={version('scikit-learn')}",
    ]


def test_local_versions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "torchlike-2.1.0+cu128.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: TorchLike\n", encoding="utf-8")
    (info / "RECORD").write_text("torchlike/__init__.py,,\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.forget()
    try:
        assert envs.infer_requirements({"torchlike"}) == ["TorchLike==2.1.0+cu128"]
    finally:
        installed.forget()


def test_imports_of_code_are_found_in_functions_too(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import numpy.linalg\ndef f():\n    from sklearn import svm\nfrom . import b\n", encoding="utf-8"
    )
    assert envs.modules_of_code([tmp_path]) == {"numpy", "sklearn"}


def test_the_files_are_laid_out_as_mlflow_lays_them_out(tmp_path: Path) -> None:
    envs.write_environment(tmp_path, ["b==1", "a==2"], constraints=["c<3"])
    assert (tmp_path / "requirements.txt").read_bytes() == b"b==1\na==2\n-c constraints.txt"
    assert (tmp_path / "constraints.txt").read_bytes() == b"c<3"
    python = platform.python_version()
    conda = (tmp_path / "conda.yaml").read_text(encoding="utf-8")
    assert conda.startswith(f"channels:\n- conda-forge\ndependencies:\n- python={python}\n- pip<=")
    assert "- pip:\n  - b==1\n  - a==2\n  - -c constraints.txt\nname: mlflow-env\n" in conda
    env = (tmp_path / "python_env.yaml").read_text(encoding="utf-8")
    assert env.startswith(f"python: {python}\nbuild_dependencies:\n- pip==")
    assert env.endswith("dependencies:\n- -r requirements.txt\n")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = envs.write_environment(tmp_path, ["numpy==1.26.0", "pandas"])
    assert envs.read_environment(tmp_path) == written


@pytest.mark.parametrize(
    ("dependency", "python", "build"),
    [
        ("python=3.8", "3.8", ()),
        ("python>=3.9.1", "3.9.1", ()),
        ("pip=21.0", None, ("pip==21.0",)),
        ("setuptools", None, ("setuptools",)),
        ("cudatoolkit=11.3=abc", None, ()),
    ],
)
def test_a_conda_file_says_what_a_virtual_environment_needs(
    dependency: str, python: str | None, build: tuple[str, ...]
) -> None:
    found = files.from_conda({"dependencies": [dependency, {"pip": ["numpy==1.0"]}]})
    assert found.python == (python or platform.python_version())
    assert found.build_dependencies == build
    assert found.requirements == ("numpy==1.0",)


@pytest.mark.parametrize("dependency", ["python", "python<3.9", "python!=3.8", {"npm": ["x"]}])
def test_a_conda_file_without_a_python_version_is_refused(dependency: object) -> None:
    with pytest.raises(InvalidValue):
        files.from_conda({"dependencies": [dependency]})


@pytest.mark.parametrize(
    "line",
    [
        "numpy; touch canary", "$(touch canary)", "`touch canary`", "numpy\ntouch canary", "numpy && touch canary",
        "numpy | touch canary", "-e git+file:///x", "--evil", "-x", "numpy\0", "--index-url $(id)", "x" * 3000,
        "a b c",
    ],
)  # fmt: skip
def test_a_line_that_is_no_requirement_is_refused(line: str) -> None:
    with pytest.raises((InvalidValue, NotFound)):
        requirements.parse_lines([line])
    assert not Path("canary").exists()


def test_a_million_lines_are_refused() -> None:
    with pytest.raises(InvalidValue, match="lines"):
        requirements.parse_lines([f"a{number}" for number in range(20_000)])


@pytest.mark.parametrize(
    "line",
    ["numpy", "numpy==1.26.0", "torch==2.1.0+cpu", "x[extra]>=1,<2", "x; python_version < '3.9'", "--index-url https://i.example/simple",
     "x @ https://e.example/x.whl", "./wheels/x-1-py3-none-any.whl"],
)  # fmt: skip
def test_a_requirement_is_kept_as_it_is(line: str) -> None:
    assert requirements.parse_lines([line])[0] == [line]


def test_a_models_requirements_may_not_refer_to_other_files(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r /etc/passwd\n", encoding="utf-8")
    with pytest.raises(InvalidValue, match="other files"):
        envs.read_environment(tmp_path)


def test_a_locked_project_gives_the_pins_of_what_it_depends_on(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "My_App"\nversion = "1"\n', encoding="utf-8")
    (tmp_path / "uv.lock").write_text(
        """
version = 1
[[package]]
name = "my-app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "a", extra = ["fast"] }, { name = "win", marker = "sys_platform == 'win32'" }]
[[package]]
name = "a"
version = "2.0+cpu"
source = { registry = "https://index.example/simple" }
dependencies = [{ name = "b" }]
[package.optional-dependencies]
fast = [{ name = "c" }]
[[package]]
name = "b"
version = "3.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "c"
version = "4.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "unused"
version = "5.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "win"
version = "6.0"
source = { registry = "https://index.example/simple" }
""",
        encoding="utf-8",
    )
    assert envs.locked_requirements(tmp_path) == ["a==2.0+cpu", "b==3.0", "c==4.0"]
    assert envs.locked_requirements(tmp_path / "elsewhere") is None


def test_a_lock_of_pip_gives_its_pins(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(
        """
lock-version = "1.0"
[[packages]]
name = "b"
version = "2.0"
index = "https://index.example/simple"
[[packages]]
name = "a"
version = "1.0+cpu"
[[packages]]
name = "win"
version = "3.0"
marker = "sys_platform == 'win32'"
[[packages]]
name = "mine"
directory = { path = "." }
""",
        encoding="utf-8",
    )
    assert envs.locked_requirements(tmp_path) == ["a==1.0+cpu", "b==2.0"]


def test_what_is_not_installed_as_asked_is_named() -> None:
    found = envs.mismatches(["numpy==0.1", "no-such-thing", f"pandas=={version('pandas')}", "x; python_version < '3'"])
    assert [str(one) for one in found] == [
        f"numpy==0.1 is asked for, {version('numpy')} is installed",
        "no-such-thing is asked for, nothing is installed",
    ]
