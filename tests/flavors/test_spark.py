"""The spark flavor: one small JVM for the whole file, which ends with it."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack import flavors
from pack.errors import Damaged, InvalidValue, NotFound, PackError, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code

pyspark = pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore:createDataFrame attempted Arrow optimization:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:pyspark"),
]

CANARY = "from pathlib import Path\nPath({path!r}).write_text('ran')\nclass Evil:\n    pass\n"


@pytest.fixture(scope="module", autouse=True)
def spark() -> Iterator[Any]:
    with running() as session:
        yield session


@contextmanager
def running() -> Iterator[Any]:
    """A session and its JVM, for as long as models are used."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "512m")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    gc.collect()  # what MLflow and Spark left open is theirs, and belongs to these tests
    gateway = SparkContext._gateway
    session.stop()
    if "saved" in made:
        made["saved"].cleanup()
    made.clear()
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=60)
        SparkContext._gateway = SparkContext._jvm = None


made: dict[str, Any] = {}


def once(name: str, make: Any) -> Any:
    """A fitted model, made once."""
    if name not in made:
        made[name] = make()
    return made[name]


def copied(home: Path) -> None:
    """A copy of the classifier, saved once."""
    if "saved" not in made:
        made["saved"] = tempfile.TemporaryDirectory()
        pack.save_model(classifier(), Path(made["saved"].name) / "m")
    shutil.copytree(Path(made["saved"].name) / "m", home)


def rows() -> Any:
    values = np.random.default_rng(0).normal(size=(40, 2))
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "label": (values.sum(axis=1) > 0).astype(float)})


def table(frame: Any = None) -> Any:
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    return session.createDataFrame(rows() if frame is None else frame)


def classifier() -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    stages = [VectorAssembler(inputCols=["a", "b"], outputCol="features"), LogisticRegression(maxIter=3)]
    return once("classifier", lambda: Pipeline(stages=stages).fit(table()))


def words() -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import DecisionTreeClassifier
    from pyspark.ml.feature import StringIndexer, VectorAssembler

    frame = pd.DataFrame({"word": pd.Series(["x", "y", "x", "z"] * 3, dtype=object), "label": [0.0, 1.0, 0.0, 1.0] * 3})
    stages = [
        StringIndexer(inputCol="word", outputCol="index", handleInvalid="keep"),
        VectorAssembler(inputCols=["index"], outputCol="features"),
        DecisionTreeClassifier(maxDepth=2, predictionCol="answer"),
    ]
    return once("words", lambda: Pipeline(stages=stages).fit(table(frame)))


def column(model: Any, frame: Any, name: str = "prediction") -> list[Any]:
    """What Spark itself answers."""
    return [row[0] for row in model.transform(table(frame)).select(name).collect()]


class TestPipeline(FlavorInterop):
    flavor = "spark"

    def model(self) -> Any:
        return classifier()

    def rows(self) -> Any:
        return rows()[["a", "b"]][:5]

    def expected(self) -> Any:
        return column(classifier(), self.rows())


class TestModelOfVectors(FlavorInterop):
    """A model alone, whose rows are lists of numbers, becomes a pipeline."""

    flavor = "spark"

    def model(self) -> Any:
        return classifier().stages[1]

    def rows(self) -> Any:
        return pd.DataFrame({"features": rows()[["a", "b"]][:5].to_numpy().tolist()})

    def expected(self) -> Any:
        return column(classifier(), rows()[["a", "b"]][:5])


class TestTransformer(FlavorInterop):
    """A pipeline without a prediction answers what its last stage makes."""

    flavor = "spark"

    def model(self) -> Any:
        from pyspark.ml.feature import VectorAssembler

        return VectorAssembler(inputCols=["a", "b"], outputCol="features")

    def rows(self) -> Any:
        return rows()[["a", "b"]][:5]

    def expected(self) -> Any:
        return self.rows().to_numpy()


class TestForest(TestPipeline):
    """Trees are kept in tables of their own, with metadata in their rows."""

    def model(self) -> Any:
        from pyspark.ml import Pipeline
        from pyspark.ml.feature import VectorAssembler
        from pyspark.ml.regression import RandomForestRegressor

        stages = [
            VectorAssembler(inputCols=["a", "b"], outputCol="features"),
            RandomForestRegressor(numTrees=2, maxDepth=2, seed=1),
        ]
        return once("forest", lambda: Pipeline(stages=stages).fit(table()))

    def expected(self) -> Any:
        return column(self.model(), self.rows())


