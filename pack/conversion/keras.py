"""Keras' models, by its own exporter: tf2onnx on TensorFlow, PyTorch's on PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import keras
import onnx

from pack.conversion.base import Body, Converter, Layout
from pack.conversion.layouts import tensors
from pack.conversion.source import Source
from pack.errors import InvalidValue

_EXPORTERS = {"tensorflow": "tf2onnx", "torch": "onnxscript"}


class Keras(Converter):
    """Models that take arrays and answer one."""

    libraries: ClassVar[tuple[str, ...]] = ("keras", "tf2onnx", "onnxscript")

    def layouts(self, source: Source) -> list[Layout]:
        """The arrays as they are."""
        if not isinstance(source.native, keras.Model):
            raise InvalidValue(f"it is a {type(source.native).__name__}, and models of Keras are converted")
        return [tensors(source)]

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph."""
        backend = keras.backend.backend()
        if backend not in _EXPORTERS:
            raise InvalidValue(f"Keras does not export from the backend {backend}", hint="use tensorflow or torch")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            source.native.export(str(path), format="onnx", verbose=False, opset_version=opset)
            made = onnx.load_model(str(path))
        if len(made.graph.output) != 1:
            raise InvalidValue(f"it answers {len(made.graph.output)} arrays, and one is converted")
        _order(made.graph, [one.name for one in layout.inputs])
        return Body(made, made.graph.output[0].name)


def _order(graph: Any, names: list[str]) -> None:
    """Put the inputs in the order of the signature, where their names say it."""
    at = {one.name: one for one in graph.input}
    if set(names) == set(at):
        inputs = [at[name] for name in names]
        del graph.input[:]
        graph.input.extend(inputs)
