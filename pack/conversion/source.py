"""The model that is converted: loaded through the load policy, with its signature, its example and its digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pack import uris
from pack.errors import InvalidValue
from pack.fluent import state
from pack.mlmodel.infer import infer_schema
from pack.mlmodel.signature import ModelSignature
from pack.uris import ModelUri

if TYPE_CHECKING:
    from pack.pyfunc.wrapper import PyFuncModel


@dataclass(frozen=True)
class Source:
    """A loaded model; `uri` names its version where it has one, `name` is that of the registered model.

    `method` is what its `predict` calls, such as `predict_proba`; `example` has passed the signature.
    """

    uri: str
    name: str | None
    loaded: PyFuncModel
    signature: ModelSignature
    example: Any

    @property
    def flavor(self) -> str:
        """The flavor of the model."""
        return self.loaded.flavor

    @property
    def native(self) -> Any:
        """The model as its framework knows it."""
        return self.loaded.get_raw_model()

    @property
    def method(self) -> str:
        """The method that predicts."""
        block = self.loaded.metadata.flavors.get("python_function", {})
        return str(block.get("predict_fn") or "predict")

    def predict(self, rows: Any) -> Any:
        """What the model answers."""
        return self.loaded.predict(rows)


def open_source(model_uri: str | Path, *, example: Any = None, trust: bool | str | None = None) -> Source:
    """Load the model at a URI; raises `InvalidValue` where it lacks what a proof needs: a signature and an example."""
    from pack.pyfunc import load_model

    uri, name = _settled(model_uri)
    loaded = load_model(uri, trust=trust)
    found = loaded.input_example if example is None else example
    if found is None:
        raise InvalidValue(
            "the model has no input example, so that nothing could be proved of its conversion",
            hint="log it with input_example=..., or give one here: input_example=, or --input-example FILE",
        )
    signature = loaded.signature
    if signature is None or signature.inputs is None:
        outputs = infer_schema(loaded.predict(found), what="output")
        signature = ModelSignature(inputs=infer_schema(found), outputs=outputs)
    if signature.params:
        names = ", ".join(param.name for param in signature.params)
        raise InvalidValue(
            f"the model takes params ({names}), and a graph takes none",
            hint="log the model without params in its signature, their values fixed, and convert that",
        )
    return Source(uri, name, loaded, signature, loaded.plan.data(found))


def _settled(model_uri: str | Path) -> tuple[str, str | None]:
    """The URI with its alias resolved, so that the version recorded is the one that was read; and the model's name."""
    uri = uris.parse(model_uri)
    if not isinstance(uri, ModelUri) or uri.path:
        return str(model_uri), None
    version = state.registry().resolve(uri)
    return f"models:/{version.name}/{version.version}", version.name