def test_a_search_with_models_inside_loads_in_safe_mode(tmp_path: Path) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression, OneVsRest
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit

    one = LogisticRegression(maxIter=1)
    rest = OneVsRest(classifier=one)
    search = TrainValidationSplit(
        estimator=Pipeline(stages=[VectorAssembler(inputCols=["a", "b"], outputCol="features"), rest]),
        estimatorParamMaps=ParamGridBuilder().addGrid(rest.classifier, [one]).build(),
        evaluator=MulticlassClassificationEvaluator(),
        seed=1,
    )
    model = search.fit(table())
    pack.save_model(model, tmp_path / "m", input_example=rows()[["a", "b"]][:2])
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert loaded.predict(rows()[["a", "b"]]) == column(model, rows()[["a", "b"]])


def test_the_prediction_may_have_another_name(tmp_path: Path) -> None:
    pack.spark.save_model(words(), tmp_path / "m")
    found = pack.pyfunc.load_model(tmp_path / "m").predict(pd.DataFrame({"word": ["x", "z", "x"]}))
    assert found == [0.0, 1.0, 0.0]


def test_the_column_named_prediction_answers_before_what_comes_after_it(tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import IndexToString

    text = IndexToString(inputCol="prediction", outputCol="text", labels=["no", "yes"])
    pack.save_model(PipelineModel([*classifier().stages, text]), tmp_path / "m")
    frame = rows()[["a", "b"]].assign(prediction_of_mine=1.0)
    found = pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(frame)
    assert found == column(classifier(), frame), "as MLflow answers"
    named = IndexToString(inputCol="answer", outputCol="prediction", labels=["x", "y", "z"])
    pack.save_model(PipelineModel([*words().stages, named]), tmp_path / "n")
    assert pack.pyfunc.load_model(tmp_path / "n").predict(pd.DataFrame({"word": ["x", "z"]})) == ["x", "y"]


def test_missing_text_is_null_and_not_the_word_nan(tmp_path: Path) -> None:
    from pyspark.ml.feature import SQLTransformer

    model = SQLTransformer(statement="SELECT word IS NULL AS prediction FROM __THIS__")
    pack.save_model(model, tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(pd.DataFrame({"word": ["x", None]})) == [False, True]
    assert loaded.predict(pd.DataFrame({"word": pd.Categorical(["x", None])})) == [False, True]
    assert loaded.predict(pd.DataFrame({"word": pd.Series([None], dtype=object)})) == [True]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "Int64", "bool"])
def test_numbers_of_every_kind_are_taken(tmp_path: Path, dtype: Any) -> None:
    copied(tmp_path / "m")
    frame = pd.DataFrame({"a": [0, 1], "b": [1, 0]}).astype(dtype)
    assert pack.pyfunc.load_model(tmp_path / "m").predict(frame) == column(classifier(), frame.astype("float64"))


def test_arrays_and_dicts_have_the_columns_that_the_stages_take(tmp_path: Path) -> None:
    copied(tmp_path / "m")
    pack.save_model(classifier().stages[1], tmp_path / "n")
    frame = rows()[["a", "b"]]
    expected = column(classifier(), frame)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(frame.to_numpy()) == expected
    assert loaded.predict({"a": frame["a"].to_numpy(), "b": frame["b"].to_numpy()}) == expected
    assert pack.pyfunc.load_model(tmp_path / "n").predict(frame.to_numpy()) == expected
    assert loaded.predict(frame[:0]) == []
    with pytest.raises(SchemaMismatch, match="2 columns: a, b"):
        loaded.predict(np.zeros((2, 3)))


def test_params_are_sparks_own_for_this_call_alone(tmp_path: Path) -> None:
    frame = rows()[["a", "b"]]
    pack.spark.save_model(classifier(), tmp_path / "m", input_example=(frame[:2], {"threshold": 0.5}))
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert set(loaded.predict(frame, {"threshold": 0.999999})) == {0.0}
    assert loaded.predict(frame) == column(classifier(), frame)
    with pytest.raises(InvalidValue, match="no stage has a parameter 'speed'"):
        pack.flavors.get("spark").predict(classifier(), frame, {"speed": 1})


def test_rows_keep_their_order_where_a_stage_joins(tmp_path: Path) -> None:
    from pyspark.ml.recommendation import ALS

    ratings = pd.DataFrame({"user": [0, 0, 1, 1, 2], "item": [0, 1, 0, 2, 2], "rating": [4.0, 2.0, 3.0, 4.0, 1.0]})
    model = ALS(rank=1, maxIter=1, seed=1).fit(table(ratings))
    pack.save_model(model, tmp_path / "m", input_example=ratings[["user", "item"]])
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert not loaded.rows_are_independent
    pairs = ratings[["user", "item"]].sample(frac=1, random_state=1).reset_index(drop=True)
    alone = [loaded.predict(pairs[one : one + 1])[0] for one in range(len(pairs))]
    for file in (tmp_path / "m" / "sparkml").rglob("*.parquet"):
        file.unlink()  # its tables were read when it was loaded
    assert same(loaded.predict(pairs), alone)


