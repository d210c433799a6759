"""The verbs around models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pack
from pack.errors import Damaged, InvalidState, InvalidValue, NotFound
from pack.fluent import state
from tests import models


@pytest.fixture(autouse=True)
def fresh_state(own_world: Path) -> None:
    state.open_runs().clear()
    pack.set_tracking_uri(None)


def log(**options: Any) -> Any:
    return pack.log_model(models.classifier(), "iris", input_example=models.iris()[0][:2], **options)


def test_a_logged_model_says_where_it_is_and_loads_by_every_uri() -> None:
    with pack.start_run() as run:
        info = log(registered_model_name="iris", params={"depth": 3}, tags={"team": "growth"}, metadata={"note": 1})
    pack.set_alias("iris", "champion", info.registered_model_version)
    assert info.model_uri == f"models:/{info.model_id}"
    assert (info.run_id, info.name, info.registered_model_version) == (run.info.run_id, "iris", 1)
    assert (info.params, info.tags, info.metadata) == ({"depth": "3"}, {"team": "growth"}, {"note": 1})
    uris = (
        info.model_uri,
        f"runs:/{run.info.run_id}/iris",
        "models:/iris/1",
        "models:/iris@champion",
        "models:/iris/latest",
    )
    rows = models.iris()[0][::40]
    for uri in (*uris, info.artifact_path):
        assert pack.pyfunc.load_model(uri).predict(rows).tolist() == models.classifier().predict(rows).tolist()
        assert type(pack.load_model(uri)).__name__ == "LogisticRegression"


def test_the_bytes_are_stored_once() -> None:
    info = log(registered_model_name="iris")
    pack.register_model(info.model_uri, "again")
    found = list(Path(".pack").rglob("model.skops"))
    assert len(found) == 1
    versions = pack.Client().search_model_versions()
    assert {version.storage_location for version in versions} == {str(Path(info.artifact_path))}
    assert len({version.digest for version in versions}) == 1


def test_versions_count_up_and_aliases_move() -> None:
    for number in (1, 2, 3):
        assert log(registered_model_name="iris").registered_model_version == number
    pack.set_alias("iris", "champion", 3)
    pack.set_alias("iris", "champion", "2", reason="back")
    assert pack.get_alias("iris", "champion").version == 2
    pack.delete_alias("iris", "champion")
    with pytest.raises(NotFound):
        pack.pyfunc.load_model("models:/iris@champion")


def test_a_model_that_cannot_be_written_is_never_ready() -> None:
    with pytest.raises(InvalidValue), pack.start_run() as run:
        pack.log_model(lambda model_input: 1, "bad", code_paths="not a list")
    store = state.tracking()
    assert store.models_of_run(run.info.run_id) == []
    with pytest.raises(NotFound):
        pack.pyfunc.load_model(f"runs:/{run.info.run_id}/bad")


def test_a_damaged_model_is_not_registered() -> None:
    info = log()
    (Path(info.artifact_path) / "model.skops").write_bytes(b"x")
    with pytest.raises(Damaged):
        pack.register_model(info.model_uri, "iris")
    assert pack.Client().search_registered_models() == []


def test_a_saved_model_can_be_registered_by_its_path(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "m")
    version = pack.register_model(tmp_path / "m", "iris", tags={"a": 1})
    assert (version.version, version.tags) == (1, {"a": "1"})
    assert pack.pyfunc.load_model("models:/iris/1").flavor == "sklearn"
    with pytest.raises(NotFound):
        pack.register_model(tmp_path, "iris")


def test_a_deleted_run_gives_nothing() -> None:
    with pack.start_run() as run:
        log()
    pack.Client().delete_run(run.info.run_id)
    with pytest.raises(InvalidState):
        pack.pyfunc.load_model(f"runs:/{run.info.run_id}/iris")


def test_options_of_no_flavor_are_named() -> None:
    with pytest.raises(InvalidValue, match="wrong_option"):
        log(wrong_option=1)


def test_a_client_has_mlflows_methods_for_the_registry() -> None:
    log(registered_model_name="iris")
    client = pack.MlflowClient()
    client.set_registered_model_alias(name="iris", alias="champion", version=1)
    client.set_registered_model_tag("iris", "task", "classification")
    client.set_model_version_tag("iris", version="1", key="validation", value="approved")
    client.update_model_version("iris", 1, description="# Notes")
    found = client.get_model_version_by_alias("iris", "champion")
    assert (found.version, found.tags, found.description) == (1, {"validation": "approved"}, "# Notes")
    client.delete_registered_model_alias("iris", "champion")
    client.delete_model_version("iris", 1)
    assert client.search_model_versions("name = 'iris'") == []


def test_model_info_is_read_without_loading() -> None:
    info = log()
    found = pack.models.get_model_info(info.model_uri)
    assert found.model_id == info.model_id
    assert set(found.flavors) == {"python_function", "sklearn"}
