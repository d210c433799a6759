from __future__ import annotations

import inspect
import json

import pytest

from pack import errors
from pack.errors import NotFound, PackError

TREE = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, PackError)]


@pytest.mark.parametrize("error", TREE)
def test_each_error_carries_a_code_a_status_and_a_place_in_the_drawing(error: type[PackError]) -> None:
    assert error.error_code.isupper()
    assert 400 <= error.http_status <= 599
    assert error.__name__ in (errors.__doc__ or "")


def test_an_error_says_what_to_do_next() -> None:
    assert str(NotFound("no model 'churn'", hint="list them: pack models list")).splitlines() == [
        "no model 'churn'",
        "  list them: pack models list",
    ]


def test_an_error_answers_with_mlflows_fields() -> None:
    body = json.loads(NotFound("no model 'churn'").serialize_as_json())
    assert body == {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no model 'churn'"}
