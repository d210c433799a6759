"""ONNX graphs, scored by ONNX Runtime.

Keys are MLflow's (interoperability facts, flavors, section 9). A graph's large tensors may lie in files beside it, in
the model's own directory and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from pack.errors import InvalidValue, SchemaMismatch
from pack.flavors import onnx_options
from pack.flavors.base import Config, Flavor
from pack.flavors.onnx_runtime import onnxruntime
from pack.mlmodel.schema import Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.trust.admission import read_bytes, verified_path

# Protocol buffers end at 2 GiB: the tensors of a larger graph lie in a file beside it.
_MOST = 2**31 - 2**20
_LARGE = 64 * 2**20
_DATA = "model.onnx.data"
_TEXTS = (None, "str", "object")


class ONNX(Flavor):
    """A graph; `onnx_execution_providers` and `onnx_session_options` are kept for whoever loads it.

    With `save_as_external_data` large tensors go into a file beside the graph; left out, they do where they must.
    `answer` names the output that alone is given back, as an array; `answer_dtype`, str or object, is that of text.
    """

    name: ClassVar[str] = "onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")

    def __init__(
        self,
        onnx_execution_providers: Sequence[Any] | None = None,
        onnx_session_options: Mapping[str, Any] | None = None,
        save_as_external_data: bool | None = None,
        answer: str | None = None,
        answer_dtype: str | None = None,
    ) -> None:
        self.providers = list(onnx_execution_providers or onnx_options.DEFAULT_PROVIDERS)
        self.session_options = dict(onnx_session_options) if onnx_session_options else None
        self.save_as_external_data = save_as_external_data
        self.answer = answer
        self.answer_dtype = answer_dtype
        self._example: Any = None
        onnx_options.session_options(self.session_options)
        if answer_dtype not in _TEXTS:
            raise InvalidValue(f"answer_dtype={answer_dtype!a:.60} is not known", hint="use 'str', 'object', or None")

    @classmethod
    def restore(cls, config: Config, python_function: Config) -> ONNX:
        """The flavor with the answer that the model was saved for."""
        return cls(answer=config.get("answer"), answer_dtype=config.get("answer_dtype"))

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """A frame as example means that the model is asked with frames, whose columns the graph does not know."""
        self._example = example

    def write(self, model: Any, home: Path) -> Config:
        """Write the graph, and its large tensors beside it where they are many; it is checked first."""
        outside = self.save_as_external_data
        outside = model.ByteSize() > _MOST if outside is None else outside
        path = home / "model.onnx"
        # The library moves tensors out of the graph that it is given, so it is given its own.
        given = _copied(model) if outside else model
        onnx.save_model(given, str(path), save_as_external_data=outside, location=_DATA)
        try:
            onnx.checker.check_model(str(path))
        except onnx.checker.ValidationError as error:
            raise InvalidValue(f"this is no valid ONNX graph: {error}", hint="check it with onnx.checker") from error
        answer = {"answer": self.answer, "answer_dtype": self.answer_dtype}
        return {
            "onnx_version": onnx.__version__,
            "data": path.name,
            "providers": self.providers,
            "onnx_session_options": self.session_options,
            **{name: value for name, value in answer.items() if value is not None},
        }

    def read(self, home: Path, config: Config) -> Any:
        """A session of ONNX Runtime."""
        data, outside = _checked(home, config)
        options = onnx_options.session_options(config.get("onnx_session_options"))
        # Tensors outside are found beside the graph's file, and a large graph is not held twice.
        by_name = outside or len(data) > _LARGE
        source: Any = str(verified_path(home / str(config["data"]))) if by_name else data
        del data
        try:
            return onnxruntime.InferenceSession(
                source, options, providers=onnx_options.available(config.get("providers"))
            )
        except Exception as error:
            raise InvalidValue(
                f"ONNX Runtime {onnxruntime.__version__} does not load {config['data']!a}: {error!s:.300}",
                hint="install the version that the model was saved with, or convert the model again",
            ) from error

    def read_native(self, home: Path, config: Config) -> Any:
        """The graph."""
        data, outside = _checked(home, config)
        graph = onnx.load_model_from_string(data)
        if outside:
            onnx.load_external_data_for_model(graph, str(home))
        return graph

    def ready(self, model: Any, home: Path, config: Config) -> Any:
        """A session of what was written."""
        return self.read(home, config)

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """The `answer` as an array; without one a frame for a frame, else a dict of arrays by the outputs' names."""
        fed = _fed(model.get_inputs(), rows)
        names = [one.name for one in model.get_outputs()]
        if self.answer is not None:
            return self._answer(model, names, fed)
        found = dict(zip(names, model.run(names, fed), strict=True))
        return _frame(found, rows) if hasattr(rows, "columns") else found

    def _answer(self, model: Any, names: list[str], fed: dict[str, Any]) -> Any:
        if self.answer not in names:
            raise InvalidValue(f"the graph has no output {self.answer!a:.60}", hint=f"it has: {', '.join(names)}")
        found = model.run([self.answer], fed)[0]
        return found if self.answer_dtype is None else np.asarray(found, dtype=self.answer_dtype)

    def rows_are_independent(self, model: Any) -> bool:
        """Where the first dimension of all that goes in and comes out is free."""
        return all(
            one.shape and not isinstance(one.shape[0], int) for one in [*model.get_inputs(), *model.get_outputs()]
        )

    def runs_code(self, config: Config) -> str | None:
        """A graph does not; providers and session options can, where they are more than numbers and switches."""
        return onnx_options.why_code(config.get("providers"), config.get("onnx_session_options"))

    def signature(self, model: Any) -> ModelSignature | None:
        """The tensors that the graph declares; None where the example is a frame, or they are no plain tensors."""
        if hasattr(self._example, "columns"):
            return None
        initial = {one.name for one in model.graph.initializer}
        inputs = _specs([one for one in model.graph.input if one.name not in initial])
        if inputs is None:
            return None
        return ModelSignature(inputs=inputs, outputs=_specs(model.graph.output))


