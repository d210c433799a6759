"""Two signatures side by side: whether what calls the old model may call the new one.

    compatible   whoever called the old one notices nothing
    widening     the new one takes or gives more: calls go on as before, new ones become possible
    breaking     some call that worked is refused, or an answer no longer is what it was declared to be

Inputs and params may widen (the new model takes all that the old one took), outputs may narrow (the new model gives
nothing that the old one could not have given). Over the wire a column that is not declared is refused, so taking one
away breaks callers; see `pack.mlmodel.plan`. A model without a signature promised nothing, so the first signature
breaks no promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pack.mlmodel.params import ParamSchema, ParamSpec
from pack.mlmodel.schema import Schema, Spec, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Type


class Verdict(IntEnum):
    """How much a change breaks; the worst of several is their greatest."""

    compatible = 0
    widening = 1
    breaking = 2

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Change:
    """One difference: in `inputs`, `outputs` or `params`, of which column, how bad, and what it was and is."""

    part: str
    name: str
    verdict: Verdict
    before: str
    after: str
    why: str = ""


@dataclass(frozen=True)
class SignatureDiff:
    """Every difference between two signatures, and how many columns and params are alike."""

    changes: tuple[Change, ...]
    alike: int = 0

    @property
    def verdict(self) -> Verdict:
        """The worst of all changes."""
        return max((change.verdict for change in self.changes), default=Verdict.compatible)

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The changes that break callers."""
        return tuple(change for change in self.changes if change.verdict is Verdict.breaking)


def compare(before: ModelSignature | None, after: ModelSignature | None) -> SignatureDiff:
    """What a caller of the model `before` notices when `after` takes its place."""
    if before is None:
        gained = [] if after is None else [_whole("signature", Verdict.compatible, "none", "declared")]
        return SignatureDiff(tuple(gained))
    if after is None:
        return SignatureDiff((_whole("signature", Verdict.breaking, "declared", "none"),))
    changes = [
        *_parts("inputs", before.inputs, after.inputs),
        *_parts("outputs", before.outputs, after.outputs),
        *_params(before.params, after.params),
    ]
    return SignatureDiff(tuple(changes), _alike(before, after))


def _parts(part: str, before: Schema | None, after: Schema | None) -> Iterator[Change]:
    """The changes of the inputs or of the outputs as wholes, or column by column."""
    if before is None or after is None:
        if before is not after:
            # Inputs without a schema take everything; outputs without one promise nothing.
            loses = (after is None) == (part == "outputs")
            verdict = Verdict.breaking if loses else Verdict.widening
            yield _whole(part, verdict, *("none" if one is None else "declared" for one in (before, after)))
        return
    if before.is_tensor_spec() != after.is_tensor_spec() or before.has_input_names() != after.has_input_names():
        yield _whole(part, Verdict.breaking, _form(before), _form(after))
        return
    if part == "inputs":
        yield from _readings(before, after)
    old, new = before.input_dict(), after.input_dict()
    for name, spec in old.items():
        yield from _column(part, name, spec, new.get(name))
    for name, spec in new.items():
        if name not in old:
            yield _added(part, name, spec)


def _readings(before: Schema, after: Schema) -> Iterator[Change]:
    """Where data that names nothing, or gives lists by name, is read in another way; see `ColumnPlan`."""
    nested = [_is_nested(schema) for schema in (before, after)]
    if nested[0] != nested[1]:
        was, now = ("nested columns" if one else "plain columns" for one in nested)
        yield Change("inputs", "", Verdict.breaking, was, now, "a dict of lists is columns here, and one row there")
    if _is_counted(before) and not _is_counted(after):
        yield Change("inputs", "", Verdict.breaking, "columns 0, 1, ...", "names", "rows may come without names")


def _is_nested(schema: Schema) -> bool:
    return any(isinstance(one, (Array, Object)) for one in schema.input_types())


def _is_counted(schema: Schema) -> bool:
    return schema.has_input_names() and schema.input_names() == list(range(len(schema)))


def _column(part: str, name: str | int, old: Spec, new: Spec | None) -> Iterator[Change]:
    if new is None:
        why = "a column that is not declared is refused" if part == "inputs" else "it is no longer there"
        yield Change(part, str(name), Verdict.breaking, _shown(old), "", why)
        return
    verdict, why = _between(old, new) if part == "inputs" else _answers(old, new)
    if _shown(old) != _shown(new):
        yield Change(part, str(name), verdict, _shown(old), _shown(new), why)


def _added(part: str, name: str | int, spec: Spec) -> Change:
    if part == "inputs" and spec.required:
        return Change(part, str(name), Verdict.breaking, "", _shown(spec), "callers do not send it yet")
    return Change(part, str(name), Verdict.widening, "", _shown(spec))


def _between(old: Spec, new: Spec) -> tuple[Verdict, str]:
    """Whether what fitted `old` fits `new`."""
    if isinstance(old, TensorSpec) and isinstance(new, TensorSpec):
        return _tensors(old, new)
    if isinstance(old, TensorSpec) or isinstance(new, TensorSpec):
        return Verdict.breaking, "a tensor and a column are not the same"
    verdict, why = _types(old.type, new.type)
    if new.required and not old.required:
        return Verdict.breaking, "callers may leave it out"
    if old.required and not new.required:
        return max(verdict, Verdict.widening), why
    return verdict, why


