"""A model's signature: what goes in, what comes out, and the params beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pack.errors import InvalidValue
from pack.mlmodel.params import ParamSchema
from pack.mlmodel.schema import Schema


@dataclass(frozen=True)
class ModelSignature:
    """The schemas of inputs, outputs and params; at least one is given, else `InvalidValue`."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: ParamSchema | None = None

    def __post_init__(self) -> None:
        if self.inputs is None and self.outputs is None and self.params is None:
            raise InvalidValue("a signature needs inputs, outputs or params")
        wrong = [name for name in ("inputs", "outputs") if not isinstance(getattr(self, name), Schema | None)]
        if wrong or not isinstance(self.params, ParamSchema | None):
            raise InvalidValue(f"{(wrong or ['params'])[0]} must be a schema", hint="build it with infer_signature")

    def to_dict(self) -> dict[str, Any]:
        """As in an MLmodel file: each member JSON text, or None."""
        parts = {"inputs": self.inputs, "outputs": self.outputs, "params": self.params}
        return {name: None if part is None else part.to_json() for name, part in parts.items()}

    @classmethod
    def from_dict(cls, signature_dict: dict[str, Any]) -> ModelSignature:
        """Read what `to_dict` wrote; raises `InvalidValue` for anything else."""
        if not isinstance(signature_dict, dict):
            raise InvalidValue(f"a signature must be a mapping, not {type(signature_dict).__name__}")
        inputs, outputs, params = (signature_dict.get(name) for name in ("inputs", "outputs", "params"))
        return cls(
            inputs=Schema.from_json(inputs) if inputs else None,
            outputs=Schema.from_json(outputs) if outputs else None,
            params=ParamSchema.from_json(params) if params else None,
        )

    def __repr__(self) -> str:
        return f"inputs: {self.inputs}\noutputs: {self.outputs}\nparams: {self.params}\n"


def takes_frames(signature: ModelSignature | None) -> bool:
    """Whether a model of this signature is given data frames; unknown without a signature, and then it may be."""
    inputs = signature.inputs if signature is not None else None
    return inputs is None or not inputs.is_tensor_spec()
