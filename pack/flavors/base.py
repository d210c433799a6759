"""The flavor contract: how to write a model into a folder, how to read it back, how to predict.

Everything else (signature, input example, environment files, code, digests, the `python_function` entry, the atomic
finish) is done once, in the save shell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from pack.errors import InvalidState, InvalidValue
from pack.mlmodel.signature import ModelSignature

Config: TypeAlias = dict[str, Any]


class Block(Config):
    """A flavor's block of an MLmodel file; asking for a key that is missing raises `InvalidValue` naming it."""

    def __missing__(self, key: str) -> Any:
        raise InvalidValue(f"the MLmodel file lacks {key!r} in a flavor's block", hint="save the model again")


@dataclass(frozen=True)
class Conventions:
    """What every model of a kind has: its signature, an example unless one is given, and some metadata.

    `read_example` makes a given example one of the common form.
    """

    kind: str
    signature: ModelSignature
    example: Any
    read_example: Callable[[Any], Any]
    metadata: Mapping[str, Any]


class Flavor:
    """One framework. A flavor is made with its save options as keyword arguments, and holds nothing else."""

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    # What a guest writes, for `pack flavors`: formats that are only data, and formats that can run code when read.
    # Where it names neither, they are shown as unknown.
    data_formats: ClassVar[tuple[str, ...]] = ()
    code_formats: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def restore(cls, config: Config, python_function: Config) -> Flavor:
        """The flavor as it was when it wrote these two blocks of the MLmodel file."""
        return cls()

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """Called before `write`: the data of the input example and the signature, as they were given or None."""

    def write(self, model: Any, home: Path) -> Config:
        """Write the model into `home` and answer the flavor's block: plain values that `read` needs."""
        raise NotImplementedError

    def read(self, home: Path, config: Config) -> Any:
        """The model that `write` wrote into `home`, as the framework knows it."""
        raise NotImplementedError

    def read_native(self, home: Path, config: Config) -> Any:
        """The model as the framework's users know it, where that is not what `read` gives to `predict`."""
        return self.read(home, config)

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """The model's predictions for rows that its signature has passed."""
        raise NotImplementedError

    def predict_stream(self, model: Any, rows: Any, params: Config) -> Any:
        """The model's predictions one after another, for those that can."""
        raise InvalidState(f"a {self.name} model does not stream", hint="call predict")

    def rows_are_independent(self, model: Any) -> bool:
        """Whether each row's prediction depends on that row alone: several requests can then be scored in one call."""
        return False

    def runs_code(self, config: Config) -> str | None:
        """Why reading this model runs code that it carries; None where it cannot."""
        return None

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Why reading the files of this model runs code, for flavors that have to look at them; None where it cannot.

        Asked when a model is inspected, after `runs_code`. Nothing of the model may be run; `read` judges by itself.
        """
        return None

    def python_function(self, config: Config) -> Config | None:
        """The flavor's own keys of the `python_function` block; None where the model just written cannot predict."""
        if "data" not in config:
            raise InvalidState(
                f"the {self.name} flavor wrote no 'data', which says where its model lies",
                hint="add it to what write answers, or override python_function",
            )
        return {"loader_module": f"mlflow.{self.name}", "data": config["data"]}

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """The top-level modules that the written model needs besides `packages`."""
        return set()

    def signature(self, model: Any) -> ModelSignature | None:
        """The signature that the model itself knows; None where it knows none."""
        return None

    def conventions(self, model: Any) -> Conventions | None:
        """What a model of this kind always has; asked after `write`. None for a model that is as it was given."""
        return None

    def ready(self, model: Any, home: Path, config: Config) -> Any:
        """The model as `read` would give it, for a prediction before it is saved."""
        return model
