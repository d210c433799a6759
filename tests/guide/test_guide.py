"""The code blocks of the guide, with `import pack as mlflow`: sections 1.3, 2.2, 2.3, 6.4 to 6.7, 7.3 to 7.6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pack.fluent import state
from tests import models

DATA = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
def load_data(): return load_iris(return_X_y=True)
def train_model(X, y=None): return LogisticRegression(max_iter=500).fit(*load_data())
X_test = load_data()[0][::10]
model = train_model(None)
"""
QUICKSTART = """
import pack as mlflow

# Experiment 설정
mlflow.set_experiment("MLflow Quickstart")

# Run 시작 및 로깅
with mlflow.start_run():
    mlflow.log_param("learning_rate", 0.01)
    mlflow.log_param("epochs", 100)
    mlflow.log_metric("accuracy", 0.95)
    mlflow.log_metric("loss", 0.05)
    mlflow.set_tag("model_type", "classification")
"""
SIGNATURE = """
from pack.models import infer_signature
import pack.sklearn
import pack as mlflow

X_train, y_train = load_data()
model = train_model(X_train)
predictions = model.predict(X_train)

# Signature 자동 추론
signature = infer_signature(X_train, predictions)

with mlflow.start_run() as run:
    mlflow.sklearn.log_model(
        sk_model=model,
        artifact_path="model",
        signature=signature,
        input_example=X_train[:3]
    )
"""
LOADING = """
import pack as mlflow

# 모델 로깅
with mlflow.start_run() as run:
    mlflow.sklearn.log_model(model, artifact_path="model")

# 모델 로딩 (프레임워크별)
loaded_model = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")

# 모델 로딩 (범용 pyfunc)
pyfunc_model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
predictions = pyfunc_model.predict(X_test)
"""
MODEL_CODE = """
# model_code.py
import pack as mlflow

class MyCustomModel(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input * 2

mlflow.models.set_model(MyCustomModel())
"""
REGISTERING = """
import pack as mlflow

with mlflow.start_run() as run:
    mlflow.sklearn.log_model(
        sk_model=model,
        artifact_path="model",
        registered_model_name="MyClassifier"  # 등록과 동시에 로깅
    )

result = mlflow.register_model(
    model_uri=f"runs:/{run.info.run_id}/model",
    name="MyClassifier"
)
print(f"Version: {result.version}")
"""
ALIASES = """
import pack as mlflow
from pack import MlflowClient

client = MlflowClient()

# Alias 설정
client.set_registered_model_alias(
    name="MyClassifier",
    alias="champion",
    version=3
)

# Alias로 모델 로딩
model = mlflow.sklearn.load_model("models:/MyClassifier@champion")

# Registered Model 레벨 태그
client.set_registered_model_tag("MyClassifier", "task", "question-answering")

# Model Version 레벨 태그
client.set_model_version_tag("MyClassifier", version=3, key="validation_status", value="approved")
"""


@pytest.fixture(autouse=True)
def fresh_state(own_world: Path) -> None:
    state.open_runs().clear()
    import pack

    pack.set_tracking_uri(None)


def execute(*blocks: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "guide"}
    for block in (DATA, *blocks):
        exec(compile(block, "<guide>", "exec"), names)
    return names


def test_1_3_quickstart() -> None:
    names = execute(QUICKSTART)
    run = names["mlflow"].last_active_run()
    assert run.data.params == {"learning_rate": "0.01", "epochs": "100"}
    assert run.data.metrics == {"accuracy": 0.95, "loss": 0.05}
    assert run.data.tags["model_type"] == "classification"
    assert names["mlflow"].get_experiment(run.info.experiment_id).name == "MLflow Quickstart"


