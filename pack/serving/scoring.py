"""Scoring without HTTP: bytes of requests in, bytes of answers out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from pack.errors import ModelFailed, PackError
from pack.mlmodel.plan import Plan
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving import bodies
from pack.serving.columnar import ARROW, HAS_PYARROW, NPY, decode_arrow, decode_npy
from pack.serving.encoding import encode, encode_parts, split
from pack.serving.parcels import Parcel, parcel_of

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# What a server takes: a type whose package is not installed here is as unknown to callers as any other.
CONTENT_TYPES = (JSON, CSV, NPY, *((PARQUET, ARROW) if HAS_PYARROW else ()))
logger = logging.getLogger("pack.serving")
_Decoder = Callable[[bytes, Plan], bodies.Decoded]


class Answers(NamedTuple):
    """The answers to several requests in their order, each a body or an error, and the seconds that each step took."""

    bodies: Sequence[bytes | PackError]
    joining: float = 0.0
    predicting: float = 0.0
    encoding: float = 0.0

    @property
    def seconds(self) -> float:
        """All that it took."""
        return self.joining + self.predicting + self.encoding


class Scorer:
    """A loaded model and the bodies that it takes. Safe to use from several threads if the model is.

    `joins` says whether requests may be scored in one call; without it the model decides by its flavor.
    """

    def __init__(self, model: PyFuncModel, *, joins: bool | None = None) -> None:
        self.model = model
        self.joins = model.rows_are_independent if joins is None else joins
        self._by_hint = model.metadata.is_signature_from_type_hint
        self._typed = None if self._by_hint else _typed_reader(model.plan)
        self._decoders: dict[str, _Decoder] = {
            JSON: self._json,
            CSV: bodies.decode_csv,
            PARQUET: bodies.decode_parquet,
            ARROW: decode_arrow,
            NPY: decode_npy,
        }

    @property
    def content_types(self) -> tuple[str, ...]:
        """The content types of the bodies that are taken."""
        return CONTENT_TYPES

    def read(self, body: bytes, content_type: str = JSON) -> Parcel:
        """Decode and check one body.

        Raises `BadRequest` for a body that cannot be read, `SchemaMismatch` or `InvalidValue` naming the field for one
        that does not fit.
        """
        if content_type == JSON and self._typed is not None:
            found = self._typed(body)
            if found is not None:
                return found
        return self._closely(body, content_type)

    def answers(self, parcels: Sequence[Parcel]) -> Answers:
        """Join, predict, encode: parcels of one key in one call; where that fails, each alone."""
        start = joined = perf_counter()
        try:
            data = parcels[0].join([one.data for one in parcels])
            joined = perf_counter()
            found = self._predict(data, parcels[0].params)
            predicted = perf_counter()
            bodies_ = self._encoded(parcels, found)
        except PackError as error:
            if len(parcels) == 1:
                return Answers([error], joined - start, perf_counter() - joined)
            bodies_ = None
        if bodies_ is None:
            return _beside([self.answers([one]) for one in parcels])
        return Answers(bodies_, joined - start, predicted - joined, perf_counter() - predicted)

    def score(self, body: bytes, content_type: str = JSON) -> bytes:
        """Read, predict, encode one body; raises what `read` does, and `ModelFailed` where the model's code raises."""
        answer = self.answers([self.read(body, content_type)]).bodies[0]
        if isinstance(answer, PackError):
            raise answer
        return answer

    def predictions(self, body: bytes, content_type: str = JSON) -> Any:
        """The predictions themselves, as the model gives them."""
        parcel = self._closely(body, content_type)
        return self._predict(parcel.join([parcel.data]), parcel.params)

    def _closely(self, body: bytes, content_type: str) -> Parcel:
        data, params, bare = self._decoders[content_type](body, self.model.plan)
        return parcel_of(data, self.model.plan.params(params), wrapped=not bare)

    def _encoded(self, parcels: Sequence[Parcel], found: Any) -> Sequence[bytes | PackError] | None:
        if len(parcels) == 1:
            one = parcels[0]
            return [encode(found, wrapped=one.wrapped) if one.encode is None else one.encode(found)]
        parts: Sequence[bytes | PackError] | None
        if any(one.encode for one in parcels):
            parts = _each_encoded(parcels, found)
        else:
            parts = encode_parts(found, [one.rows or 0 for one in parcels])
        if parts is None:
            logger.warning("the model does not answer row by row; requests are scored one by one from now on")
            self.joins = False
        return parts

    def _json(self, body: bytes, plan: Plan) -> bodies.Decoded:
        return bodies.decode_json(body, plan, raw=self._by_hint)

    def _predict(self, data: Any, params: dict[str, Any]) -> Any:
        try:
            return self.model.score(data, params)
        except PackError:
            raise
        except Exception as error:
            raise failure(error) from error


def _typed_reader(plan: Plan) -> Callable[[bytes], Parcel | None] | None:
    """The quick reader of JSON; None without the packages of a server, where `pack predict` reads each body closely."""
    try:
        from pack.serving.typed import reader_of
    except ModuleNotFoundError:
        return None
    return reader_of(plan, plan.params(None))


def _each_encoded(parcels: Sequence[Parcel], found: Any) -> list[bytes | PackError] | None:
    """The answers to parcels of which some have an encoder of their own: what one cannot say is its own error."""
    parts = split(found, [one.rows or 0 for one in parcels])
    if parts is None:
        return None
    bodies_: list[bytes | PackError] = []
    for one, part in zip(parcels, parts, strict=True):
        try:
            bodies_.append(encode(part, wrapped=one.wrapped) if one.encode is None else one.encode(part))
        except PackError as error:
            bodies_.append(error)
    return bodies_


def _beside(every: Sequence[Answers]) -> Answers:
    joining, predicting, encoding = (sum(step) for step in zip(*(one[1:] for one in every), strict=True))
    return Answers([body for one in every for body in one.bodies], joining, predicting, encoding)


def failure(error: BaseException) -> PackError:
    """What a model raised as the caller learns of it: not what it says, which is the log's."""
    return ModelFailed(
        f"the model raised {type(error).__name__}", hint="the server's log has the details under the request id"
    )
