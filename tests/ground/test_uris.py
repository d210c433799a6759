from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack import uris
from pack.errors import InvalidUri, InvalidValue
from pack.uris import LoggedModelUri, ModelUri, PathUri, RunUri, StoreUri

LOGGED = "m-" + "0f" * 16
MEANINGS = {
    "models:/churn/3": ModelUri("churn", version=3),
    "models:/churn@champion": ModelUri("churn", alias="champion"),
    "models:/a@b@champion": None,
    "models:/churn/latest": ModelUri("churn", latest=True),
    "models:/churn/LATEST": ModelUri("churn", latest=True),
    "models:/churn/Staging": ModelUri("churn", stage="Staging"),
    "models:/churn/3/code/a.py": ModelUri("churn", version=3, path="code/a.py"),
    "models:/churn@champion/MLmodel": ModelUri("churn", alias="champion", path="MLmodel"),
    f"models:/{LOGGED}": LoggedModelUri(LOGGED),
    "runs:/abc123/model": RunUri("abc123", "model"),
    "runs:/abc123": RunUri("abc123"),
    "./model": PathUri(Path("./model")),
    "/srv/model": PathUri(Path("/srv/model")),
    "file:///srv/my%20model": PathUri(Path("/srv/my model")),
    "s3://bucket/models/churn": StoreUri("s3", "bucket", "models/churn"),
}
REFUSED = [
    "", "models:", "models:/", "models:/churn", "models:/churn/0", "models:/churn/" + "9" * 19, "models://host/churn/1",
    "models:/../x/1", "models:/a/../1", "models:/a%2f..%2fb/1", "models:/a/1/../../x", "models:/a/1/%2e%2e/x",
    "models:/a/1/..\\x", "models:/a/1//etc/passwd", "models:/a@", "models:/a/1/x\x00.txt", "models:/a/1/x\r\n",
    "models:/a/1/\uff0e\uff0e/x", "models:/a/1/x\u2028", "models:/a/1/x\u202e", "models:/a/1/x#y", "models:/a/1/x?y",
    "models:/a/1/x;y", "runs:/", "runs:/../x", "runs:/a/b/../../c", "runs://host/r/x", "runs:/a b/x",
    "file://host/x", "file:///x#y", "file:///x?y", "s3:///key", "s3://bucket/#/../x", "s3://bucket/a/../b",
    "http:///#/../../../etc/", "mlflow-artifacts:/#/../..", "gopher://x/y", "javascript:alert(1)", "ext::sh -c id",
]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), [(text, meaning) for text, meaning in MEANINGS.items() if meaning])
def test_a_uri_is_read_into_its_typed_form(text: str, meaning: object) -> None:
    assert uris.parse(text) == meaning


@pytest.mark.parametrize("text", REFUSED)
def test_everything_outside_the_grammar_is_refused_with_a_way_forward(text: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        uris.parse(text)
    assert refusal.value.hint


def test_a_name_holds_no_at_sign() -> None:
    with pytest.raises(InvalidValue):
        uris.parse("models:/a@b@champion")


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused_and_nothing_else(text: str) -> None:
    try:
        uris.parse(f"models:/{text}")
    except InvalidValue:
        return


@given(st.text(max_size=40))
def test_a_model_uri_that_parses_prints_as_itself(text: str) -> None:
    try:
        found = uris.parse(f"models:/{text}")
    except InvalidValue:
        return
    assert uris.parse(str(found)) == found


@given(st.text(max_size=60))
def test_a_relative_path_never_leaves_its_root(text: str) -> None:
    try:
        path = uris.relative_path(text)
    except InvalidValue:
        return
    root = Path("/root/of/artifacts")
    assert (root / path).resolve().is_relative_to(root)


@pytest.mark.parametrize("name", ["../x", "a/b", "a:b", ".", "..", "", "   ", "a@b", "x" * 257, "a\nb", "a%20b", " a"])
def test_a_name_that_could_not_stand_in_a_uri_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        uris.model_name(name)


@pytest.mark.parametrize("name", ["churn", "-rf", "$(id)", "two words", "모델", "Model.v2", "x" * 256])
def test_an_odd_but_harmless_name_is_kept_literally(name: str) -> None:
    assert uris.model_name(name) == name


def test_a_windows_drive_is_a_path() -> None:
    assert isinstance(uris.parse("C:\\models\\churn"), PathUri)


def test_a_refusal_is_an_invalid_uri() -> None:
    with pytest.raises(InvalidUri, match="gopher"):
        uris.parse("gopher://x/y")