PARAMS = """
import pack as mlflow
with mlflow.start_run():
    # 단일 파라미터 기록
    mlflow.log_param("learning_rate", 0.001)
    mlflow.log_param("batch_size", 32)

    # 다수 파라미터 한 번에 기록
    params = {
        "optimizer": "adam",
        "dropout": 0.3,
        "hidden_layers": 3,
        "activation": "relu"
    }
    mlflow.log_params(params)
"""
METRICS = """
import pack as mlflow
def train_one_epoch(model, train_loader): return 1 / (1 + next(train_loader))
def evaluate(model, val_loader): return 2 / (1 + next(val_loader))
train_loader, val_loader = iter(range(1000)), iter(range(1000))

with mlflow.start_run():
    for epoch in range(100):
        train_loss = train_one_epoch(model, train_loader)
        val_loss = evaluate(model, val_loader)

        # step별 메트릭 기록 (시계열 추적)
        mlflow.log_metric("train_loss", train_loss, step=epoch)
        mlflow.log_metric("val_loss", val_loss, step=epoch)

    # 최종 메트릭 한 번에 기록
    final_metrics = {"final_accuracy": 0.95, "final_f1": 0.93}
    mlflow.log_metrics(final_metrics)
"""
ARTIFACTS = """
import pack as mlflow
import matplotlib
matplotlib.use("Agg")
train_losses, val_losses = [3, 2, 1], [4, 3, 2]

import matplotlib.pyplot as plt

with mlflow.start_run():
    # 학습 곡선 시각화 저장
    plt.figure(figsize=(10, 6))
    plt.plot(train_losses, label="Train Loss")
    plt.plot(val_losses, label="Validation Loss")
    plt.legend()
    plt.savefig("learning_curve.png")

    # 단일 파일 아티팩트 기록
    mlflow.log_artifact("learning_curve.png", artifact_path="plots")

    # 디렉토리 전체를 아티팩트로 기록
    mlflow.log_artifacts("./output_dir", artifact_path="results")
plt.close("all")
"""
INPUT = """
import pandas
df = pandas.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})

import pack as mlflow
import pack.data
from pack.data.pandas_dataset import PandasDataset

dataset = mlflow.data.from_pandas(df, source="s3://my-bucket/data.csv")

with mlflow.start_run():
    mlflow.log_input(dataset, context="training")
"""
SEARCH = """
import pack as mlflow

# 특정 조건으로 Run 검색
runs = mlflow.search_runs(
    experiment_names=["MLflow Quickstart"],
    filter_string="metrics.accuracy > 0.9 AND params.optimizer = 'adam'",
    order_by=["metrics.accuracy DESC"]
)
print(runs[["params.optimizer", "metrics.accuracy"]])
"""


def test_2_2_params() -> None:
    run = execute(PARAMS)["mlflow"].last_active_run()
    assert run.data.params == {
        "learning_rate": "0.001", "batch_size": "32", "optimizer": "adam", "dropout": "0.3", "hidden_layers": "3",
        "activation": "relu",
    }  # fmt: skip


def test_2_2_metrics() -> None:
    names = execute(METRICS)
    run = names["mlflow"].last_active_run()
    history = names["mlflow"].MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in history] == [(step, 2 / (1 + step)) for step in range(100)]
    assert run.data.metrics == {
        "train_loss": 0.01, "val_loss": 0.02, "final_accuracy": 0.95, "final_f1": 0.93,
    }  # fmt: skip


