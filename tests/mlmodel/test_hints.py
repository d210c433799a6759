"""What type hints mean as a schema; pydantic models are tested beside real MLflow, which brings pydantic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Dict, List, Literal, Optional, Union  # noqa: UP035 - people still write these

import pandas as pd
import pytest

from pack.errors import InvalidValue
from pack.mlmodel import schema_from_hint
from pack.mlmodel.hints import type_from_hint


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (list[int], "[long (required)]"),
        (list[str], "[string (required)]"),
        (list[bool], "[boolean (required)]"),
        (list[float], "[double (required)]"),
        (list[bytes], "[binary (required)]"),
        (list[datetime], "[datetime (required)]"),
        (list[list[int]], "[Array(long) (required)]"),
        (list[dict[str, list[float]]], "[Map(str -> Array(double)) (required)]"),
        (List[Dict[str, int]], "[Map(str -> long) (required)]"),  # noqa: UP006
        (list[Any], "[any (required)]"),
        (list[dict], "[any (required)]"),  # type: ignore[type-arg]
        (list[Union[int, str]], "[any (required)]"),  # noqa: UP007
        (list[int | str], "[any (required)]"),
        (list[Literal["a", "b"]], "[string (required)]"),
        (list[Literal["a", 1]], "[any (required)]"),
        (list[list[Optional[int]]], "[Array(long) (required)]"),  # noqa: UP045
    ],
)
def test_a_list_of_a_known_type_is_a_column_without_a_name(hint: Any, schema: str) -> None:
    assert repr(schema_from_hint(hint)) == schema


@pytest.mark.parametrize("hint", [int, str, list, List, dict[str, int], pd.DataFrame, None, Any, Optional[list[int]]])  # noqa: UP006, UP045
def test_any_other_hint_says_nothing_about_rows(hint: Any) -> None:
    assert schema_from_hint(hint) is None


class Unknown:
    pass


@pytest.mark.parametrize(
    "hint", [Unknown, complex, tuple[int, int], set[int], dict[int, str], pd.DataFrame, Annotated[int, {}], "Later"]
)
def test_a_list_of_what_no_signature_knows_is_an_error_that_says_what_is_known(hint: Any) -> None:
    with pytest.raises(InvalidValue, match="has no signature type") as error:
        schema_from_hint(list[hint])
    assert "list[...] of str" in str(error.value)


def test_what_may_be_none_is_not_required() -> None:
    assert type_from_hint(Optional[int])[1] is False  # noqa: UP045
    assert type_from_hint(int | None)[1] is False
    assert type_from_hint(Union[int, str, None])[1] is False  # noqa: UP007
    assert type_from_hint(Literal["a", None])[1] is False  # noqa: PYI061
    assert type_from_hint(int)[1] is True
