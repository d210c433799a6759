"""The verbs around experiments."""

from __future__ import annotations

import pytest

import pack
from pack.errors import AlreadyExists, InvalidState, InvalidValue, NotFound


def test_an_experiment_is_made_once_and_chosen_by_name_or_id() -> None:
    made = pack.create_experiment("churn", tags={"team": "growth"})
    assert pack.set_experiment("churn").experiment_id == made
    assert pack.set_experiment(experiment_id=made).tags == {"team": "growth"}
    with pytest.raises(AlreadyExists):
        pack.create_experiment("churn")
    with pytest.raises(InvalidValue):
        pack.set_experiment("churn", experiment_id=made)


def test_tags_of_the_experiment_in_use_are_set_and_removed() -> None:
    pack.set_experiment("churn")
    pack.set_experiment_tag("a", 1)
    pack.set_experiment_tags({"b": 2, "c": 3})
    pack.delete_experiment_tag("b")
    found = pack.get_experiment_by_name("churn")
    assert found is not None
    assert found.tags == {"a": "1", "c": "3"}
    with pytest.raises(NotFound):
        pack.delete_experiment_tag("b")


def test_tags_go_to_the_experiment_of_the_open_run() -> None:
    other = pack.create_experiment("other")
    pack.set_experiment("churn")
    with pack.start_run(experiment_id=other):
        pack.set_experiment_tag("here", "yes")
    assert pack.get_experiment(other).tags == {"here": "yes"}


def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back() -> None:
    churn = pack.set_experiment("churn")
    with pack.start_run() as run:
        pass
    pack.delete_experiment(churn.experiment_id)
    assert pack.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(InvalidState, match="deleted"):
        pack.set_experiment("churn")
    pack.restore_experiment(churn.experiment_id)
    assert pack.get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_experiments_are_found_by_name_and_tag() -> None:
    for name in ("churn-a", "churn-b", "price"):
        pack.create_experiment(name, tags={"team": name[-1]})
    found = pack.search_experiments(filter_string="name LIKE 'churn%'", order_by=["name ASC"])
    assert [one.name for one in found] == ["churn-a", "churn-b"]
    assert [one.name for one in pack.search_experiments(filter_string="tags.team = 'b'")] == ["churn-b"]
    assert len(pack.search_experiments(max_results=2)) == 2
