"""`pack.convert`: a model becomes an ONNX graph that is proved to answer alike, and a new version."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pack import flavors
from pack.conversion import CONVERTERS
from pack.conversion.base import Body, Converter, Layout
from pack.conversion.graph import Answer, finished
from pack.conversion.proof import Proof, Tolerances, prove
from pack.conversion.report import Conversion, Measured
from pack.conversion.rows import batches
from pack.conversion.source import Source, open_source
from pack.conversion.timing import latency
from pack.envs.installed import version_of
from pack.errors import InvalidValue, PackError
from pack.fluent import models
from pack.mlmodel.plan import compile_plan

ROWS = 1000
_RUNTIME = ("onnx", "onnxruntime")


def convert(
    model_uri: str | Path,
    to: str = "onnx",
    *,
    name: str | None = None,
    output: str | Path | None = None,
    opset: int | None = None,
    rtol: float = Tolerances.rtol,
    atol: float = Tolerances.atol,
    input_example: Any = None,
    trust: bool | str | None = None,
) -> Conversion:
    """Convert a model to ONNX, prove that it answers as its source does, and log it as a new version.

    The version is the next one of `name`, of the source's own name where none is given; with `output` it is a folder
    instead. Raises `InvalidValue` with the library's reason where the model cannot be converted, and with the rows
    that differ where its answers do; then nothing is logged.

    >>> pack.convert("models:/churn@champion").converted.one_row_ms  # doctest: +SKIP
    """
    tolerances = _checked(to, name, output, rtol, atol)
    source = open_source(model_uri, example=input_example, trust=trust)
    if output is None and name is None and source.name is None:
        raise InvalidValue(
            f"{source.uri} is no version of a registered model, so that the new version needs a name",
            hint='give name="..." (--name), or a folder: output="..." (--output)',
        )
    converter: Converter = CONVERTERS[source.flavor].load()()
    made = _best(source, converter, opset, tolerances)
    libraries = {one: version_of(one) or "" for one in (*converter.libraries, *_RUNTIME)}
    facts = {
        "source": source.uri,
        "source_digest": source.loaded.digest,
        "source_flavor": source.flavor,
        "opset": _opset(made.graph),
        "proof": made.proof.to_dict(),
        "libraries": libraries,
    }
    uri, version, model_id, size = _kept(source, made, facts, name or source.name, output)
    return Conversion(
        uri=uri,
        source_uri=source.uri,
        name=None if output else name or source.name,
        version=version,
        model_id=model_id,
        proof=made.proof,
        source=made.times[0],
        converted=replace(made.times[1], size_bytes=size),
        libraries=libraries,
    )


def _checked(to: str, name: str | None, output: Any, rtol: float, atol: float) -> Tolerances:
    if to != "onnx":
        raise InvalidValue(f"to={to!a:.60} is not known", hint="models are converted to 'onnx'")
    if name is not None and output is not None:
        raise InvalidValue("name and output were given together", hint="give one of them")
    if not (rtol >= 0 and atol >= 0 and np.isfinite([rtol, atol]).all()):
        raise InvalidValue(f"tolerances must be numbers from 0 up, not rtol={rtol}, atol={atol}")
    return Tolerances(float(rtol), float(atol))


class _Made:
    """A converted graph with the flavor that answers in the source's form, and what was found of it."""

    def __init__(self, graph: Any, answer: Answer, proof: Proof, times: tuple[Measured, Measured]) -> None:
        self.graph = graph
        self.answer = answer
        self.proof = proof
        self.times = times


def _best(source: Source, converter: Converter, opset: int | None, tolerances: Tolerances) -> _Made:
    """The first layout whose graph answers alike; raises `InvalidValue` with a reason where none does."""
    reasons: list[str] = []
    proofs: list[Proof] = []
    answer = Answer.of(source.predict(source.example))
    for layout in _layouts(source, converter):
        body = _converted(source, converter, layout, opset, reasons)
        if body is None:
            continue
        graph = finished(body, layout, answer)
        try:
            with _running(source, graph, answer) as predict:
                proof = _proved(source, converter, predict, tolerances)
                if proof.holds:
                    return _Made(graph, answer, proof, _times(source, predict))
                proofs.append(proof)
        except PackError as error:
            reasons.append(error.message)
    if proofs:
        raise _unlike(min(proofs, key=lambda one: one.differing))
    raise _impossible(source, reasons[-1])


def _layouts(source: Source, converter: Converter) -> list[Layout]:
    try:
        return list(converter.layouts(source))
    except InvalidValue as error:
        raise _impossible(source, error.message, error.hint) from error


