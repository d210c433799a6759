"""What the stages of a Spark pipeline take, make and are told; known from their parameters."""

from __future__ import annotations

from typing import Any

from pack.errors import InvalidValue

_TAKES = ("inputCol", "inputCols", "featuresCol", "userCol", "itemCol", "itemsCol")
_MAKES = ("outputCol", "outputCols", "predictionCol", "probabilityCol", "rawPredictionCol")
# Stages whose `inputCol` or `inputCols` hold vectors; `featuresCol` always does.
_OF_VECTORS = {
    "BucketedRandomProjectionLSHModel", "DCT", "ElementwiseProduct", "IDFModel", "Interaction", "MaxAbsScalerModel",
    "MinHashLSHModel", "MinMaxScalerModel", "Normalizer", "PCAModel", "PolynomialExpansion", "RobustScalerModel",
    "StandardScalerModel", "VectorAssembler", "VectorIndexerModel", "VectorSizeHint", "VectorSlicer",
}  # fmt: skip
# Stages that join, or run a statement: rows may come back in another order, fewer, or not as they went in.
_OF_TABLES = {"ALSModel", "SQLTransformer"}


def stages_of(model: Any) -> list[Any]:
    """The stages of a pipeline, those of pipelines inside it and the best of a search too."""
    if hasattr(model, "bestModel"):
        return stages_of(model.bestModel)
    if not hasattr(model, "stages") or not isinstance(model.stages, list):
        return [model]
    return [inner for stage in model.stages for inner in stages_of(stage)]


def whole_by_row(stages: list[Any]) -> bool:
    """Whether the stages keep each row, and look at that row alone."""
    return all(
        type(stage).__module__.startswith("pyspark.ml.")
        and type(stage).__name__ not in _OF_TABLES
        and "skip" not in _values(stage, ("handleInvalid",))
        for stage in stages
    )


def inputs_of(stages: list[Any]) -> list[str]:
    """The columns that the stages take and none of them makes, in order."""
    made: set[str] = set()
    taken: dict[str, None] = {}
    for stage in stages:
        taken |= dict.fromkeys(name for name in _values(stage, _TAKES) if name not in made)
        made |= set(_values(stage, _MAKES))
    return list(taken)


def vector_inputs_of(stages: list[Any]) -> set[str]:
    """The columns that some stage takes as vectors."""
    names = {name for stage in stages for name in _values(stage, ("featuresCol",))}
    of_vectors = (stage for stage in stages if type(stage).__name__ in _OF_VECTORS)
    return names | {name for stage in of_vectors for name in _values(stage, ("inputCol", "inputCols"))}


def output_of(stages: list[Any], columns: list[str]) -> str | None:
    """The column that answers: `prediction`, else the last stage's prediction or output; None where there is none."""
    made = [name for stage in stages for name in _values(stage, _MAKES)]
    last = _values(stages[-1], ("predictionCol", "outputCol")) if stages else []
    wanted = [*(["prediction"] if "prediction" in made else []), *last, "prediction"]
    return next((name for name in wanted if name in columns), None)


def params_of(stages: list[Any], params: dict[str, Any]) -> dict[Any, Any]:
    """Spark's parameters for these names, the last stage first; raises `InvalidValue` for one that no stage has."""
    found = {}
    for name, value in params.items():
        stage = next((stage for stage in reversed(stages) if stage.hasParam(name)), None)
        if stage is None:
            known = sorted({param.name for stage in stages for param in stage.params})
            raise InvalidValue(f"no stage has a parameter {name!r}", hint=f"parameters: {', '.join(known)[:300]}")
        found[stage.getParam(name)] = value
    return found


def _values(stage: Any, names: tuple[str, ...]) -> list[str]:
    """What the parameters of these names say, those that the stage has and that are set."""
    found: list[str] = []
    for name in names:
        if stage.hasParam(name) and stage.isDefined(name):
            value = stage.getOrDefault(name)
            found += [value] if isinstance(value, str) else list(value or [])
    return [value for value in found if isinstance(value, str) and value]
