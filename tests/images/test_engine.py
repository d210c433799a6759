"""Images in a real Docker engine: built, run locked down, asked over HTTP, stopped; and what a hostile model gets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import pack
from pack.cli import main as cli
from tests import models
from tests.images.engine import Engine

pytestmark = pytest.mark.docker
LOCKED = ("--read-only", "--cap-drop", "ALL", "--user", "12345", "--security-opt", "no-new-privileges")
SCRIPT = """
from pack.models import set_model

class Doubling:
    def predict(self, model_input):
        return [[2 * value for value in row] for row in model_input.tolist()]

set_model(Doubling())
"""
ASK = """
import sys, urllib.request
body = sys.stdin.buffer.read()
request = urllib.request.Request("http://127.0.0.1:8080/invocations", body, {"content-type": "application/json"})
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


def rows() -> np.ndarray[Any, Any]:
    return np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)


def sklearn(home: Path) -> None:
    pack.save_model(models.classifier(), home, input_example=rows().astype(np.float64))


def torch(home: Path) -> None:
    nn = pytest.importorskip("torch").nn
    pack.save_model(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), home, input_example=rows())


def onnx(home: Path) -> None:
    helper = pytest.importorskip("onnx").helper
    pytest.importorskip("onnxruntime")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Abs", ["x"], ["y"])], "g", [info("x", 1, [None, 4])], [info("y", 1, [None, 4])]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    pack.save_model(model, home, input_example=rows())


def from_code(home: Path) -> None:
    Path("model.py").write_text(SCRIPT)
    pack.save_model("model.py", home, input_example=rows())


KINDS: dict[str, Callable[[Path], None]] = {
    "sklearn": sklearn, "torch": torch, "onnx": onnx, "from_code": from_code,
}  # fmt: skip


def run(*words: str, code: int = 0) -> Any:
    """A command of ours; its JSON where it prints some."""
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == code, done.output
    return done


def build(engine: Engine, name: str, *words: str) -> dict[str, Any]:
    done = run("build-docker", "-m", "model", "-n", name, "--base-image", engine.base, "--json", *words)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def container(engine: Engine, image: str, *words: str) -> Iterator[str]:
    """A container that serves; removed in the end."""
    made = engine.docker("run", "--detach", *words, image).stdout.strip()
    try:
        wait_for(lambda: "serving model=" in logs(engine, made), engine, made)
        yield made
    finally:
        engine.docker("rm", "--force", made)


def logs(engine: Engine, made: str) -> str:
    done = engine.docker("logs", made)
    return done.stdout + done.stderr


def wait_for(ready: Callable[[], bool], engine: Engine, made: str) -> None:
    for _ in range(600):
        if ready():
            return
        if engine.docker("inspect", "--format", "{{.State.Running}}", made).stdout.strip() != "true":
            break
        time.sleep(0.1)
    pytest.fail(f"it did not start:\n{logs(engine, made)}")


