"""Folders of Spark ML, judged before Spark sees them.

Each stage lies in a folder whose `metadata` names its class, and Spark loads that class by reflection: in the JVM from
its class path, in Python by import. A parquet file names classes too, in the types of its columns. Here both are read
first, and compared with a list of Spark's own classes that are data and arithmetic. `SQLTransformer` is not on it: its
SQL statement can call any Java method. Stages that lie outside of the model are refused, whatever the policy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pack.errors import Damaged, InvalidValue, Untrusted
from pack.plugins import missing
from pack.trust.admission import WAYS_FORWARD, active, name_inside, read_bytes, verified_path

_ROOT = "org.apache.spark.ml."
_NAMES = {
    "feature": (
        "Binarizer BucketedRandomProjectionLSHModel Bucketizer ChiSqSelectorModel ColumnPruner CountVectorizerModel "
        "DCT ElementwiseProduct FeatureHasher HashingTF IDFModel ImputerModel IndexToString Interaction "
        "MaxAbsScalerModel MinHashLSHModel MinMaxScalerModel NGram Normalizer OneHotEncoderModel PCAModel "
        "PolynomialExpansion RFormulaModel RegexTokenizer RobustScalerModel StandardScalerModel StopWordsRemover "
        "StringIndexerModel TargetEncoderModel Tokenizer UnivariateFeatureSelectorModel VarianceThresholdSelectorModel "
        "VectorAssembler VectorAttributeRewriter VectorIndexerModel VectorSizeHint VectorSlicer Word2VecModel"
    ),
    "classification": (
        "DecisionTreeClassificationModel DecisionTreeClassifier FMClassificationModel FMClassifier "
        "GBTClassificationModel GBTClassifier LinearSVC LinearSVCModel LogisticRegression LogisticRegressionModel "
        "MultilayerPerceptronClassificationModel MultilayerPerceptronClassifier NaiveBayes NaiveBayesModel OneVsRest "
        "OneVsRestModel RandomForestClassificationModel RandomForestClassifier"
    ),
    "regression": (
        "AFTSurvivalRegressionModel DecisionTreeRegressionModel DecisionTreeRegressor FMRegressionModel FMRegressor "
        "GBTRegressionModel GBTRegressor GeneralizedLinearRegression GeneralizedLinearRegressionModel "
        "IsotonicRegressionModel LinearRegression LinearRegressionModel RandomForestRegressionModel "
        "RandomForestRegressor"
    ),
    "clustering": "BisectingKMeansModel GaussianMixtureModel KMeans KMeansModel LocalLDAModel",
    "recommendation": "ALS ALSModel",
    "fpm": "FPGrowthModel",
    "tuning": "CrossValidatorModel TrainValidationSplitModel",
    "evaluation": (
        "BinaryClassificationEvaluator ClusteringEvaluator MulticlassClassificationEvaluator "
        "MultilabelClassificationEvaluator RankingEvaluator RegressionEvaluator"
    ),
}
CLASSES = {"Pipeline", "PipelineModel", *(f"{room}.{name}" for room, names in _NAMES.items() for name in names.split())}
_TYPES = {f"org.apache.spark.{room}.linalg.{kind}UDT" for room in ("ml", "mllib") for kind in ("Vector", "Matrix")}
_TEXT = re.compile(r"metadata/part-\d{5}[\w-]*(\.txt)?")
_TABLE = re.compile(r"part-\d{5}[\w.-]*\.parquet")
# Spark reads none of these.
_BESIDE = re.compile(r"_SUCCESS|\.[\w.-]+\.crc")
_PLAIN = re.compile(r'[^/\\:*?\[\]{},"\x00-\x1f]+')
_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
_MOST = 16 * 2**20


def verified(folder: Path) -> Path:
    """The path of a folder that Spark may read.

    Raises `Untrusted` naming what lies outside of our list, where the policy does not let the model run code, and
    `InvalidValue` for stages that lie outside of the model.
    """
    path = verified_path(folder)
    for one in _metadata(folder, _files(folder)).values():
        _check_places(one)
    admission = active()
    if admission is not None and admission.may_run_code:
        return path
    reason = why_code(folder)
    if reason is not None:
        raise Untrusted(f"{folder.name!a} was not loaded: {reason}, and this model is not trusted", hint=WAYS_FORWARD)
    return path


def why_code(folder: Path) -> str | None:
    """Why Spark could run code as it reads this folder; None where it cannot."""
    names = _files(folder)
    strange = sorted({*_strange_classes(_metadata(folder, names)), *_strange_files(folder, names)})
    shown = ", ".join(f"{name!a:.100}" for name in strange[:5])
    return f"it holds {shown}, which may run code" if strange else None


def _metadata(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    return {name: _described(folder / name) for name in names if f"/{name}".find("/metadata/part-") >= 0}


def check_same(folder: Path) -> None:
    """Raise `Damaged` where files came into the folder since it was verified."""
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    more = sorted(here - set(_files(folder)))
    if more:
        raise Damaged(f"{more[0]!a:.100} came into the model while it was read", hint="load the model again")


def classes(folder: Path) -> set[str]:
    """The classes that the folder's metadata name."""
    texts = (folder / name for name in _files(folder) if _TEXT.search(name))
    return {str(one["class"]) for one in map(_described, texts) if one and "class" in one}


