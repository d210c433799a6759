"""Spark ML pipelines and models, kept in Spark's own folders.

Keys are MLflow's (interoperability facts, flavors, sections 1 and 10). A model that is no pipeline becomes a pipeline
of one stage. The session is the one that is there, or a local one on one core, without a web page, on the loopback.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, ClassVar

import pyspark
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from pack.errors import InvalidState, InvalidValue, MissingPackage, SchemaMismatch
from pack.flavors.base import Config, Flavor
from pack.flavors.spark_stages import inputs_of, output_of, params_of, stages_of, vector_inputs_of, whole_by_row
from pack.mlmodel.frames import as_frame, need_pandas
from pack.trust import spark_files
from pack.trust.admission import active

_FOLDER = "sparkml"
_ROW = "__pack_row__"
_LOCAL = {
    "spark.master": "local[1]",
    "spark.app.name": "pack",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
# Spark takes these for patterns in the name of a folder that it reads.
_PATTERNS = set("*?[]{}\\")


class Spark(Flavor):
    """Pipelines and models; `dfs_tmpdir` is a folder that a cluster's workers share, left out on a single machine."""

    name: ClassVar[str] = "spark"
    packages: ClassVar[tuple[str, ...]] = ("pyspark",)

    def __init__(self, dfs_tmpdir: str | Path | None = None) -> None:
        self.dfs_tmpdir = None if dfs_tmpdir is None else str(dfs_tmpdir)

    def write(self, model: Any, home: Path) -> Config:
        """Write the pipeline; raises `InvalidValue` for one that is not fitted, or that Spark cannot write."""
        if not isinstance(model, Transformer):
            raise InvalidValue(f"{type(model).__name__} is not fitted", hint="save what its fit() answers")
        pipeline = model if isinstance(model, PipelineModel) else PipelineModel([model])
        session = _session()
        folder = home.absolute() / _FOLDER
        try:
            if self.dfs_tmpdir is None and _is_local(session):
                pipeline.write().save(_uri(folder))
            else:
                place = _shared(self.dfs_tmpdir)
                pipeline.write().save(place)
                _fetch(session, place, folder)
        except (PySparkException, Py4JError, ValueError, TypeError, AttributeError) as error:
            raise InvalidValue(
                f"Spark cannot write this {type(model).__name__}: {error!s:.300}",
                hint="each stage must be one that Spark can write (MLWritable)",
            ) from error
        return {
            "pyspark_version": pyspark.__version__,
            "model_data": _FOLDER,
            "model_class": "pyspark.ml.pipeline.PipelineModel",
        }

    def read(self, home: Path, config: Config) -> Any:
        """The pipeline; classes outside of our list only where the load policy allows them."""
        kind = str(config.get("model_class") or "pyspark.ml.pipeline.PipelineModel")
        if kind not in {"pyspark.ml.pipeline.PipelineModel", "pyspark.ml.PipelineModel"}:
            raise InvalidValue(f"{kind!a:.100} is not Spark's pipeline", hint="save the model again, as a pipeline")
        folder = spark_files.verified(home / str(config.get("model_data") or config["data"]))
        _check_place_is_ours()
        session = _session()
        try:
            model = PipelineModel.load(self._place(session, folder.absolute(), config.get("dfs_tmpdir")))
            _keep_tables(model)
        except (
            PySparkException,
            Py4JError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            AssertionError,
        ) as error:
            raise InvalidValue(
                f"Spark {pyspark.__version__} does not load {folder.name!a}: {error!s:.300}",
                hint="install the version that the model was saved with, or save it again",
            ) from error
        spark_files.check_same(folder)
        return model

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Classes outside of our list are code."""
        return spark_files.why_code(home / str(config.get("model_data") or config["data"]))

    def ready(self, model: Any, home: Path, config: Config) -> Any:
        """The pipeline as it was given."""
        return model if isinstance(model, PipelineModel) else PipelineModel([model])

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A list: the prediction of each row, or what the last stage makes of it; vectors are lists.

        Params are Spark's own, by name, such as `threshold`. A stage without a column of its own gives a frame.
        """
        stages, frame = stages_of(model), _frame(model, rows)
        if not len(frame):
            return []
        by_row = whole_by_row(stages)
        given = _given(frame if by_row else frame.assign(**{_ROW: range(len(frame))}), vector_inputs_of(stages))
        found = model.transform(given, params_of(stages, params))
        name = output_of(stages, found.columns)
        new = [one for one in found.columns if one not in frame.columns and one != _ROW]
        wanted = [name] if name else (new or [one for one in found.columns if one != _ROW])
        answer = _collected(found, wanted)
        return answer[name].tolist() if name else answer

    def rows_are_independent(self, model: Any) -> bool:
        """Where every stage keeps each row, and looks at that row alone."""
        return whole_by_row(stages_of(model))

    def python_function(self, config: Config) -> Config | None:
        """The folder."""
        return {"loader_module": "mlflow.spark", "data": config["model_data"]}

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """The modules of stages that are not Spark's, and what reads its tables."""
        named = {name.partition(".")[0] for name in spark_files.classes(home / str(config["model_data"]))}
        return {"pandas", "pyarrow"} | (named - {"pyspark", "org", "com", "net", "io", "ai", "ml"})

    def _place(self, session: Any, folder: Path, shared: Any) -> str:
        """Where Spark reads the folder: here, or where its workers see it too."""
        if shared is None and _is_local(session):
            return _uri(folder)
        place = _shared(shared)
        _send(session, folder, place)
        return place