def asked_inside(engine: Engine, made: str, data: Any) -> Any:
    """What the server answers to a process beside it: a container without a network has no other way in."""
    words = ["docker", "exec", "--interactive", made, "/opt/pack/bin/python", "-c", ASK]
    done = subprocess.run(
        words, input=json.dumps({"inputs": data}).encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)["predictions"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_serves_locked_down_what_the_model_predicts_here_and_stops_cleanly(engine: Engine, kind: str) -> None:
    KINDS[kind](Path("model"))
    expected = pack.pyfunc.load_model("model").predict(rows())
    build(engine, f"test-{kind}:1")
    with container(engine, f"test-{kind}:1", *LOCKED, "--network", "none") as made:
        answered = asked_inside(engine, made, rows().tolist())
        for name in expected if isinstance(expected, dict) else ():
            np.testing.assert_allclose(answered[name], expected[name], rtol=1e-5)
        if not isinstance(expected, dict):
            np.testing.assert_allclose(answered, np.asarray(expected), rtol=1e-5)
        lines = logs(engine, made).splitlines()
        assert not [line for line in lines if not line.startswith('{"time": ')]
        engine.docker("stop", "--time", "10", made)  # after ten seconds it kills: that is exit code 137
        assert engine.docker("inspect", "--format", "{{.State.ExitCode}}", made).stdout.strip() == "0"


@pytest.fixture
def small(engine: Engine) -> str:
    """An image of a model from code, which needs the fewest packages."""
    from_code(Path("model"))
    build(engine, "test-small:1")
    return "test-small:1"


def test_every_path_answers_over_http_on_the_port_that_the_platform_names(engine: Engine, small: str) -> None:
    told = ("--env", "PORT=9000", "--env", "AIP_PREDICT_ROUTE=/v1/churn:predict", "--env", "PACK_MODEL_NAME=churn")
    made = engine.docker("run", "--detach", "--publish", "127.0.0.1::9000", *told, small, "serve").stdout.strip()
    try:
        wait_for(lambda: "serving churn=" in logs(engine, made), engine, made)
        place = engine.docker("port", made, "9000").stdout.strip().splitlines()[0]
        for path in ("/ping", "/health", "/version", "/v2", "/v2/health/ready", "/v2/models/churn"):
            assert urllib.request.urlopen(f"http://{place}{path}", timeout=30).status == 200
        for path in ("/invocations", "/v1/churn:predict"):
            body = json.dumps({"instances": rows().tolist()}).encode()
            request = urllib.request.Request(f"http://{place}{path}", body, {"content-type": "application/json"})
            answer = json.loads(urllib.request.urlopen(request, timeout=30).read())
            np.testing.assert_allclose(answer["predictions"], 2 * rows(), rtol=1e-6)
    finally:
        engine.docker("rm", "--force", made)


def test_two_builds_are_the_same_image_and_one_without_an_engine_is_too(engine: Engine, small: str) -> None:
    first, again = build(engine, small), build(engine, "test-again:1")
    assert first["image_id"] == again["image_id"]
    assert [one["digest"] for one in first["layers"]] == [one["digest"] for one in again["layers"]]
    engine.docker("save", "--output", "base.tar", engine.base)
    done = run("build-image", "-m", "model", "-n", small, "-o", "image.tar", "--base-image", "base.tar", "--json")
    alone = json.loads(done.stdout)
    assert [one["diff_id"] for one in alone["layers"]] == [one["diff_id"] for one in first["layers"]]


def test_an_image_that_was_made_without_an_engine_is_loaded_and_runs(engine: Engine) -> None:
    from_code(Path("model"))
    base = str(engine.archive)
    done = run("build-image", "-m", "model", "-n", "test-alone:1", "-o", "image.tar", "--base-image", base, "--json")
    engine.docker("load", "--input", "image.tar")
    assert (
        engine.docker("inspect", "--format", "{{.Id}}", "test-alone:1").stdout.strip()
        == json.loads(done.stdout)["image_id"]
    )
    with container(engine, "test-alone:1", *LOCKED, "--network", "none") as made:
        np.testing.assert_allclose(asked_inside(engine, made, rows().tolist()), 2 * rows(), rtol=1e-6)


def test_a_generated_dockerfile_builds_an_image_that_serves(engine: Engine) -> None:
    from_code(Path("model"))
    run("env", "lock", "-m", "model", "-o", "lock.txt")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    subprocess.run([*pip, "--dest", "wheels", "--requirement", "lock.txt"], check=True, timeout=300)
    run("generate-dockerfile", "-m", "model", "-d", "context", "--base-image", engine.base, "--wheelhouse", "wheels")
    engine.build("test-file:1", Path("context"))
    with container(engine, "test-file:1", *LOCKED, "--network", "none") as made:
        np.testing.assert_allclose(asked_inside(engine, made, rows().tolist()), 2 * rows(), rtol=1e-6)
    kept = engine.docker(
        "run",
        "--rm",
        "--entrypoint",
        "/usr/bin/find",
        "test-file:1",
        "/opt/pack",
        "-name",
        "pip",
        "-o",
        "-name",
        "pip-*",
    )
    assert not kept.stdout


def test_an_image_says_what_it_is_and_holds_no_more_than_serving_takes(engine: Engine, small: str) -> None:
    (found,) = json.loads(engine.docker("inspect", small).stdout)
    config = found["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["io.pack.model.digest"].startswith("sha256:")
    assert config["Healthcheck"]["Test"][0] == "CMD"
    files = engine.docker("run", "--rm", "--entrypoint", "/usr/bin/find", small, "/opt", "-type", "f").stdout.split()
    names = {path.split("site-packages/")[1].split("/")[0] for path in files if "site-packages/" in path}
    assert {"pack", "numpy", "uvicorn"} <= names
    assert not names & {"pandas", "sqlalchemy", "mlflow", "pip", "setuptools", "wheel", "docker"}
    bill = json.loads(engine.docker("run", "--rm", "--entrypoint", "/bin/cat", small, "/opt/pack/bom.json").stdout)
    assert bill["metadata"]["component"]["type"] == "machine-learning-model"
    assert {"numpy", "packml"} <= {one["name"] for one in bill["components"]}


def test_health_is_told_to_docker_and_orphans_are_taken_leave_of(engine: Engine, small: str) -> None:
    with container(engine, small, *LOCKED, "--network", "none", "--health-interval", "1s") as made:
        state = ("inspect", "--format", "{{.State.Health.Status}}", made)
        wait_for(lambda: engine.docker(*state).stdout.strip() == "healthy", engine, made)
        orphan = "import os, time\nif os.fork() == 0:\n    time.sleep(0.3)\n    os._exit(0)"
        engine.docker("exec", made, "/opt/pack/bin/python", "-c", orphan)
        time.sleep(1)
        states = "import glob; print([open(one).read().split(') ')[1][0] for one in glob.glob('/proc/[0-9]*/stat')])"
        assert "Z" not in engine.docker("exec", made, "/opt/pack/bin/python", "-c", states).stdout


def test_a_request_in_flight_is_answered_when_a_container_stops(engine: Engine) -> None:
    slow = SCRIPT.replace("        return", "        import time\n        time.sleep(2)\n        return")
    Path("model.py").write_text(slow)
    pack.save_model("model.py", "model", signature=pack.infer_signature(rows()), pip_requirements=["numpy"])
    build(engine, "test-slow:1")
    with container(engine, "test-slow:1", *LOCKED, "--network", "none") as made:
        words = ["docker", "exec", "--interactive", made, "/opt/pack/bin/python", "-c", ASK]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:
            assert asking.stdin is not None
            assert asking.stdout is not None
            asking.stdin.write(json.dumps({"inputs": rows().tolist()}).encode())
            asking.stdin.close()
            time.sleep(1)
            engine.docker("kill", "--signal", "TERM", made)
            np.testing.assert_allclose(json.loads(asking.stdout.read())["predictions"], 2 * rows(), rtol=1e-6)
        assert engine.docker("wait", made).stdout.strip() == "0"


def test_new_weights_leave_the_packages_and_the_code_where_they_are(engine: Engine) -> None:
    sklearn(Path("model"))
    before = build(engine, "test-weights:1")
    other = models.classifier().set_params(C=0.5).fit(*models.iris())
    pack.save_model(other, "other", input_example=rows().astype(np.float64))
    done = run("build-docker", "-m", "other", "-n", "test-weights:2", "--base-image", engine.base, "--json")
    after = json.loads(done.stdout)
    changed = [
        one["what"]
        for one, other in zip(before["layers"], after["layers"], strict=True)
        if one["digest"] != other["digest"]
    ]
    assert set(changed) <= {"weights", "model", "bill of materials"}
    assert "weights" in changed