def _converted(
    source: Source, converter: Converter, layout: Layout, opset: int | None, reasons: list[str]
) -> Body | None:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them, the proof finds
            return converter.convert(source, layout, opset)
    except Exception as error:  # noqa: BLE001 - libraries raise all kinds of errors, and each is a reason
        lines = str(getattr(error, "message", error)).strip().splitlines() or [""]
        named = lines[0] if isinstance(error, PackError) else f"{type(error).__name__}: {lines[0]}"
        reasons.append(named[:300])
        return None


@contextmanager
def _running(source: Source, graph: Any, answer: Answer) -> Iterator[Callable[[Any], Any]]:
    """The graph as the flavor will read it, behind the source's signature."""
    flavor = flavors.get("onnx", **_options(answer))
    plan = compile_plan(source.signature)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        session = flavor.ready(graph, home, flavor.write(graph, home))
        yield lambda rows: flavor.predict(session, plan.data(rows), {})


def _options(answer: Answer) -> dict[str, Any]:
    return {"answer": "prediction", "answer_dtype": answer.dtype if answer.is_text else None}


def _proved(source: Source, converter: Converter, predict: Callable[[Any], Any], tolerances: Tolerances) -> Proof:
    schema = source.signature.inputs
    if schema is None:
        raise InvalidValue("the model's signature has no inputs")
    return prove(
        source.predict,
        predict,
        batches(source.example, schema, count=ROWS),
        scores=lambda rows: converter.scores(source, rows),
        tolerances=tolerances,
    )


def _times(source: Source, predict: Callable[[Any], Any]) -> tuple[Measured, Measured]:
    schema = source.signature.inputs
    if schema is None:
        raise InvalidValue("the model's signature has no inputs")
    many = _taken(source, schema)
    one = {name: value[:1] for name, value in many.items()} if isinstance(many, dict) else many[:1]
    size = int(sum(path.stat().st_size for path in source.loaded.home.rglob("*") if path.is_file()))
    return (
        Measured(source.flavor, size, latency(source.predict, one), latency(source.predict, many)),
        Measured("onnx", 0, latency(predict, one), latency(predict, many)),
    )


def _taken(source: Source, schema: Any) -> Any:
    """A thousand rows of values that the example has, which any model takes."""
    example = source.example
    places = np.arange(ROWS) % max(len(next(iter(example.values())) if isinstance(example, dict) else example), 1)
    if isinstance(example, dict):
        return {name: np.asarray(value)[places] for name, value in example.items()}
    return example.iloc[places].reset_index(drop=True) if hasattr(example, "iloc") else np.asarray(example)[places]


def _kept(
    source: Source, made: _Made, facts: dict[str, Any], name: str | None, output: str | Path | None
) -> tuple[str, int | None, str | None, int]:
    """Save the graph into the folder, or log and register it: where it is, its version, its id, its bytes."""
    options = {
        "flavor": "onnx",
        "signature": source.signature,
        "input_example": source.example,
        "metadata": {"conversion": facts},
        **_options(made.answer),
    }
    if output is not None:
        models.save_model(made.graph, output, **options)
        return str(output), None, None, _size(Path(output))
    tags = {f"pack.conversion.{key}": facts[key] for key in ("source", "source_digest", "source_flavor")}
    info = models.log_model(made.graph, name, tags=tags, **options)
    version = models.register_model(info.model_uri, str(name), tags=tags)
    return (
        f"models:/{version.name}/{version.version}",
        version.version,
        info.model_id,
        _size(Path(version.storage_location)),
    )


def _size(home: Path) -> int:
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


def _opset(graph: Any) -> int:
    return max((one.version for one in graph.opset_import if one.domain in {"", "ai.onnx"}), default=0)


def _unlike(proof: Proof) -> InvalidValue:
    worst = max(proof.compared, key=lambda one: one.differing)
    why = (
        worst.reason or f"the greatest difference is {worst.largest:.3g}"
        if worst.largest or worst.reason
        else "labels differ"
    )
    return InvalidValue(
        f"the converted model answers unlike its source in {proof.differing} of {proof.rows} rows "
        f"(most of them: {worst.kind}; {why}), beyond rtol={proof.tolerances.rtol:g}, atol={proof.tolerances.atol:g}",
        hint="nothing was logged; keep the model as it is, or widen the tolerances if that is near enough",
        proof=proof.to_dict(),
    )


def _impossible(source: Source, reason: str, hint: str | None = None) -> InvalidValue:
    return InvalidValue(
        f"this {source.flavor} model cannot be converted to ONNX: {reason}",
        hint=hint or "keep the model as it is, or rebuild it of parts that have a converter",
    )
