"""Scoring without HTTP: bytes of a request in, bytes of an answer out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pack.errors import ModelFailed, PackError
from pack.mlmodel.plan import Plan
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving import bodies
from pack.serving.encoding import encode

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
_Decoder = Callable[[bytes, Plan], bodies.Decoded]


class Scorer:
    """A loaded model and the bodies that it takes. Safe to use from several threads if the model is."""

    def __init__(self, model: PyFuncModel) -> None:
        self.model = model
        self._by_hint = model.metadata.is_signature_from_type_hint
        self._decoders: dict[str, _Decoder] = {
            JSON: self._json,
            CSV: bodies.decode_csv,
            PARQUET: bodies.decode_parquet,
        }

    @property
    def content_types(self) -> tuple[str, ...]:
        """The content types of the bodies that are taken."""
        return tuple(self._decoders)

    def score(self, body: bytes, content_type: str = JSON) -> bytes:
        """Decode, check, predict, encode.

        Raises `BadRequest` for a body that cannot be read, `SchemaMismatch` or `InvalidValue` naming the field for one
        that does not fit, `ModelFailed` where the model's own code raises.
        """
        data, params, bare = self._decoders[content_type](body, self.model.plan)
        return encode(self._predict(data, self.model.plan.params(params)), wrapped=not bare)

    def predictions(self, body: bytes, content_type: str = JSON) -> Any:
        """The predictions themselves, as the model gives them."""
        data, params, _ = self._decoders[content_type](body, self.model.plan)
        return self._predict(data, self.model.plan.params(params))

    def _json(self, body: bytes, plan: Plan) -> bodies.Decoded:
        return bodies.decode_json(body, plan, raw=self._by_hint)

    def _predict(self, data: Any, params: dict[str, Any]) -> Any:
        try:
            return self.model.score(data, params)
        except PackError:
            raise
        except Exception as error:
            raise ModelFailed(
                f"the model raised {type(error).__name__}", hint="the server's log has the details under the request id"
            ) from error
