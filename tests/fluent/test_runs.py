"""The verbs around runs."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pack
from pack.errors import InvalidState, InvalidUri, InvalidValue, NotFound


def test_a_run_records_and_ends_with_its_block() -> None:
    with pack.start_run(run_name="one", tags={"a": 1}, description="# Why") as run:
        assert pack.log_param("rate", 0.01) == 0.01
        pack.log_metrics({"loss": 0.5, "f1": 0.25}, step=3)
        pack.set_tag("b", True)
    found = pack.get_run(run.info.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.end_time is not None
    assert found.data.params == {"rate": "0.01"}
    assert found.data.metrics == {"loss": 0.5, "f1": 0.25}
    assert found.data.tags["a"] == "1"
    assert found.data.tags["mlflow.note.content"] == "# Why"
    assert found.data.tags["mlflow.user"]
    assert pack.active_run() is None
    last = pack.last_active_run()
    assert last is not None
    assert last.info.run_id == run.info.run_id


def test_an_exception_marks_the_run_failed() -> None:
    with pytest.raises(ZeroDivisionError), pack.start_run() as run:
        1 / 0  # noqa: B018
    assert pack.get_run(run.info.run_id).info.status == "FAILED"


def test_a_second_run_must_be_nested_and_knows_its_parent() -> None:
    with pack.start_run() as outer:
        with pytest.raises(InvalidState, match="nested=True"):
            pack.start_run()
        with pack.start_run(nested=True) as inner:
            assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
        active = pack.active_run()
        assert active is not None
        assert active.info.run_id == outer.info.run_id


def test_a_run_can_be_gone_on_with() -> None:
    with pack.start_run() as run:
        pack.log_metric("m", 1.0, step=1)
    with pack.start_run(run_id=run.info.run_id):
        pack.log_metric("m", 2.0, step=2)
    assert pack.get_run(run.info.run_id).data.metrics == {"m": 2.0}
    pack.Client().delete_run(run.info.run_id)
    with pytest.raises(InvalidState, match="deleted"):
        pack.start_run(run_id=run.info.run_id)


def test_recording_without_a_run_starts_one() -> None:
    pack.log_metric("m", 1.0)
    active = pack.active_run()
    assert active is not None
    pack.end_run()
    assert pack.get_run(active.info.run_id).info.status == "FINISHED"


def test_experiments_are_chosen_by_name_or_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = pack.set_experiment("churn")
    with pack.start_run() as run:
        assert run.info.experiment_id == chosen.experiment_id
    assert pack.set_experiment(experiment_id=chosen.experiment_id) == chosen
    pack.set_tracking_uri(None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from outside")
    with pack.start_run() as run:
        assert pack.get_experiment(run.info.experiment_id).name == "from outside"
    with pytest.raises(InvalidValue):
        pack.set_experiment()
    with pytest.raises(NotFound):
        pack.set_experiment(experiment_id="99")


def test_the_environment_may_name_the_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pack.start_run() as run:
        pass
    monkeypatch.setenv("PACK_RUN_ID", run.info.run_id)
    with pack.start_run() as again:
        assert again.info.run_id == run.info.run_id
    with pack.start_run() as other:
        assert other.info.run_id != run.info.run_id


def test_files_texts_dicts_and_figures_become_artifacts(tmp_path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("a", encoding="utf-8")
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    with pack.start_run() as run:
        pack.log_artifact(tmp_path / "out" / "a.txt", artifact_path="files")
        pack.log_artifacts(tmp_path / "out", artifact_path="all")
        pack.log_text("hi", "notes/hi.txt")
        pack.log_dict({"a": [1]}, "d.json")
        pack.log_dict({"a": [1]}, "d.yaml")
        pack.log_figure(figure, "plots/curve.png")
        root = Path(pack.get_artifact_uri())
    plt.close(figure)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert names == ["all/a.txt", "d.json", "d.yaml", "files/a.txt", "notes/hi.txt", "plots/curve.png"]
    assert (root / "plots" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert (root / "d.yaml").read_text(encoding="utf-8") == "a:\n- 1\n"
    client = pack.Client()
    assert [entry.path for entry in client.list_artifacts(run.info.run_id, "files")] == ["files/a.txt"]
    assert Path(client.download_artifacts(run.info.run_id, "d.json")).is_file()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\..\\x", "%2e%2e/x"])
def test_an_artifact_never_leaves_its_run(path: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    with pack.start_run():
        for call in (
            lambda: pack.log_text("x", path),
            lambda: pack.log_artifact(tmp_path / "a.txt", artifact_path=path),
            lambda: pack.get_artifact_uri(path),
        ):
            with pytest.raises(InvalidValue):
                call()


def test_each_thread_has_its_own_run() -> None:
    seen: list[str] = []

    def record() -> None:
        with pack.start_run() as run:
            pack.log_metric("m", 1.0)
            seen.append(run.info.run_id)

    with pack.start_run() as mine:
        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({*seen, mine.info.run_id}) == 5
    assert all(pack.get_run(run_id).data.metrics == {"m": 1.0} for run_id in seen)


@pytest.mark.parametrize(
    ("ending", "status"), [("", "FINISHED"), ("1 / 0", "FAILED"), ("raise SystemExit(1)", "FINISHED")]
)
def test_a_run_left_open_is_ended_when_python_ends(own_world: Path, ending: str, status: str) -> None:
    script = f"import pack\nprint(pack.start_run().info.run_id)\n{ending}\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert pack.get_run(done.stdout.strip()).info.status == status


def test_a_forked_child_records_and_leaves_the_run_open(own_world: Path) -> None:
    script = """
import os, pack
run = pack.start_run()
pack.log_metric("parent", 1.0)
child = os.fork()
if child == 0:
    pack.log_metric("child", 2.0)
    raise SystemExit(0)
os.waitpid(child, 0)
print(pack.get_run(run.info.run_id).info.status, sorted(pack.get_run(run.info.run_id).data.metrics))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "RUNNING ['child', 'parent']"


def test_another_store_can_be_chosen(tmp_path: Path) -> None:
    pack.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    with pack.start_run() as run:
        pass
    assert (tmp_path / "runs.db").is_file()
    pack.set_tracking_uri(None)
    with pytest.raises(NotFound):
        pack.get_run(run.info.run_id)
    with pytest.raises(InvalidUri, match="not supported yet"):
        pack.set_tracking_uri("http://localhost:5000")


def test_commit_branch_and_origin_are_recorded_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://ada:secret@example.org/churn.git"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side")], check=True)
    shown = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    for place, branch in ((folder, "main"), (tmp_path / "side", "side")):
        monkeypatch.chdir(place)
        with pack.start_run() as run:
            tags = {key.rpartition(".")[2]: value for key, value in run.data.tags.items() if ".git." in key}
        assert tags == {"commit": shown, "branch": branch, "repoURL": "https://example.org/churn.git"}


def test_a_folder_without_git_has_no_tags_of_it() -> None:
    with pack.start_run() as run:
        assert not [key for key in run.data.tags if ".git." in key]


def test_a_run_that_is_gone_on_with_gets_the_name_tags_and_description_that_are_given() -> None:
    with pack.start_run(run_name="first") as run:
        pass
    with pack.start_run(run.info.run_id, run_name="second", tags={"a": 1}, description="# Why") as again:
        assert again.info.run_name == "second"
    found = pack.get_run(run.info.run_id)
    assert (found.info.run_name, found.data.tags["a"]) == ("second", "1")
    assert found.data.tags["mlflow.note.content"] == "# Why"
    with pack.start_run(run.info.run_id) as kept:
        assert kept.info.run_name == "second"