def _answers(old: Spec, new: Spec) -> tuple[Verdict, str]:
    """Whether what the new model gives is what the old one declared: the same question the other way round."""
    verdict, _ = _between(new, old)
    if verdict is Verdict.breaking:
        return verdict, "answers may be what was not declared before"
    return Verdict.compatible, ""


def _tensors(old: TensorSpec, new: TensorSpec) -> tuple[Verdict, str]:
    if old.type != new.type:
        return Verdict.breaking, "a tensor's dtype is never converted"
    if len(old.shape) != len(new.shape):
        return Verdict.breaking, "the number of dimensions differs"
    if any(fixed not in (-1, was) for was, fixed in zip(old.shape, new.shape, strict=True)):
        return Verdict.breaking, "a dimension may no longer be what it was"
    return (Verdict.compatible if old.shape == new.shape else Verdict.widening), ""


# Types that hold each value of another; MLflow's names.
_HOLDS: dict[DataType, dict[DataType, str]] = {
    DataType.integer: {DataType.long: "", DataType.double: ""},
    DataType.long: {DataType.double: "whole numbers beyond 2**53 are refused"},
    DataType.float: {DataType.double: ""},
}


def _types(old: Type, new: Type) -> tuple[Verdict, str]:
    """Whether each value of the old type is one of the new."""
    if old == new:
        return Verdict.compatible, ""
    if isinstance(new, AnyType):
        return Verdict.widening, ""
    if isinstance(old, DataType) and isinstance(new, DataType) and new in _HOLDS.get(old, {}):
        return Verdict.widening, _HOLDS[old][new]
    if isinstance(old, Array) and isinstance(new, Array):
        return _types(old.dtype, new.dtype)
    if isinstance(old, Map) and isinstance(new, Map):
        return _types(old.value_type, new.value_type)
    if isinstance(old, Object) and isinstance(new, Object):
        return _objects(old, new)
    return Verdict.breaking, "not every value of it fits"


def _objects(old: Object, new: Object) -> tuple[Verdict, str]:
    was, now = ({member.name: member for member in one.properties} for one in (old, new))
    gone = [name for name in was if name not in now]
    if gone:
        return Verdict.breaking, f"the member {gone[0]!r} is no longer taken"
    verdict, reason = Verdict.compatible, ""
    for name, member in now.items():
        before = was.get(name)
        if before is None:
            found = (Verdict.breaking, f"the member {name!r} is new") if member.required else (Verdict.widening, "")
        elif member.required and not before.required:
            found = Verdict.breaking, f"the member {name!r} may be left out"
        else:
            found = _types(before.dtype, member.dtype)
            if before.required and not member.required:
                found = max(found[0], Verdict.widening), found[1]
        if found[0] > verdict:
            verdict, reason = found
    return verdict, reason


def _params(before: ParamSchema | None, after: ParamSchema | None) -> Iterator[Change]:
    old = {param.name: param for param in before or ()}
    new = {param.name: param for param in after or ()}
    for name, param in old.items():
        if name not in new:
            yield Change("params", name, Verdict.breaking, _param(param), "", "a param that is not known is refused")
        elif _param(param) != _param(new[name]):
            yield _changed_param(param, new[name])
    for name, param in new.items():
        if name not in old:
            yield Change("params", name, Verdict.widening, "", _param(param))


def _changed_param(old: ParamSpec, new: ParamSpec) -> Change:
    verdict, why = _types(old.dtype, new.dtype)
    if old.shape != new.shape:
        verdict, why = Verdict.breaking, "one value and a list are not the same"
    elif verdict is Verdict.compatible:
        verdict, why = Verdict.widening, "calls that leave it out get the new default"
    return Change("params", old.name, verdict, _param(old), _param(new), why)


def _alike(before: ModelSignature, after: ModelSignature) -> int:
    """How many columns and params of the old signature are the same in the new one."""
    old, new = ({(part, name): one for part, name, one in _members(whole)} for whole in (before, after))
    return sum(new.get(key) == one for key, one in old.items())


def _members(signature: ModelSignature) -> Iterator[tuple[str, str | int, Any]]:
    for part, schema in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        for name, spec in (schema.input_dict() if schema else {}).items():
            yield part, name, spec
    for param in signature.params or ():
        yield "params", param.name, param


def _whole(part: str, verdict: Verdict, before: str, after: str) -> Change:
    return Change(part, "", verdict, before, after)


def _form(schema: Schema) -> str:
    kind = "tensors" if schema.is_tensor_spec() else "columns"
    return kind if schema.has_input_names() else f"{kind} without names"


def _shown(spec: Spec) -> str:
    if isinstance(spec, TensorSpec):
        return f"{spec.type.name} {list(spec.shape)}"
    return repr(spec.type) + ("" if spec.required else ", optional")


def _param(param: ParamSpec) -> str:
    shape: Any = "[]" if param.shape else ""
    return f"{param.dtype!r}{shape} = {param.default!r}"
