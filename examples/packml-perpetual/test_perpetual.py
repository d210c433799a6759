"""Perpetual's boosters pass the suite of every flavor."""

from typing import Any

import numpy
import pandas
import perpetual
import pytest

import pack
from pack import flavors
from pack.errors import InvalidValue
from tests.contracts.flavor import FlavorContract

ROWS = pandas.DataFrame({"depth": numpy.arange(40.0), "width": numpy.arange(40.0) % 3})
COST = ROWS["depth"].to_numpy() * 2 + ROWS["width"].to_numpy()


class TestPerpetual(FlavorContract):
    flavor = "perpetual"

    def model(self) -> Any:
        return perpetual.PerpetualBooster(objective="SquaredLoss", iteration_limit=10, num_threads=1).fit(ROWS, COST)

    def rows(self) -> Any:
        return ROWS


class TestClassifier(TestPerpetual):
    def model(self) -> Any:
        return perpetual.PerpetualClassifier(iteration_limit=10, num_threads=1).fit(ROWS, (COST > 40).astype(int))


def test_a_class_comes_back_as_it_was(tmp_path: Any) -> None:
    flavors.save_model(TestClassifier().model(), tmp_path / "model")
    assert type(pack.load_model(tmp_path / "model")) is perpetual.PerpetualClassifier


def test_an_objective_of_ones_own_is_refused(tmp_path: Any) -> None:
    model = perpetual.PerpetualBooster(objective=(abs, abs, abs))
    with pytest.raises(InvalidValue, match="objective of your own"):
        flavors.save_model(model, tmp_path / "model")
