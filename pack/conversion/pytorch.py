"""PyTorch's modules and exported programs, by its own exporter."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import onnxscript  # noqa: F401 - the exporter needs it, and its absence is told here
import torch

from pack.conversion.base import Body, Converter, Layout
from pack.conversion.layouts import tensors
from pack.conversion.source import Source
from pack.errors import InvalidValue
from pack.flavors import torch_tensors


class PyTorch(Converter):
    """Modules that take arrays and answer one."""

    libraries: ClassVar[tuple[str, ...]] = ("torch", "onnxscript")

    def layouts(self, source: Source) -> list[Layout]:
        """The arrays as they are."""
        return [tensors(source)]

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph, whose sizes are free where those of the signature are."""
        model = source.native
        names = _order(model, [one.name for one in layout.inputs])
        sizes = {one.name: one.shape for one in layout.inputs}
        args, named = torch_tensors.fed(model, _of_two(source.example))
        free = [_free(sizes[name]) for name in names]
        if named:
            raise InvalidValue(f"it takes {', '.join(named)} by name only, and arguments by position are converted")
        made = _exported(model, args, names, opset, tuple(free))
        if len(made.graph.output) != 1:
            raise InvalidValue(f"it answers {len(made.graph.output)} arrays, and one is converted")
        at = {one.name: one for one in made.graph.input}
        inputs = [at[one.name] for one in layout.inputs]
        del made.graph.input[:]
        made.graph.input.extend(inputs)
        return Body(made, made.graph.output[0].name)


def _exported(model: Any, args: Any, names: list[str], opset: int | None, free: tuple[Any, ...]) -> Any:
    """The exporter's graph; raises `InvalidValue` with what stands at the bottom of its error."""
    try:
        with _quiet(), torch.no_grad():
            return torch.onnx.export(
                model,
                args,
                dynamo=True,
                verbose=False,
                input_names=names,
                opset_version=opset,
                dynamic_shapes=free,
            ).model_proto
    except Exception as error:
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines() or [""]
        raise InvalidValue(f"{type(cause).__name__}: {lines[0]:.200}") from error


def _order(model: Any, names: list[str]) -> list[str]:
    """The names in the order of forward's parameters."""
    takes = torch_tensors.input_names(model)
    return [name for name in takes if name in names] if set(names) <= set(takes) else names


def _of_two(example: Any) -> Any:
    """An example of two rows at least: a size of one would be taken for one that never changes."""
    if isinstance(example, dict):
        return {name: np.concatenate([one, one]) for name, one in example.items()}
    return np.concatenate([example, example])


def _free(shape: tuple[int, ...]) -> dict[int, Any]:
    dims = {at: torch.export.Dim.AUTO for at, size in enumerate(shape) if size < 0}
    return {**dims, **({0: torch.export.Dim.DYNAMIC} if 0 in dims else {})}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells its progress to the terminal and the log; what matters of it is an error."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)
