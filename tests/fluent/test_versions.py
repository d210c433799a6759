"""Versions: registered from where a model lies, and from nowhere else; stages, the older way to say what is live."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pack
from pack.errors import InvalidState, InvalidUri, InvalidValue, NotFound, PackError
from pack.fluent import state
from pack.mlmodel.model import ModelInfo
from tests import models


@pytest.fixture
def info() -> ModelInfo:
    with pack.start_run():
        return pack.log_model(models.classifier(), "iris")


def test_a_version_says_of_what_it_was_made(info: ModelInfo, tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "saved")
    home = Path(info.artifact_path)
    for uri, source in (
        (info.model_uri, info.model_uri),
        (f"runs:/{info.run_id}/iris", info.model_uri),
        (str(home), str(home)),
        (home / "MLmodel", str(home / "MLmodel")),
        (tmp_path / "saved", str(tmp_path / "saved")),
        ("models:/iris/1", "models:/iris/1"),
    ):
        version = pack.register_model(uri, "iris")
        assert version.source == source
        assert Path(version.storage_location).is_dir()
    assert [one.version for one in pack.search_model_versions(filter_string=f"run_id = '{info.run_id}'")] == [
        6,
        4,
        3,
        2,
        1,
    ]


@pytest.mark.parametrize(
    "source",
    [
        "http:///#/../../../etc/",
        "mlflow-artifacts:/#/../..",
        "s3://bucket/#/../",
        "s3://bucket/a/../../b",
        "file:///etc/../etc#x",
        "file://evil.example/model",
        "runs:/../../x",
        "runs://host/RUN/iris",
        "runs:/RUN/../../x",
        "runs:/RUN/%2e%2e/x",
        "runs:/RUN/..%2fx",
        "runs:/RUN//etc/passwd",
        "runs:/RUN/iris;/../x",
        "runs:/RUN/iris\\..\\x",
        "runs:/RUN/iris\x00",
        "models:/../x",
        "models:/iris/1/../../x",
        "models:/m-" + "0" * 31,
        "dbfs:/x",
        "ext::sh -c id",
        "",
    ],
)
def test_a_source_outside_the_grammar_is_refused_whatever_tags_it_has(info: ModelInfo, source: str) -> None:
    given = source.replace("RUN", str(info.run_id))
    with pytest.raises(PackError) as error:
        pack.register_model(given, "iris", tags={"mlflow.prompt.is_prompt": "true"})
    assert error.value.http_status < 500
    assert pack.search_registered_models() == []


@pytest.mark.parametrize(
    "location", ["http:///#/../../../etc/", "mlflow-artifacts:/#/../..", "s3://b/#/../", "runs:/x/y"]
)
def test_a_location_outside_the_disk_is_refused(location: str) -> None:
    with pytest.raises(InvalidValue):
        pack.create_experiment("x", artifact_location=location)
    assert pack.get_experiment_by_name("x") is None


def test_a_model_of_a_deleted_run_or_one_that_is_not_there_is_not_registered(info: ModelInfo) -> None:
    pack.delete_run(str(info.run_id))
    for uri, kind in (
        (f"runs:/{info.run_id}/iris", InvalidState),
        (f"runs:/{'0' * 32}/iris", NotFound),
        (f"models:/m-{'0' * 32}", NotFound),
        ("models:/iris/1", NotFound),
        ("models:/iris@champion", NotFound),
    ):
        with pytest.raises(kind):
            pack.register_model(uri, "iris")
    assert pack.search_registered_models() == []


def test_a_link_in_a_model_is_not_followed_out_of_it(info: ModelInfo, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (Path(info.artifact_path) / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidValue):
        pack.register_model(info.model_uri, "iris")
    (Path(info.artifact_path).parent / "up").symlink_to(tmp_path)
    assert pack.search_model_versions() == []


def test_a_logged_model_knows_its_versions_however_many_register_at_once(info: ModelInfo) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: pack.register_model(info.model_uri, f"m{number % 3}"), range(16)))
    told = json.loads(pack.get_logged_model(str(info.model_id)).tags["mlflow.modelVersions"])
    made = [{"name": one.name, "version": one.version} for one in pack.search_model_versions()]
    assert sorted(map(str, told)) == sorted(map(str, made))
    assert len(told) == 16


@pytest.mark.parametrize("text", ["", "x", "{}", "[" * 100_000, '[{"name": "elsewhere", "version": 1}]'])
def test_a_tag_that_someone_else_wrote_does_not_stop_a_registration(info: ModelInfo, text: str) -> None:
    pack.set_logged_model_tags(str(info.model_id), {"mlflow.modelVersions": text})
    assert pack.register_model(info.model_uri, "iris").version == 1
    told = json.loads(pack.get_logged_model(str(info.model_id)).tags["mlflow.modelVersions"])
    assert told[-1] == {"name": "iris", "version": 1}


@pytest.mark.parametrize("name", ["../x", "a/b", "a:b", ".", "..", "", "  ", "a%20b", "e\u0301", "a\u202eb", "x" * 257])
def test_a_model_is_not_registered_under_a_name_that_is_none(info: ModelInfo, name: str) -> None:
    with pytest.raises(InvalidValue):
        pack.register_model(info.model_uri, name)
    assert pack.search_registered_models() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.transition_model_version_stage("iris", "1", "archived"),
        lambda client: client.get_latest_versions("iris", ["Production"]),
        lambda client: client.get_model_version_stages("iris", 1),
        lambda client: client.set_model_version_tag("iris", stage="Production", key="a", value="b"),
        lambda client: client.delete_model_version_tag("iris", stage="Production", key="a"),
    ],
)
def test_stages_warn_where_they_are_used(info: ModelInfo, call: Callable[[pack.Client], object]) -> None:
    pack.register_model(info.model_uri, "iris")
    state.registry().set_stage("iris", 1, "Production")
    with pytest.warns(FutureWarning, match="aliases say which version is live") as warned:
        call(pack.Client())
    assert [Path(warning.filename).name for warning in warned] == ["test_versions.py"]


def test_a_uri_of_a_stage_loads_with_a_warning(info: ModelInfo) -> None:
    pack.register_model(info.model_uri, "iris")
    state.registry().set_stage("iris", 1, "Production")
    with pytest.warns(FutureWarning, match="models:/iris@ALIAS"):
        assert pack.pyfunc.load_model("models:/iris/Production").flavor == "sklearn"


@pytest.mark.filterwarnings("ignore:stages are deprecated")
def test_a_version_is_named_by_number_or_by_stage_and_not_by_both(info: ModelInfo) -> None:
    pack.register_model(info.model_uri, "iris")
    client = pack.Client()
    for version, stage in ((1, "Staging"), (None, None)):
        with pytest.raises(InvalidValue, match="a version or a stage"):
            client.set_model_version_tag("iris", version, "a", "b", stage)
    with pytest.raises(NotFound, match="in stage 'Staging'"):
        client.set_model_version_tag("iris", stage="Staging", key="a", value="b")
    with pytest.raises((NotFound, InvalidUri)):
        pack.pyfunc.load_model("models:/iris/Staging")
    pack.set_model_version_tag("iris", key="newest", value=1)
    assert client.get_model_version("iris", 1).tags == {"newest": "1"}