def _checked(home: Path, config: Config) -> tuple[bytes, bool]:
    """The bytes of the graph, and whether tensors lie outside; raises `InvalidValue` where one is not in the model."""
    path = home / str(config["data"])
    data = read_bytes(path)
    try:
        graph = onnx.load_model_from_string(data)
    except Exception as error:
        raise InvalidValue(f"{path.name!a} is no ONNX graph", hint="save the model again") from error
    places = {_place(tensor) for tensor in _tensors(graph) if uses_external_data(tensor)}
    for place in places:
        name = PurePosixPath(place)
        if not place or "\\" in place or name.is_absolute() or ".." in name.parts or ":" in place:
            raise InvalidValue(f"the graph looks for tensors at {place!a:.100}, outside the model")
        verified_path(path.parent / place)
    return data, bool(places)


def _tensors(message: Any) -> Any:
    """All tensors of a graph, in attributes and inner graphs too."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for one in value if _is_repeated(value) else [value]:
            if descriptor.message_type.full_name == "onnx.TensorProto":
                yield one
            else:
                yield from _tensors(one)


def _is_repeated(value: Any) -> bool:
    return not hasattr(value, "ListFields")


def _place(tensor: Any) -> str:
    return str(ExternalDataInfo(tensor).location)


def _copied(model: Any) -> Any:
    made = type(model)()
    made.CopyFrom(model)
    return made


def _specs(values: Any) -> Schema | None:
    specs = []
    for value in values:
        if not value.type.HasField("tensor_type"):
            return None
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            return None
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        shape = tuple(one.dim_value if one.HasField("dim_value") else -1 for one in tensor.shape.dim)
        specs.append(TensorSpec("str" if dtype.kind == "O" else dtype, shape, value.name))
    return Schema(specs) if specs else None


def _fed(inputs: Any, rows: Any) -> dict[str, Any]:
    """What goes into the graph, by the names of its inputs."""
    if hasattr(rows, "columns"):
        return _columns(inputs, rows)
    if isinstance(rows, Mapping):
        missing = [one.name for one in inputs if one.name not in rows]
        if missing:
            raise SchemaMismatch(f"the graph's inputs are missing: {missing}", hint=f"it takes: {_shown(inputs)}")
        return {one.name: _typed(one, rows[one.name]) for one in inputs}
    if len(inputs) != 1:
        raise SchemaMismatch(
            f"the graph has {len(inputs)} inputs, one array came", hint=f"give a dict with: {_shown(inputs)}"
        )
    return {inputs[0].name: _typed(inputs[0], rows)}


def _columns(inputs: Any, frame: Any) -> dict[str, Any]:
    """A frame as the only input, or a column for each."""
    names = {one.name for one in inputs}
    if len(inputs) == 1 and not (names == set(frame.columns) and len(inputs[0].shape) < 2):
        return {inputs[0].name: _typed(inputs[0], frame.to_numpy())}
    missing = sorted(names - set(frame.columns))
    if missing:
        raise SchemaMismatch(f"columns are missing: {missing}", hint=f"the graph takes: {_shown(inputs)}")
    fed = {}
    for one in inputs:
        column = _typed(one, frame[one.name].to_numpy())
        fed[one.name] = column.reshape(-1, 1) if len(one.shape) == 2 and column.ndim == 1 else column
    return fed


def _typed(value: Any, given: Any) -> Any:
    """An array of the type that the graph wants; text as objects, numbers converted as NumPy does it."""
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    array = np.asarray(given)
    if kind == "string":
        return array.astype(object)
    wanted = np.dtype({"float": "float32", "double": "float64", "bool": "bool"}.get(kind, kind))
    return np.ascontiguousarray(array) if array.dtype == wanted else array.astype(wanted)


def _frame(found: dict[str, Any], rows: Any) -> Any:
    """The outputs as columns; what has several values in a row is a column of lists."""
    columns = {}
    for name, value in found.items():
        array = np.asarray(value) if not isinstance(value, list) else value
        if isinstance(array, np.ndarray) and array.ndim > 1:
            array = array.reshape(-1) if array.shape[1:] == (1,) else list(array)
        columns[name] = array
    return type(rows)(columns, index=rows.index)


def _shown(inputs: Any) -> str:
    return ", ".join(f"{one.name} {one.type}{one.shape}" for one in inputs)