def test_rows_are_independent_where_none_is_left_out(tmp_path: Path) -> None:
    from pyspark.ml.feature import VectorAssembler

    copied(tmp_path / "m")
    assert pack.pyfunc.load_model(tmp_path / "m").rows_are_independent
    skipping = VectorAssembler(inputCols=["a", "b"], outputCol="features", handleInvalid="skip")
    pack.save_model(skipping, tmp_path / "n")
    loaded = pack.pyfunc.load_model(tmp_path / "n")
    assert not loaded.rows_are_independent
    assert loaded.predict(pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, 3.0]})) == [[1.0, 2.0]]


def test_a_folder_that_workers_share_is_used_where_it_is_given(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    pack.spark.save_model(classifier(), tmp_path / "m", dfs_tmpdir=shared)
    assert not list(shared.rglob("metadata")), "what is moved is not left behind"
    found = pack.spark.load_model(tmp_path / "m", dfs_tmpdir=f"file://{shared}")
    assert list(shared.rglob("metadata"))
    assert column(found, rows()) == column(classifier(), rows())


@pytest.mark.parametrize("load", [pack.pyfunc.load_model, pack.load_model])
def test_a_model_does_not_choose_the_folder_that_it_is_copied_to(tmp_path: Path, load: Any) -> None:
    copied(tmp_path / "m")
    described = Model.load(tmp_path / "m").replace(pack=None)
    described.flavors["spark"]["dfs_tmpdir"] = f"file://{tmp_path / 'elsewhere'}"
    (tmp_path / "m" / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match="names a dfs_tmpdir"):
        load(tmp_path / "m", trust=True)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_not_fitted_is_a_clear_error(tmp_path: Path) -> None:
    from pyspark.ml import Pipeline

    with pytest.raises(InvalidValue, match="Pipeline is not fitted"):
        pack.spark.save_model(Pipeline(stages=[]), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_path_that_spark_takes_for_a_pattern_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="for a pattern"):
        pack.save_model(classifier(), tmp_path / "m[1]")
    assert not (tmp_path / "m[1]").exists()


def rewritten(home: Path, change: Any, *, where: str = "stages/0*/metadata") -> Path:
    """The model with other metadata, and without the digests that would tell; nothing but what it says is trusted."""
    for path in (home / "sparkml").glob(f"{where}/part-*"):
        found = change(path.read_text(encoding="utf-8"))
        path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    described = Model.load(home).replace(pack=None)
    (home / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")
    return home


HOSTILE: dict[str, Any] = {
    "a module": lambda text: {**json.loads(text), "class": "pack_canary.Evil"},
    "a class of Java": lambda text: {**json.loads(text), "class": "javax.script.ScriptEngineManager"},
    "spark, but not ml": lambda text: {**json.loads(text), "class": "org.apache.spark.deploy.SparkSubmit"},
    "in the package": lambda text: {**json.loads(text), "class": "pyspark.ml.feature.os.system"},
    "a statement": lambda text: {**json.loads(text), "class": "org.apache.spark.ml.feature.SQLTransformer"},
    "twice": lambda text: text.replace('{"class"', '{"class":"pack_canary.Evil","class"', 1),
    "two lines": lambda text: '{"class":"pack_canary.Evil"}\n' + text,
    "two lines of a kind": lambda text: '{"class":"pack_canary.Evil"}\r' + text,
    "no class": lambda text: "{}",
    "a list": lambda text: "[]",
    "deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_class_that_the_metadata_name_is_not_loaded(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pack_canary.py").write_text(CANARY.format(path=str(tmp_path / "canary")), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    copied(tmp_path / "m")
    home = rewritten(tmp_path / "m", HOSTILE[kind])
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted, match="not trusted"):
            load(home, trust="safe")
    assert tells_of_code(home)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("uid", ["../../../../outside", "..", "a/b", "/tmp/x", "a\\b", "{a,b}", "*", "", 7, None])
def test_stages_outside_of_the_model_are_never_looked_at(tmp_path: Path, uid: Any) -> None:
    def changed(text: str) -> Any:
        said = json.loads(text)
        said["paramMap"]["stageUids"][0] = uid
        return said

    copied(tmp_path / "m")
    home = rewritten(tmp_path / "m", changed, where="metadata")
    for trust in (True, "safe"):
        with pytest.raises(InvalidValue, match="outside of the model"):
            pack.pyfunc.load_model(home, trust=trust)


def test_a_parameter_kept_outside_of_the_model_is_never_looked_at(tmp_path: Path) -> None:
    def changed(text: str) -> Any:
        value = {"parent": "x", "name": "classifier", "value": '"/tmp/outside"', "isJson": "false"}
        return {**json.loads(text), "estimatorParamMaps": [[value]]}

    copied(tmp_path / "m")
    with pytest.raises(InvalidValue, match="outside of the model"):
        pack.pyfunc.load_model(rewritten(tmp_path / "m", changed), trust=True)


@pytest.mark.parametrize(
    "name",
    [
        "sparkml/metadata/part-00001.gz",
        "sparkml/metadata/part-00001",
        "sparkml/metadata/x=1/part-00000.parquet",
        "sparkml/stages/more.bin",
        "sparkml/stages/_metadata",
        "sparkml/data/part-00000.avro",
    ],
)
def test_files_that_spark_does_not_write_are_not_given_to_it(tmp_path: Path, name: str) -> None:
    copied(tmp_path / "m")
    (tmp_path / "m" / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / "m" / name).write_bytes(b"{}")
    home = rewritten(tmp_path / "m", str)
    assert tells_of_code(home)
    with pytest.raises(Untrusted, match=Path(name).name.split(".")[0]):
        pack.pyfunc.load_model(home, trust="safe")


def test_a_class_that_a_table_names_is_not_loaded(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    copied(tmp_path / "m")
    path = next((tmp_path / "m" / "sparkml" / "stages").glob("1_*/data/*.parquet"))
    key = b"org.apache.spark.sql.parquet.row.metadata"
    schema = {"type": "struct", "fields": [{"name": "a", "type": {"type": "udt", "class": "evil.Type"}}]}
    values = pa.table({"a": [1]}).replace_schema_metadata({key: json.dumps(schema)})
    parquet.write_table(values, path)
    home = rewritten(tmp_path / "m", str)
    assert tells_of_code(home)
    with pytest.raises(Untrusted, match=r"evil\.Type"):
        pack.pyfunc.load_model(home, trust="safe")
    path.write_bytes(b"PAR1 nothing of this kind PAR1")
    with pytest.raises(InvalidValue, match="not a parquet file"):
        pack.pyfunc.load_model(rewritten(tmp_path / "m", str), trust="safe")


def test_a_statement_runs_where_its_model_is_trusted_alone(tmp_path: Path) -> None:
    from pyspark.ml.feature import SQLTransformer

    model = SQLTransformer(statement="SELECT *, a + b AS prediction FROM __THIS__")
    pack.save_model(model, tmp_path / "m")
    assert pack.pyfunc.load_model(tmp_path / "m").predict(rows()[:1])[0] == pytest.approx(
        rows()[:1][["a", "b"]].sum(axis=1)[0]
    )
    with pytest.raises(Untrusted, match="SQLTransformer"):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")


@pytest.mark.parametrize("name", ["os.system", "pack_canary.Evil", "pyspark.ml.Pipeline", "x" * 10_000])
def test_a_class_that_the_model_names_is_never_imported(tmp_path: Path, name: str) -> None:
    copied(tmp_path / "m")
    described = Model.load(tmp_path / "m").replace(pack=None)
    described.flavors["spark"]["model_class"] = name
    (tmp_path / "m" / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match="not Spark's pipeline"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


@pytest.mark.parametrize("place", ["../outside", "/tmp", "nowhere", ""])
def test_a_folder_outside_of_the_model_is_refused(tmp_path: Path, place: str) -> None:
    copied(tmp_path / "m")
    described = Model.load(tmp_path / "m").replace(pack=None)
    described.flavors["spark"]["model_data"] = place
    (tmp_path / "m" / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")
    with pytest.raises((InvalidValue, NotFound)):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


def test_files_that_come_into_the_model_while_it_is_read_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.ml import PipelineModel

    load = PipelineModel.load

    def meddled(path: str) -> Any:
        (tmp_path / "m" / "sparkml" / "metadata" / "part-00001").write_text("{}")
        return load(path)

    copied(tmp_path / "m")
    monkeypatch.setattr(PipelineModel, "load", meddled)
    with pytest.raises(PackError, match="part-00001") as caught:
        pack.pyfunc.load_model(tmp_path / "m")
    assert isinstance(caught.value, Damaged)


def test_what_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    copied(tmp_path / "m")
    home = rewritten(tmp_path / "m", lambda text: {**json.loads(text), "paramMap": {"speed": 1}})
    with pytest.raises(InvalidValue, match="does not load 'sparkml'"):
        pack.pyfunc.load_model(home)


def test_logging_takes_mlflows_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pack.set_tracking_uri(f"sqlite:///{tmp_path}/store.db")
    with pack.start_run():
        info = pack.spark.log_model(spark_model=classifier(), artifact_path="m", dfs_tmpdir=str(tmp_path / "shared"))
    assert flavors.detect(pack.spark.load_model(info.model_uri)) == "spark"


def test_the_lists_say_what_the_flavor_needs() -> None:
    assert pack.spark.get_default_pip_requirements() == [f"pyspark=={pyspark.__version__}"]
