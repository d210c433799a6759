"""`pack fetch`: a model at its place, proved by its digest, or nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import pack
from pack import artifacts
from pack.cli import main
from pack.errors import Damaged, InvalidState, InvalidValue, NotFound
from pack.images.fetching import WORK, fetch
from pack.mlmodel import digests
from tests import models

pytestmark = pytest.mark.sklearn
ALIAS = "models:/churn@champion"


def call(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["fetch", *words])
    assert done.exit_code == code, done.output
    return done


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_model_is_put_where_it_is_wanted(churn: str, tmp_path: Path) -> None:
    home = tmp_path / "opt" / "model"
    assert fetch(ALIAS, home).digest == churn
    assert digests.check(home).digest == churn
    assert names(home) == names(artifacts.local_path(ALIAS))
    assert pack.pyfunc.load_model(home).predict(models.iris()[0][:1]).tolist() == [0]


def test_what_is_there_already_is_not_fetched_again(churn: str, tmp_path: Path) -> None:
    assert not fetch(ALIAS, tmp_path / "m").was_there
    assert fetch(ALIAS, tmp_path / "m").was_there
    pack.set_registry_uri(f"sqlite:///{tmp_path}/empty.db")
    assert fetch(ALIAS, tmp_path / "m", digest=churn).was_there  # nobody is asked


def test_a_wrong_digest_leaves_nothing(churn: str, tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=f"has the digest {churn}, and {'0' * 64} was expected"):
        fetch(ALIAS, tmp_path / "m", digest="0" * 64)
    assert names(tmp_path / "m") == []
    done = call("-m", ALIAS, "-o", str(tmp_path / "m"), "--digest", "0" * 64, code=1)
    assert "was expected" in done.stderr
    with pytest.raises(InvalidValue, match="no digest"):
        fetch(ALIAS, tmp_path / "m", digest="abc")


def test_a_changed_file_leaves_nothing(churn: str, tmp_path: Path) -> None:
    (artifacts.local_path(ALIAS) / "requirements.txt").write_text("evil", encoding="utf-8")
    with pytest.raises(Damaged, match="requirements"):
        fetch(ALIAS, tmp_path / "m")
    assert names(tmp_path / "m") == []


def test_without_a_digest_to_compare_with_nothing_is_fetched(churn: str, tmp_path: Path) -> None:
    path = str(artifacts.local_path(ALIAS))
    with pytest.raises(InvalidState, match="no digest"):
        fetch(path, tmp_path / "m")
    assert fetch(path, tmp_path / "m", digest=f"sha256:{churn}").digest == churn


def test_another_model_gives_way_only_when_asked(churn: str, tmp_path: Path) -> None:
    fetch(ALIAS, tmp_path / "m")
    with pack.start_run():
        pack.log_model(models.wide_pipeline(), "model", registered_model_name="churn")
    pack.set_alias("churn", "champion", 2, force=True)
    with pytest.raises(InvalidState, match="another model"):
        fetch(ALIAS, tmp_path / "m")
    assert digests.check(tmp_path / "m").digest == churn
    found = fetch(ALIAS, tmp_path / "m", replace=True)
    assert found.uri == "models:/churn/2"
    assert digests.check(tmp_path / "m").digest == found.digest != churn


def test_files_that_are_no_model_are_never_removed(churn: str, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InvalidState, match="something else"):
        fetch(ALIAS, tmp_path / "letters", replace=True)
    assert names(tmp_path / "letters") == ["dear.txt"]


def test_a_fetch_that_was_killed_is_done_again(churn: str, tmp_path: Path) -> None:
    home = tmp_path / "m"
    fetch(ALIAS, home)
    (home / WORK / "model").mkdir(parents=True)
    (home / WORK / "model" / "half").write_text("x", encoding="utf-8")
    (home / "MLmodel").unlink()
    assert not fetch(ALIAS, home).was_there
    assert digests.check(home).digest == churn


def test_a_file_of_a_model_is_no_model(churn: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="MLmodel"):
        fetch(f"{ALIAS}/requirements.txt", tmp_path / "m")
    assert names(tmp_path / "m") == []


def test_the_command_says_what_it_did(churn: str, tmp_path: Path) -> None:
    home = str(tmp_path / "m")
    assert call(ALIAS, "-o", home).stdout.endswith(f"{churn}\n")
    assert f'"digest": "{churn}"' in call("-m", ALIAS, "-o", home, "--json").stdout