def _files(folder: Path) -> list[str]:
    """The paths of the folder's files, below it: those that were verified, where there is a load."""
    admission = active()
    if admission is None:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    prefix = f"{name_inside(admission, folder)}/"
    return sorted(name.removeprefix(prefix) for name in admission.files if name.startswith(prefix))


def _described(path: Path) -> dict[str, Any] | None:
    """What a metadata file says; None where it is not one line of JSON as Spark writes it."""
    data = read_bytes(path)
    try:
        text = data.decode("utf-8") if len(data) <= _MOST else ""
        found = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    # Spark takes the first line; another reader's idea of a line must not be another.
    return found if isinstance(found, dict) and len(text.splitlines()) == 1 else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _check_places(described: Any) -> None:
    """Raise `InvalidValue` where metadata look for a stage or a parameter outside of their own folder."""
    for key, value in _entries(described):
        names = value if key == "stageUids" else [value.get("value")] if _is_place(key, value) else []
        for name in names if isinstance(names, list) else [names]:
            plain = isinstance(name, str) and _PLAIN.fullmatch(name.strip('"'))
            if not plain or str(name).strip('". ') == "":
                raise InvalidValue(f"the model looks for a stage at {name!a:.100}, outside of the model")


def _is_place(key: str, value: Any) -> bool:
    return key == "" and isinstance(value, dict) and "isJson" in value and str(value["isJson"]).lower() != "true"


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every entry of nested dicts, and every dict under an empty name."""
    if isinstance(value, dict):
        yield "", value
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _strange_classes(described: dict[str, Any]) -> Iterator[str]:
    for name, one in described.items():
        named = one.get("class") if one else None
        if not isinstance(named, str):
            yield name
        elif _own_name(named) not in CLASSES:
            yield named


def _own_name(named: str) -> str:
    """The class by its name below Spark ML, in the JVM or in Python."""
    for root in ("pyspark.ml.pipeline.", "pyspark.ml.", _ROOT):
        if named.startswith(root):
            return named.removeprefix(root)
    return named


def _strange_files(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Files that are not as Spark's own stages write them, and types of columns that are no vectors or matrices."""
    texts: set[str] = set()
    for name in names:
        where, _, last = f"/{name}".rpartition("/")
        if _BESIDE.fullmatch(last):
            continue
        if "/metadata/" in f"{where}/":
            if where in texts or not where.endswith("/metadata") or not _TEXT.fullmatch(f"metadata/{last}"):
                yield name
            texts.add(where)
        elif not _TABLE.fullmatch(last):
            yield name
        else:
            yield from _strange_types(folder / name)


def _strange_types(path: Path) -> Iterator[str]:
    schema = _schema_of(path)
    if schema is None:
        return
    try:
        found = json.loads(schema, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        yield path.name
        return
    for _, value in _entries(found):
        if isinstance(value, dict) and ({"class", "pyClass"} & value.keys()):
            named = value.get("class", value.get("pyClass"))
            if named not in _TYPES:
                yield str(named)


def _schema_of(path: Path) -> bytes | None:
    """The columns as Spark itself reads them back, from the file's end; the rows stay where they are."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing("pyarrow", "'packml[spark]'") from error
    try:
        schema: bytes | None = (parquet.read_metadata(path).metadata or {}).get(_SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidValue(f"{path.name!a} is not a parquet file", hint="save the model again") from error
    return schema
