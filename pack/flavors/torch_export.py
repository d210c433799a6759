"""Modules as exported programs, with the dimensions free that the signature leaves free."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import Dim, ExportedProgram

from pack.errors import InvalidValue
from pack.flavors.torch_tensors import KEYWORDS, Call, forward_of, leaves
from pack.mlmodel.schema import Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature

# What PyTorch notes of each operator: the lines of a module's source, and where they lie on this machine.
_NOTES = ("stack_trace", "from_node", "source_fn_stack")


_BRANCHES = {"cond", "while_loop"}


def export(model: Any, call: Call, free: Sequence[Sequence[int]]) -> ExportedProgram:
    """The program of a module, on the CPU; `free` are the free dimensions of each input.

    Raises `InvalidValue` where the module does not export, or fixes a dimension that is to be free.
    """
    args, kwargs = call
    tensors = [_of_two(one, dims) for one, dims in zip([*args, *kwargs.values()], free, strict=True)]
    shapes = [_shape(one, dims) for one, dims in zip(tensors, free, strict=True)]
    given = tuple(tensors[: len(args)]), dict(zip(kwargs, tensors[len(args) :], strict=True))
    try:
        with evaluated(model), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, *given, dynamic_shapes=_shapes(model, shapes, given))
            program = _moved(_bare(program), torch.device("cpu"))
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise InvalidValue(
            f"torch.export does not export this {type(model).__name__}: {type(error).__name__}: "
            f"{' '.join(lines[:3])[:400]}",
            hint="pass serialization_format='state_dict', or 'pickle'",
        ) from error
    return program


def save(program: ExportedProgram, path: Path) -> None:
    """Write a program without the inputs that it was traced with."""
    written = copy.copy(program)
    written.example_inputs = None
    torch.export.save(written, str(path))


def module_of(program: ExportedProgram, device: Any) -> Any:
    """The program as a module on a device, or where it is; the guards that an archive brings as Python are left out."""
    try:
        moved = program if device is None else _moved(program, device)
        module = moved.module(check_guards=False)
    except Exception as error:
        raise InvalidValue(
            f"the exported program does not run on {device}: {error!s:.300}", hint="export it on the CPU"
        ) from error
    spec = program.call_spec.in_spec
    setattr(module, KEYWORDS, tuple(spec.children()[1].context or ()) if spec else ())
    return module


def is_exported(model: Any) -> bool:
    """Whether this is an exported program as a module."""
    return isinstance(model, torch.fx.GraphModule) and hasattr(model, "range_constraints")


def rows_are_free(program: ExportedProgram) -> bool:
    """Whether the first dimension of all that goes in and comes out is one that is free, and no value branches."""
    branches = {str(node.target) for node in program.graph.nodes if node.op == "call_function"} & _BRANCHES
    firsts = [value.shape[0] if len(value.shape) else 0 for value in _values(program)]
    return (
        not branches
        and bool(firsts)
        and all(isinstance(one, torch.SymInt) for one in firsts)
        and len(set(map(str, firsts))) == 1
    )


def rows_are_independent(model: Any, call: Call) -> bool:
    """Whether a row's answer stays the same without the other rows, as far as the example tells."""
    args, kwargs = call
    given = [*args, *kwargs.values()]
    if not given or any(not one.ndim or len(one) != len(given[0]) or not len(one) for one in given):
        return False
    # The first row is asked alone, and beside rows unlike it; -3 is out of the way of most thresholds.
    others = [torch.cat([one, -3 * one if one.is_floating_point() else torch.zeros_like(one)]) for one in given]

    def asked(tensors: list[Any]) -> list[Any]:
        with torch.no_grad():
            return leaves(model(*tensors[: len(args)], **dict(zip(kwargs, tensors[len(args) :], strict=True))))

    try:
        alone = asked([one[:1] for one in given])
        return all(
            len(one) == len(many[0]) and _alike(one[:1], row)
            for many in (given, others)
            for one, row in zip(asked(many), alone, strict=True)
        )
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, InvalidValue):
        return False


