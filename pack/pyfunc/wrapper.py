"""`PyFuncModel`: one `predict()` for a model of any flavor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pack.errors import InvalidState
from pack.mlmodel.plan import ColumnPlan, Plan, compile_plan
from pack.mlmodel.signature import ModelSignature
from pack.pyfunc.model import native as as_given

if TYPE_CHECKING:
    from pack.flavors.base import Config, Flavor
    from pack.mlmodel.model import Model


class PyFuncModel:
    """A loaded model. Data may be a frame, an array, a dict, a list, a sparse matrix, or a Polars or Arrow table."""

    def __init__(
        self, metadata: Model, flavor: Flavor, native: Any, *, home: Path, model_config: Config, digest: str = ""
    ) -> None:
        self.metadata = metadata
        self.model_config = model_config
        self.home = home
        self.digest = digest
        self._flavor = flavor
        self._native = native
        self.plan = _plan(metadata, native)
        self._predict = flavor.predict

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """The model's predictions; raises `SchemaMismatch` naming the column where data does not fit the signature.

        >>> pack.pyfunc.load_model("models:/churn@champion").predict(frame)  # doctest: +SKIP
        """
        return self._predict(self._native, self.plan.data(data), self.plan.params(params))

    def score(self, rows: Any, params: dict[str, Any]) -> Any:
        """The predictions for rows and params that `plan` has passed already."""
        return self._predict(self._native, rows, params)

    def predict_stream(self, data: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        """The model's predictions one after another; raises `InvalidState` for a model that does not stream."""
        return self.stream(self.plan.data(data), self.plan.params(params))

    @property
    def is_async(self) -> bool:
        """Whether `predict` is `async def`: a server awaits `score_async` on its own event loop."""
        return bool(getattr(self._native, "is_async", False)) and self._flavor.name == "python_function"

    async def score_async(self, rows: Any, params: dict[str, Any]) -> Any:
        """As `score`, for a model that `is_async`, on the running loop."""
        return await self._native.predict_async(rows, params)

    @property
    def streams(self) -> bool:
        """Whether the model has a `predict_stream`."""
        return bool(getattr(self._native, "streams", False)) and self._flavor.name == "python_function"

    @property
    def streams_async(self) -> bool:
        """Whether `predict_stream` is an async generator: a server iterates `stream_async` on its own event loop."""
        return self.streams and bool(self._native.streams_async)

    def stream(self, rows: Any, params: dict[str, Any]) -> Iterator[Any]:
        """The predictions one after another, for rows and params that `plan` has passed already."""
        found: Iterator[Any] = self._flavor.predict_stream(self._native, rows, params)
        return found

    def stream_async(self, rows: Any, params: dict[str, Any]) -> AsyncIterator[Any]:
        """As `stream`, for a model that `streams_async`, on the running loop."""
        found: AsyncIterator[Any] = self._native.stream_async(rows, params)
        return found

    def unwrap_python_model(self) -> Any:
        """The `PythonModel` inside; raises `InvalidState` for a model of another flavor."""
        if self._flavor.name != "python_function" or not hasattr(self._native, "model"):
            raise InvalidState(f"this is a {self._flavor.name} model, not a python model", hint="use get_raw_model()")
        return self._native.model

    def get_raw_model(self) -> Any:
        """The model as its framework knows it."""
        return as_given(self._native.model) if self._flavor.name == "python_function" else self._native

    @property
    def rows_are_independent(self) -> bool:
        """Whether the rows of several requests can be scored in one call; the flavor, or the python model, says so."""
        return self._flavor.rows_are_independent(self._native)

    @property
    def signature(self) -> ModelSignature | None:
        """What goes in and comes out."""
        return self.metadata.signature

    @property
    def input_example(self) -> Any:
        """The example that the model was saved with; None without one."""
        from pack.mlmodel.examples import load_example

        return load_example(self.home, self.metadata)

    @property
    def model_id(self) -> str | None:
        """The id of a logged model."""
        return self.metadata.model_id

    @property
    def loader_module(self) -> str:
        """The loader that the MLmodel file names."""
        return str(self.metadata.flavor("python_function").get("loader_module"))

    @property
    def flavor(self) -> str:
        """The name of the flavor that predicts."""
        return self._flavor.name

    def __repr__(self) -> str:
        where = self.metadata.model_id or self.home.name
        return f"<PyFuncModel {where}: {self._flavor.name}>"


class ExamplePlan(ColumnPlan):
    """Enforcement for a model that wants its input as its example was: a list, where columns were inferred from it."""

    def data(self, data: Any) -> Any:
        """The list of values, or of records, that the declared columns hold."""
        frame = super().data(data)
        return frame.iloc[:, 0].tolist() if not self._named else frame.to_dict(orient="records")


def _plan(metadata: Model, native: Any) -> Plan:
    """Enforcement from the signature; where type hints gave it and are here, the hints themselves check the data."""
    signature = metadata.signature
    if signature is None or signature.inputs is None:
        return compile_plan(signature)
    if metadata.is_signature_from_type_hint and getattr(native, "hint", None) is not None:
        return Plan(None, signature.params)
    example = (metadata.saved_input_example_info or {}).get("type")
    if metadata.type_hint_from_example and example == "json_object" and not signature.inputs.is_tensor_spec():
        return ExamplePlan(signature.inputs, signature.params)
    return compile_plan(signature)
