"""What an alias points at is not deleted without force, by whichever name it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.errors import InvalidState, NotFound
from pack.mlmodel.model import ModelInfo
from tests import models


@pytest.fixture
def info() -> ModelInfo:
    """A model that a run of the experiment `churn` logged, registered as version 1, where `champion` points at it."""
    pack.set_experiment("churn")
    with pack.start_run():
        info = pack.log_model(models.classifier(), "churn", registered_model_name="churn")
    pack.set_alias("churn", "champion", 1)
    return info


def deletions(info: ModelInfo) -> dict[str, Callable[..., Any]]:
    """Each way to delete what the alias stands for."""
    client = pack.Client()
    experiment = pack.get_experiment_by_name("churn")
    assert experiment is not None
    return {
        "run": lambda **how: client.delete_run(str(info.run_id), **how),
        "run, by the verb": lambda **how: pack.delete_run(str(info.run_id), **how),
        "experiment": lambda **how: client.delete_experiment(experiment.experiment_id, **how),
        "experiment, by the verb": lambda **how: pack.delete_experiment(experiment.experiment_id, **how),
        "logged model": lambda **how: client.delete_logged_model(str(info.model_id), **how),
        "version": lambda **how: client.delete_model_version("churn", 1, **how),
        "registered model": lambda **how: client.delete_registered_model("churn", **how),
    }


WAYS = [
    "run",
    "run, by the verb",
    "experiment",
    "experiment, by the verb",
    "logged model",
    "version",
    "registered model",
]


@pytest.mark.parametrize("way", WAYS)
def test_what_an_alias_points_at_is_not_deleted(info: ModelInfo, way: str) -> None:
    with pytest.raises(InvalidState, match="@champion") as error:
        deletions(info)[way]()
    assert "force" in (error.value.hint or "")
    assert pack.pyfunc.load_model("models:/churn@champion").flavor == "sklearn"
    assert pack.get_run(str(info.run_id)).info.lifecycle_stage == "active"


@pytest.mark.parametrize("way", WAYS)
def test_with_force_it_is_and_without_an_alias_it_is(info: ModelInfo, way: str) -> None:
    pack.set_alias("churn", "another", 1)
    pack.delete_alias("churn", "champion")
    with pytest.raises(InvalidState, match="@another"):
        deletions(info)[way]()
    pack.delete_alias("churn", "another")
    deletions(info)[way]()
    with pytest.raises((NotFound, InvalidState)):
        pack.pyfunc.load_model(f"runs:/{info.run_id}/churn" if "run" in way else "models:/churn@champion")


@pytest.mark.parametrize("way", ["version", "registered model"])
def test_force_takes_the_alias_away_and_writes_it_down(info: ModelInfo, way: str) -> None:
    history = pack.alias_history("churn", "champion")
    deletions(info)[way](force=True)
    with pytest.raises(NotFound):
        pack.get_alias("churn", "champion")
    if way == "version":
        pack.Client().restore_model_version("churn", 1)
    else:
        pack.Client().restore_registered_model("churn")
    assert pack.alias_history("churn", "champion")[:-1] == history
    assert pack.alias_history("churn", "champion")[-1].to_version is None


@pytest.mark.parametrize("way", ["run", "experiment", "logged model"])
def test_a_version_keeps_its_files_when_what_made_it_is_deleted_by_force(info: ModelInfo, way: str) -> None:
    deletions(info)[way](force=True)
    assert pack.pyfunc.load_model("models:/churn@champion").flavor == "sklearn"
    assert pack.pyfunc.load_model("models:/churn/1").flavor == "sklearn"


def test_only_what_an_alias_stands_for_is_held(info: ModelInfo) -> None:
    with pack.start_run() as other:
        spare = pack.log_model(models.classifier(), "churn", registered_model_name="churn")
    pack.delete_run(other.info.run_id)
    pack.Client().delete_logged_model(str(spare.model_id))
    pack.Client().delete_model_version("churn", 2)
    with pytest.raises(InvalidState):
        pack.delete_run(str(info.run_id))


def test_a_copy_of_a_version_holds_what_it_was_copied_from(info: ModelInfo) -> None:
    pack.Client().copy_model_version("models:/churn/1", "production")
    pack.delete_alias("churn", "champion")
    pack.set_alias("production", "live", 1)
    pack.Client().delete_model_version("churn", 1)
    for way in ("run", "logged model", "experiment"):
        with pytest.raises(InvalidState, match="models:/production@live"):
            deletions(info)[way]()


def test_a_version_of_a_plain_folder_holds_the_run_that_it_names(tmp_path: Path) -> None:
    with pack.start_run() as run:
        pack.save_model(models.classifier(), tmp_path / "model")
    pack.Client().create_registered_model("churn")
    pack.Client().create_model_version("churn", str(tmp_path / "model"), run_id=run.info.run_id)
    pack.set_alias("churn", "champion", 1)
    with pytest.raises(InvalidState, match="@champion"):
        pack.delete_run(run.info.run_id)


def test_what_is_unknown_is_not_found_before_anything_is_looked_at(info: ModelInfo) -> None:
    client = pack.Client()
    calls: list[Callable[[], object]] = [
        lambda: client.delete_run("0" * 32),
        lambda: client.delete_experiment("999"),
        lambda: client.delete_logged_model("m-0"),
        lambda: client.delete_model_version("churn", 9),
        lambda: client.delete_registered_model("nothing"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


def test_a_long_list_of_aliases_is_shown_in_part(info: ModelInfo) -> None:
    for letter in "abcdefg":
        pack.set_alias("churn", letter, 1)
    with pytest.raises(InvalidState, match=r"models:/churn@a, .*models:/churn@d \.\.\.") as error:
        pack.delete_run(str(info.run_id))
    assert "@g" not in error.value.message