def signature_of(program: ExportedProgram) -> ModelSignature | None:
    """The tensors that a program takes, and what it answers where that is one; None where it takes anything else."""
    names = list(program.graph_signature.user_inputs)
    values = [value for name, value in _inputs(program) if name in names]
    if not values or len(values) != len(names):
        return None
    try:
        specs = [_spec(value, str(name)) for value, name in zip(values, names, strict=True)]
        outputs = [_spec(value, None) for value in _outputs(program)]
    except (TypeError, RuntimeError):
        return None
    inputs = Schema(specs if len(specs) > 1 else [TensorSpec(specs[0].type, specs[0].shape)])
    return ModelSignature(inputs=inputs, outputs=Schema(outputs) if len(outputs) == 1 else None)


@contextmanager
def evaluated(model: Any) -> Iterator[Any]:
    """The module in evaluation mode; each part of it is then again in the mode that it was in."""
    modes = {one: one.training for one in model.modules()}
    try:
        for one in modes:
            one.training = False
        yield model
    finally:
        for one, mode in modes.items():
            one.training = mode


def _of_two(value: Any, dims: Sequence[int]) -> Any:
    """A tensor of at least two rows: PyTorch takes a dimension of one for a fixed one."""
    return torch.cat([value, value]) if 0 in dims and value.ndim and len(value) == 1 else value


def _shape(value: Any, dims: Sequence[int]) -> dict[int, Any] | None:
    return {dim: Dim.DYNAMIC if value.shape[dim] > 1 else Dim.AUTO for dim in dims if dim < value.ndim} or None


def _shapes(model: Any, shapes: list[Any], given: Call) -> Any:
    """The dimensions in the structure of forward's parameters."""
    takes = list(inspect.signature(forward_of(model)).parameters.values())
    args, kwargs = given
    names = [one.name for one in takes if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    found: dict[str, Any] = dict(zip(names, shapes[: len(args)], strict=False))
    rest = next((one.name for one in takes if one.kind is one.VAR_POSITIONAL), None)
    if rest and len(args) > len(names):
        found[rest] = tuple(shapes[len(names) : len(args)])
    return found | dict(zip(kwargs, shapes[len(args) :], strict=True))


def _bare(program: ExportedProgram) -> ExportedProgram:
    for graph in program.graph_module.modules():
        for node in graph.graph.nodes if isinstance(graph, torch.fx.GraphModule) else ():
            for note in _NOTES:
                node.meta.pop(note, None)
    return program


def _moved(program: ExportedProgram, device: Any) -> ExportedProgram:
    tensors = [one for one in (*program.state_dict.values(), *_values(program)) if hasattr(one, "device")]
    if all(one.device.type == device.type and device.index in {None, one.device.index} for one in tensors):
        return program
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(program, str(device))


def _inputs(program: ExportedProgram) -> list[tuple[str, Any]]:
    return [(node.name, node.meta.get("val")) for node in program.graph.nodes if node.op == "placeholder"]


def _outputs(program: ExportedProgram) -> list[Any]:
    node = next(node for node in program.graph.nodes if node.op == "output")
    kinds = [one.kind.name for one in program.graph_signature.output_specs]
    found = [getattr(one, "meta", {}).get("val") for one in node.args[0]]
    return [
        value for value, kind in zip(found, kinds, strict=True) if kind == "USER_OUTPUT" and hasattr(value, "shape")
    ]


def _values(program: ExportedProgram) -> list[Any]:
    """What goes in and comes out, as tensors without data."""
    names = set(program.graph_signature.user_inputs)
    return [value for name, value in _inputs(program) if name in names and hasattr(value, "shape")] + _outputs(program)


def _spec(value: Any, name: str | None) -> TensorSpec:
    dtype = torch.empty(0, dtype=value.dtype).numpy().dtype
    shape = tuple(-1 if isinstance(one, torch.SymInt) else int(one) for one in value.shape)
    return TensorSpec(np.dtype(dtype), shape, name)


def _alike(one: Any, other: Any) -> bool:
    kind = torch.complex128 if one.is_complex() else torch.float64
    near = one.shape == other.shape and torch.allclose(one.to(kind), other.to(kind), 1e-3, 1e-5, equal_nan=True)
    return bool(near)
