"""The finished graph: the inputs of the signature, the body that a library made, one output with the answer.

MLflow's reader gives each column of a frame as a vector to the input of its name, or the frame as a matrix to the
only input, and makes a column of each output: so the inputs here are vectors, and the answer is the only output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from pack.conversion.base import Body, Input, Layout
from pack.errors import InvalidValue

ANSWER = "prediction"
_BODY = "body/"


@dataclass(frozen=True)
class Answer:
    """What the source answers: the name of a NumPy dtype (`str` for text, `object` for text too), and a shape."""

    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, found: Any) -> Answer:
        """The form of an answer; raises `InvalidValue` where it is no array of numbers or text."""
        array = np.asarray(found)
        if (
            isinstance(found, (dict, list))
            or hasattr(found, "columns")
            or array.ndim == 0
            or array.dtype.kind not in "biufUO"
        ):
            raise InvalidValue(
                f"the model answers {type(found).__name__}, and only arrays of numbers or text can be converted",
                hint="log it so that its predict answers an array",
            )
        return cls("str" if array.dtype.kind == "U" else str(array.dtype), (-1, *array.shape[1:]))

    @property
    def is_text(self) -> bool:
        """Whether it is text."""
        return self.dtype in {"str", "object"}


def after(body: Body, kind: str, *constants: Any, **attributes: Any) -> Body:
    """The body with one more node behind its answer; constants are arrays that the node takes besides."""
    graph, name = body.graph.graph, f"{body.output}/{kind}"
    names = [f"{name}/{place}" for place in range(len(constants))]
    graph.initializer.extend(onnx.numpy_helper.from_array(one, at) for one, at in zip(constants, names, strict=True))
    graph.node.append(helper.make_node(kind, [body.output, *names], [name], **attributes))
    return Body(body.graph, name)


def column(body: Body, place: int) -> Body:
    """The body with one column of its answer, as a vector."""
    return after(body, "Gather", np.array(place, dtype="int64"), axis=1)


def finished(body: Body, layout: Layout, answer: Answer) -> Any:
    """The whole graph, with nothing in it that the answer does not need."""
    model = onnx.compose.add_prefix(body.graph, _BODY, inplace=True)
    initial = {one.name for one in model.graph.initializer}
    ports = [one.name for one in model.graph.input if one.name not in initial]
    nodes, constants = _before(layout, ports)
    end, more = _behind(_BODY + body.output, answer)
    graph = model.graph
    behind = [*graph.node, *end]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.initializer.extend([*constants, *more])
    graph.node.extend(_needed([*nodes, *behind], ANSWER))
    graph.input.extend(_declared(one.name, one.given, one.shape) for one in layout.inputs)
    graph.output.append(_declared(ANSWER, answer.dtype, answer.shape))
    _drop_constants(graph)
    graph.name = "converted"
    if not any(one.domain in {"", "ai.onnx"} for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 13))
    # Before this version each constant was an input, too.
    model.ir_version = max(model.ir_version, 4)
    return model


def _before(layout: Layout, ports: list[str]) -> tuple[list[Any], list[Any]]:
    """Nodes from the inputs of the signature to those of the body, by position."""
    nodes: list[Any] = []
    shape = onnx.numpy_helper.from_array(np.array([-1, 1], dtype="int64"), "before/shape")
    ends = [_led(one, at, nodes) for at, one in enumerate(layout.inputs)]
    if layout.joined:
        nodes.append(helper.make_node("Concat", ends, [ports[0]], axis=1))
        return nodes, [shape]
    if len(ends) != len(ports):
        raise InvalidValue(f"the converted graph takes {len(ports)} inputs, the signature has {len(ends)}")
    nodes += [helper.make_node("Identity", [end], [port]) for end, port in zip(ends, ports, strict=True)]
    return nodes, [shape]


def _led(one: Input, at: int, nodes: list[Any]) -> str:
    """One input as the body takes it: cast, and made a column."""
    end = one.name
    if one.given != one.inner:
        nodes.append(helper.make_node("Cast", [end], [f"before/{at}/cast"], to=_code(one.inner)))
        end = f"before/{at}/cast"
    if one.is_column:
        nodes.append(helper.make_node("Reshape", [end, "before/shape"], [f"before/{at}/column"]))
        end = f"before/{at}/column"
    return end


def _behind(end: str, answer: Answer) -> tuple[list[Any], list[Any]]:
    """Nodes from the body's answer to that of the source: its dtype and its shape."""
    shape = onnx.numpy_helper.from_array(np.array(answer.shape, dtype="int64"), "behind/shape")
    nodes = []
    if not answer.is_text:
        nodes.append(helper.make_node("Cast", [end], ["behind/cast"], to=_code(answer.dtype)))
        end = "behind/cast"
    nodes.append(helper.make_node("Reshape", [end, "behind/shape"], [ANSWER]))
    return nodes, [shape]


def _needed(nodes: list[Any], end: str) -> list[Any]:
    """The nodes that lead to an output, in their order, which is that of the data."""
    wanted, kept = {end}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(_read(node))
    return kept[::-1]


def _read(node: Any) -> list[str]:
    """What a node reads, inner graphs included."""
    inner = [graph for one in node.attribute for graph in ([one.g] if one.HasField("g") else one.graphs)]
    return [*node.input, *(name for graph in inner for each in graph.node for name in _read(each))] + [
        one.name for graph in inner for one in graph.output
    ]


def _drop_constants(graph: Any) -> None:
    """Take out the constants that no node reads."""
    read = {name for node in graph.node for name in _read(node)}
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in read:
            del graph.initializer[place]


def _declared(name: str, dtype: str, shape: tuple[int, ...]) -> Any:
    sizes = [f"{'rows' if not at else f'free{at}'}" if size < 0 else size for at, size in enumerate(shape)]
    return helper.make_tensor_value_info(name, _code(dtype), sizes)


def _code(dtype: str) -> int:
    """The number by which ONNX knows a dtype."""
    if dtype in {"str", "object"}:
        return int(onnx.TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
