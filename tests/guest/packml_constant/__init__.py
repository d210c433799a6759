"""A guest package: a flavor for models that always answer the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from pack.flavors import Config, Flavor


class ConstantModel:
    """Answers one number for each row."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, rows: Any) -> list[float]:
        return [self.value] * len(rows)


class Constant(Flavor):
    name: ClassVar[str] = "constant"
    packages: ClassVar[tuple[str, ...]] = ()
    data_formats: ClassVar[tuple[str, ...]] = ("json",)
    handles: ClassVar[tuple[str, ...]] = ("packml_constant.ConstantModel",)

    def write(self, model: Any, home: Path) -> Config:
        (home / "constant.json").write_text(json.dumps(model.value), encoding="utf-8")
        return {"data": "constant.json"}

    def read(self, home: Path, config: Config) -> Any:
        return ConstantModel(json.loads((home / config["data"]).read_text(encoding="utf-8")))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        return model.predict(rows)
