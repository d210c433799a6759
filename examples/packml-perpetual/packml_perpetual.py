"""Perpetual's boosters, kept in Perpetual's own format."""

from pathlib import Path
from typing import Any

from pack.errors import InvalidValue
from pack.flavors import Config, Flavor
from pack.trust.admission import read_bytes

KINDS = ("PerpetualBooster", "PerpetualClassifier", "PerpetualRegressor", "PerpetualRanker")


class Perpetual(Flavor):
    name = "perpetual"  # the key in the MLmodel file, and the entry point's name
    packages = ("packml_perpetual", "perpetual", "sklearn")  # modules whose distributions every such model requires
    handles = ("perpetual.booster.PerpetualBooster",)  # types that are detected; a parent class covers its children

    data_formats = ("json",)  # shown by `pack flavors`; `code_formats` are those that run code when read

    def write(self, model: Any, home: Path) -> Config:
        if type(model) is not kind_of(type(model).__name__) or not isinstance(model.objective, str):
            raise InvalidValue(
                f"this {type(model).__name__} has a class or an objective of your own, which its format does not keep",
                hint="use Perpetual's own, or wrap the model in a PythonModel",
            )
        model.save_booster(home / "model.json")
        return {"data": "model.json", "kind": type(model).__name__}  # plain values that `read` needs

    def read(self, home: Path, config: Config) -> Any:
        return kind_of(config["kind"]).load_model(read_bytes(home / config["data"]))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        return model.predict(rows)

    def rows_are_independent(self, model: Any) -> bool:
        return True


def kind_of(name: str) -> Any:
    """Perpetual's class of this name, one of those that we know."""
    import perpetual

    if name not in KINDS:
        raise InvalidValue(f"{name!a:.100} is not one of Perpetual's models", hint=f"use one of {', '.join(KINDS)}")
    return getattr(perpetual, name)