def _session() -> Any:
    """The session that there is, or a small local one; raises `MissingPackage` where Java is missing."""
    if is_remote():
        raise InvalidState("models are not read or written through Spark Connect", hint="use a session of its driver")
    found = SparkSession.getActiveSession()
    if found is not None:
        return found
    try:
        conf = SparkConf()
        if not conf.contains("spark.master"):
            for key, value in _LOCAL.items():
                conf.setIfMissing(key, value)
        SparkContext.getOrCreate(conf)
        return SparkSession.builder.getOrCreate()
    except (PySparkException, FileNotFoundError) as error:
        raise MissingPackage(
            f"Spark {pyspark.__version__} does not start: {error!s:.200}", hint="install Java 17 or newer"
        ) from error


def _check_place_is_ours() -> None:
    """Raise `InvalidValue` where the model itself says to which place Spark copies it: any place, of any system."""
    admission = active()
    if admission is not None and "dfs_tmpdir" in admission.model.flavors.get("spark", {}):
        raise InvalidValue("the MLmodel file names a dfs_tmpdir, which only a reader chooses", hint="take it out")


def _is_local(session: Any) -> bool:
    master = session.sparkContext.master
    return bool(master == "local" or master.startswith("local["))


def _uri(folder: Path) -> str:
    if set(str(folder)) & _PATTERNS:
        raise InvalidValue(
            f"Spark takes {' '.join(sorted(set(str(folder)) & _PATTERNS))} in a path for a pattern",
            hint="use a folder whose path has none of * ? [ ] { }",
        )
    return f"file://{folder.as_posix()}"


def _shared(root: Any) -> str:
    return f"{str(root or '/tmp/pack').rstrip('/')}/{uuid.uuid4().hex}"  # noqa: S108 - a path of the cluster's


def _fetch(session: Any, place: str, folder: Path) -> None:
    """Move a folder from the cluster's file system to this machine."""
    system, path = _hadoop(session, place)
    system.copyToLocalFile(True, path, _path(session, _uri(folder)), True)


def _send(session: Any, folder: Path, place: str) -> None:
    """Copy a folder of this machine into the cluster's file system, until Spark ends."""
    system, path = _hadoop(session, place)
    system.copyFromLocalFile(False, True, _path(session, _uri(folder)), path)
    system.deleteOnExit(path)


def _hadoop(session: Any, place: str) -> tuple[Any, Any]:
    path = _path(session, place)
    return path.getFileSystem(session.sparkContext._jsc.hadoopConfiguration()), path  # noqa: SLF001 - the only way


def _path(session: Any, place: str) -> Any:
    return session.sparkContext._jvm.org.apache.hadoop.fs.Path(place)  # noqa: SLF001 - the only way


def _keep_tables(model: Any) -> None:
    """Have in memory what a stage would read from its folder at each prediction, long after it was verified."""
    for stage in stages_of(model):
        for name in ("userFactors", "itemFactors", "freqItemsets"):
            if hasattr(type(stage), name):
                getattr(stage, name).cache().count()


def _frame(model: Any, rows: Any) -> Any:
    """A frame with the columns that the first stages take; raises `SchemaMismatch` where an array has others."""
    pd = need_pandas()
    rows = as_frame(rows)
    if hasattr(rows, "columns"):
        return rows
    if isinstance(rows, dict):
        return pd.DataFrame({name: list(values) for name, values in rows.items()})
    names, vectors = inputs_of(stages_of(model)), vector_inputs_of(stages_of(model))
    if len(names) == 1:
        one = rows.ravel() if getattr(rows, "ndim", 1) == 2 and names[0] not in vectors else rows
        return pd.DataFrame({names[0]: list(one)})
    if getattr(rows, "ndim", 0) == 2 and rows.shape[1] == len(names):
        return pd.DataFrame(rows, columns=names)
    raise SchemaMismatch(
        f"the model takes {len(names)} columns: {', '.join(names)[:200]}", hint="give a frame with these columns"
    )


def _given(frame: Any, vectors: set[str]) -> Any:
    """The frame as Spark's, with vectors where stages take them and nulls where text is missing."""
    given = _session().createDataFrame(_plain(frame))
    for name, kind in given.dtypes:
        if kind == "void":
            given = given.withColumn(name, given[f"`{name}`"].cast("string"))
        elif name in vectors and kind.startswith("array<") and "string" not in kind:
            given = given.withColumn(name, array_to_vector(given[f"`{name}`"].cast("array<double>")))
    return given


def _plain(frame: Any) -> Any:
    """Columns of kinds that Spark knows: text with None for what is missing, signed whole numbers."""
    made = frame.copy(deep=False)
    made.columns = [str(name) for name in frame.columns]
    for name, dtype in zip(made.columns, frame.dtypes, strict=True):
        column = made[name]
        if str(dtype) in {"str", "string", "category"} or str(dtype).startswith("string["):
            made[name] = column.astype(object).where(column.notna(), None)
        elif getattr(dtype, "kind", "") == "u":
            made[name] = column.astype("Int64" if column.hasnans else "int64")
        elif getattr(dtype, "kind", "") == "f" and getattr(dtype, "itemsize", 8) == 2:
            made[name] = column.astype("float32")
    return made


def _collected(found: Any, wanted: list[str]) -> Any:
    """These columns as a frame, in the order that the rows came in; vectors are lists."""
    kinds = dict(found.dtypes)
    columns = [
        vector_to_array(found[f"`{name}`"]).alias(name) if kinds[name] == "vector" else found[f"`{name}`"]
        for name in wanted
    ]
    ordered = _ROW in found.columns
    answer = found.select(*columns, *([found[_ROW]] if ordered else [])).toPandas()
    if ordered:
        answer = answer.sort_values(_ROW, kind="stable").drop(columns=_ROW).reset_index(drop=True)
    for name in wanted:
        if kinds[name] == "vector" or kinds[name].startswith("array<"):
            answer[name] = [None if one is None else list(one) for one in answer[name]]
    return answer
