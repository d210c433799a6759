"""Type hints on a predict function: what signature they mean, and what they make of data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidValue, SchemaMismatch
from pack.pyfunc import hints


def hinted(hint: Any, returns: Any = None) -> Any:
    def predict(model_input: Any) -> Any:
        return model_input

    predict.__annotations__ = {"model_input": hint, **({} if returns is None else {"return": returns})}
    return predict


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (list[int], "[long (required)]"),
        (list[str], "[string (required)]"),
        (list[bool], "[boolean (required)]"),
        (list[float], "[double (required)]"),
        (list[bytes], "[binary (required)]"),
        (list[datetime], "[datetime (required)]"),
        (list[list[int]], "[Array(long) (required)]"),
        (list[dict[str, float]], "[Map(str -> double) (required)]"),
        (list[Any], "[any (required)]"),
    ],
)
def test_a_hint_means_a_column_without_a_name(hint: Any, shown: str) -> None:
    signature = hints.signature_of(hints.hints_of(hinted(hint, hint)))
    assert signature is not None
    assert repr(signature.inputs) == shown == repr(signature.outputs)


@pytest.mark.parametrize("hint", [pd.DataFrame, pd.Series, str, dict[str, int], np.ndarray, "not_a_name", None])
def test_other_hints_mean_no_signature(hint: Any) -> None:
    assert hints.signature_of(hints.hints_of(hinted(hint))) is None
    assert hints.list_hint(hints.hints_of(hinted(hint))) is None


def test_a_list_of_what_no_signature_describes_is_an_error_unless_a_signature_is_given(tmp_path: Path) -> None:
    def predict(model_input: list[set[int]]) -> Any:
        return len(model_input)

    with pytest.raises(InvalidValue, match="set"):
        pack.save_model(predict, tmp_path / "m", input_example=[1, 2])
    pack.save_model(predict, tmp_path / "m", signature=pack.infer_signature([1, 2]))
    assert pack.pyfunc.load_model(tmp_path / "m").predict([1, 2]) == 2


def test_the_example_is_tried_and_tells_what_the_hints_do_not(tmp_path: Path) -> None:
    def predict(model_input: list[int]):  # type: ignore[no-untyped-def]
        return [value / 2 for value in model_input]

    written = pack.save_model(predict, tmp_path / "m", input_example=[1, 2])
    assert repr(written.get_output_schema()) == "[double (required)]"
    assert written.is_signature_from_type_hint
    with pytest.raises(SchemaMismatch, match="item 1: holds text, declared long"):
        pack.save_model(predict, tmp_path / "n", input_example=[1, "2"])
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize(
    ("hint", "data", "made"),
    [
        (list[int], pd.DataFrame({"x": [1, 2]}), [1, 2]),
        (list[int], np.array([1, 2]), [1, 2]),
        (list[str], ("a", "b"), ["a", "b"]),
        (list[dict[str, Any]], pd.DataFrame({"a": [1], "b": ["x"]}), [{"a": 1, "b": "x"}]),
        (list[datetime], ["2020-01-02T03:04:05"], [datetime(2020, 1, 2, 3, 4, 5)]),  # noqa: DTZ001
        (list[bytes], ["AAE="], [b"\x00\x01"]),
        (list[Optional[int]], [1, None], [1, None]),  # noqa: UP045 - as people write it
        (list[int | None], [1, None], [1, None]),
    ],
)
def test_data_becomes_a_list_of_what_the_hint_says(hint: Any, data: Any, made: list[Any]) -> None:
    assert hints.convert_input(hint, data) == made


@pytest.mark.parametrize(
    ("hint", "data", "says"),
    [
        (list[int], ["1"], "item 0: holds text, declared long"),
        (list[int], [1.5], "item 0: holds a number with a fraction"),
        (list[str], [1], "item 0"),
        (list[bool], [1], "item 0"),
        (list[dict[str, int]], [{"a": 1}, {"a": "x"}], "item 1"),
        (list[int], 5, "takes a list, int came"),
        (list[int], "12", "takes a list, str came"),
        (list[bytes], ["*"], "item 0: .*not base64"),
    ],
)
def test_data_that_does_not_fit_names_the_item(hint: Any, data: Any, says: str) -> None:
    with pytest.raises(SchemaMismatch, match=says):
        hints.convert_input(hint, data)


def test_hints_survive_a_pickle_that_leaves_their_names_behind(tmp_path: Path) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "from __future__ import annotations\nimport datetime as dt\nfrom typing import Any\n"
        "def when(model_input: list[dt.datetime]) -> Any:\n    return [one.year for one in model_input]\n"
        "def first(model_input: list[str]) -> NotThere:\n    return type(model_input).__name__\n",
        scope,
    )
    for name in ("when", "first"):
        assert pack.save_model(scope[name], tmp_path / name).is_signature_from_type_hint
        assert not hasattr(scope[name], "_predict_type_hints")
    assert pack.pyfunc.load_model(tmp_path / "when").predict(["2020-01-02T03:04:05"]) == [2020]
    assert pack.pyfunc.load_model(tmp_path / "first").predict(["a"]) == "list"


def test_pydantic_models_are_objects_and_are_made_from_dicts(tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    (tmp_path / "shop.py").write_text(
        "from typing import Optional\nimport pydantic\nfrom pack.models import set_model\n"
        "class Item(pydantic.BaseModel):\n    price: float\n    count: int = 1\n    note: Optional[str] = None\n"
        "def predict(model_input: list[Item]) -> list[float]:\n"
        "    return [item.price * item.count for item in model_input]\n"
        "set_model(predict)\n",
        encoding="utf-8",
    )
    written = pack.save_model(tmp_path / "shop.py", tmp_path / "m", input_example=[{"price": 2.0}])
    assert "price: double (required)" in repr(written.get_input_schema())
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict([{"price": 2.0, "count": 3}, {"price": 1.0}]) == [6.0, 1.0]
    with pytest.raises(SchemaMismatch, match="item 0 is no Item: price"):
        loaded.predict([{"count": 3}])
