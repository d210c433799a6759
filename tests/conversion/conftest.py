"""Conversions, each in a store of its own, measured for a moment only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.fluent import state

Converted = Callable[..., Any]


@pytest.fixture(autouse=True)
def fresh_state(own_world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is open, no store was chosen, and nobody waits for a measurement."""
    state.open_runs().clear()
    pack.set_tracking_uri(None)
    pack.set_registry_uri(None)
    from pack.conversion import timing

    monkeypatch.setattr(timing, "_SECONDS", 0.0)


@pytest.fixture
def both() -> Callable[..., tuple[Any, Any]]:
    """Log a model, convert it, and answer both as they are loaded, after comparing them on the rows."""

    def convert(model: Any, rows: Any, *, example: Any = None, to_form: bool = True, **options: Any) -> tuple[Any, Any]:
        detected = getattr(pack, pack.flavors.detect(model)) if options else pack
        detected.log_model(
            model,
            name="m",
            input_example=rows[:20] if example is None else example,
            registered_model_name="m",
            **options,
        )
        done = pack.convert("models:/m/1")
        assert (done.uri, done.version, done.proof.differing) == ("models:/m/2", 2, 0)
        source, converted = (pack.pyfunc.load_model(uri) for uri in ("models:/m/1", done.uri))
        assert_alike(converted.predict(rows), source.predict(rows))
        assert converted.signature == source.signature
        return source, converted

    return convert


def assert_alike(found: Any, expected: Any) -> None:
    """The same form, the same labels, the same numbers within single precision."""
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (np.shape(expected), np.asarray(expected).dtype)
    if found.dtype.kind == "f":
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)
    else:
        assert (found == expected).all()


def numbers() -> tuple[pd.DataFrame, Any]:
    """A frame of four columns of doubles, and their sum."""
    values = np.random.default_rng(0).normal(size=(200, 4))
    return pd.DataFrame(values, columns=list("abcd")), values.sum(axis=1) * 10