def test_2_2_artifacts(own_world: Path) -> None:
    (own_world / "output_dir").mkdir()
    (own_world / "output_dir" / "a.txt").write_text("a", encoding="utf-8")
    root = Path(execute(ARTIFACTS)["mlflow"].last_active_run().info.artifact_uri)
    assert (root / "plots" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (root / "results" / "a.txt").is_file()


def test_2_2_log_input() -> None:
    names = execute(INPUT)
    assert isinstance(names["dataset"], names["PandasDataset"])
    (found,) = names["mlflow"].last_active_run().inputs.dataset_inputs
    assert (found.dataset.source_type, found.tags[0].value) == ("s3", "training")


def test_2_3_searching_and_comparing(capsys: pytest.CaptureFixture[str]) -> None:
    import pack

    pack.set_experiment("MLflow Quickstart")
    for accuracy, optimizer in ((0.95, "adam"), (0.99, "sgd"), (0.97, "adam"), (0.5, "adam")):
        with pack.start_run():
            pack.log_metric("accuracy", accuracy)
            pack.log_param("optimizer", optimizer)
    names = execute(SEARCH)
    assert names["runs"]["metrics.accuracy"].tolist() == [0.97, 0.95]
    assert "params.optimizer  metrics.accuracy" in capsys.readouterr().out


def test_6_4_and_6_5_signature_and_input_example() -> None:
    names = execute(SIGNATURE)
    loaded = names["mlflow"].pyfunc.load_model(f"runs:/{names['run'].info.run_id}/model")
    assert loaded.signature == names["signature"]
    assert (loaded.home / "serving_input_example.json").is_file()
    assert loaded.input_example.tolist() == models.iris()[0][:3].tolist()


def test_6_2_the_directory_is_laid_out_as_the_guide_shows() -> None:
    names = execute(SIGNATURE)
    home = names["mlflow"].pyfunc.load_model(f"runs:/{names['run'].info.run_id}/model").home
    shown = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json"}
    assert shown <= {path.name for path in home.iterdir()}


def test_6_6_logging_and_loading() -> None:
    names = execute(LOADING)
    assert names["predictions"].tolist() == names["model"].predict(names["X_test"]).tolist()
    assert type(names["loaded_model"]).__name__ == "LogisticRegression"


def test_6_7_models_from_code(own_world: Path) -> None:
    (own_world / "model_code.py").write_text(MODEL_CODE, encoding="utf-8")
    names = execute(
        """
import pack as mlflow
with mlflow.start_run():
    info = mlflow.pyfunc.log_model(name="model", python_model="model_code.py", input_example=[1.5])
doubled = mlflow.pyfunc.load_model(info.model_uri).predict([21.0])
"""
    )
    assert names["doubled"].iloc[0, 0] == 42.0


def test_7_3_registering_at_log_time_and_from_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    execute(REGISTERING)
    assert capsys.readouterr().out == "Version: 2\n"


def test_7_4_an_alias_moves_and_what_is_loaded_follows() -> None:
    names = execute(REGISTERING, REGISTERING, REGISTERING, ALIASES)
    names["client"].set_registered_model_alias("MyClassifier", "champion", 5)
    found = names["mlflow"].pyfunc.load_model("models:/MyClassifier@champion")
    assert found.metadata.model_id == names["client"].get_model_version("MyClassifier", 5).model_id


STAGES = """
# Stage 전환 (Legacy API)
client.transition_model_version_stage(
    name="MyClassifier",
    version=3,
    stage="Production"
)

# Stage로 모델 로딩 (Legacy)
model = mlflow.sklearn.load_model("models:/MyClassifier/Production")
"""


def test_7_6_stages_work_and_warn() -> None:
    with pytest.warns(FutureWarning, match="stages are deprecated"):
        names = execute(REGISTERING, REGISTERING, ALIASES, STAGES)
    assert names["client"].get_model_version("MyClassifier", 3).current_stage == "Production"
    assert type(names["model"]).__name__ == "LogisticRegression"


def test_7_5_annotations_are_markdown() -> None:
    client = execute(REGISTERING, REGISTERING, ALIASES)["client"]
    client.update_registered_model("MyClassifier", "# Method\n*Logistic regression*")
    assert client.get_registered_model("MyClassifier").description.startswith("# Method")


def test_7_4_and_7_5_aliases_and_tags() -> None:
    names = execute(REGISTERING, REGISTERING, ALIASES)
    client = names["client"]
    assert client.get_model_version_by_alias("MyClassifier", "champion").version == 3
    assert client.get_registered_model("MyClassifier").tags == {"task": "question-answering"}
    assert client.get_model_version("MyClassifier", 3).tags == {"validation_status": "approved"}
    assert type(names["model"]).__name__ == "LogisticRegression"
