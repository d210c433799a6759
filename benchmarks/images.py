"""Images beside those of MLflow's own Dockerfile, on one base and one engine, in one run: `make benchmarks-images`.

Four models, each built four times: cold, with nothing kept, packages downloaded; again; with the code of the model
changed; with its weights changed. Sizes are what an image adds to the base. Both take packages from the same places.
`--write` puts the table, the JSON and the plot into a folder.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression

import pack
from benchmarks.report import Row, table, write
from tests.images.engine import Engine, running

CODE = "def says():\n    return {number}\n"
FROM_CODE = """
import numpy as np
from pack.models import set_model
from pack.pyfunc import PythonModel

class Product(PythonModel):
    def load_context(self, context):
        self.weights = np.load(context.artifacts["weights"])

    def predict(self, context, model_input, params=None):
        return model_input @ self.weights

set_model(Product())
"""
STEPS = ("cold", "again", "code changed", "weights changed")
_TITLE = "Images beside MLflow's"


Weights = np.ndarray[Any, np.dtype[np.float32]]
# Saves a model with these weights, and with this file as its code.
Make = Callable[[Path, Path, Weights], None]


class Build(Protocol):
    """Builds the image of a model."""

    def __call__(self, model: Path, *, cold: bool) -> None:
        """Build it; `cold` is with nothing kept."""


@dataclass(frozen=True)
class Turn:
    """Seconds of each step, and the bytes that the image adds to the base."""

    seconds: dict[str, float]
    added: int


def main() -> None:
    """Measure, show, and write where that is asked for."""
    options = _options()
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, running() as engine, wheels_served() as at:
        os.environ.update(DOCKER_HOST=engine.host, UV_INDEX_STRATEGY="unsafe-best-match")
        peer = Peer(options.peer, at)
        for kind, make in KINDS.items():
            turns = [_turn(Path(folder) / f"{kind}-{number}", make, engine, peer) for number in range(options.repeat)]
            rows += _rows(kind, [ours for ours, _ in turns], [theirs for _, theirs in turns])
    text = f"by `make benchmarks-images`; medians of {options.repeat}.\n\n{__doc__}\n\n{table(rows, 'MLflow 3.17.2')}"
    print(table(rows, "MLflow 3.17.2"))
    if options.write:
        write(options.write, "images", _TITLE, text, rows, {"rows": [vars(row) for row in rows]})
    sys.exit(0 if all(row.reached for row in rows) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="the Python that has MLflow")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


def _turn(folder: Path, make: Make, engine: Engine, peer: Peer) -> tuple[Turn, Turn]:
    folder.mkdir()
    os.environ.update(PACK_CACHE_DIR=str(folder / "cache"), UV_CACHE_DIR=str(folder / "uv"))

    def ours(model: Path, *, cold: bool) -> None:  # cold by its cache folders, which are new
        del cold
        words = [sys.executable, "-m", "pack", "build-docker", "-m", str(model), "-n", "bench-ours"]
        subprocess.run([*words, "--base-image", engine.base], check=True, capture_output=True)

    def theirs(model: Path, *, cold: bool) -> None:
        peer.build(model, engine, cold=cold)

    return (
        _measured(folder / "ours", make, ours, engine, "bench-ours"),
        _measured(folder / "theirs", make, theirs, engine, "bench-theirs"),
    )


def _measured(folder: Path, make: Make, build: Build, engine: Engine, name: str) -> Turn:
    folder.mkdir()
    engine.docker("rmi", "--force", name, check=False)
    engine.docker("image", "prune", "--force")
    seconds = {}
    for step, number, seed in zip(STEPS, (1, 1, 2, 2), (0, 0, 0, 1), strict=True):
        home, code = folder / "model", folder / "benchmark_code.py"
        shutil.rmtree(home, ignore_errors=True)
        code.write_text(CODE.format(number=number))
        make(home, code, np.random.default_rng(seed).normal(size=(500, 500)).astype(np.float32))
        begun = time.perf_counter()
        build(home, cold=step == "cold")
        seconds[step] = time.perf_counter() - begun
        print(f"{folder.parent.name} {name} {step}: {seconds[step]:.1f} s", file=sys.stderr, flush=True)
    return Turn(seconds, _size(engine, name) - _size(engine, engine.base))


def _sklearn(home: Path, code: Path, weights: Weights) -> None:
    model = LogisticRegression(max_iter=2).fit(weights[:40], np.arange(40) % 4)
    pack.save_model(model, home, code_paths=[code], signature=pack.infer_signature(weights[:2].astype(float)))


def _torch(home: Path, code: Path, weights: Weights) -> None:
    import torch

    layer = torch.nn.Linear(500, 500)
    layer.weight.data = torch.from_numpy(weights)
    pack.save_model(layer, home, code_paths=[code], input_example=weights[:2])


def _onnx(home: Path, code: Path, weights: Weights) -> None:
    from onnx import helper, numpy_helper

    info = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    held = [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "g", [info("x", 1, [None, 500])], [info("y", 1, [None, 500])], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    pack.save_model(model, home, code_paths=[code], input_example=weights[:2])


def _from_code(home: Path, code: Path, weights: Weights) -> None:
    held = code.with_name("weights.npy")
    np.save(held, weights)
    code.write_text(FROM_CODE + code.read_text())
    signature = pack.infer_signature(weights[:2])
    pack.save_model(str(code), home, artifacts={"weights": str(held)}, signature=signature, pip_requirements=["numpy"])


KINDS: dict[str, Make] = {"sklearn": _sklearn, "torch": _torch, "onnx": _onnx, "from code": _from_code}


@dataclass(frozen=True)
class Peer:
    """MLflow in its own environment, and where its builds find the wheels that are no index's."""

    python: Path
    wheels: str | None

    def build(self, model: Path, engine: Engine, *, cold: bool) -> None:
        """MLflow's Dockerfile with our base in place of its own, which cannot be pulled everywhere."""
        context = model.parent / "context"
        shutil.rmtree(context, ignore_errors=True)
        words = [str(self.python), "-m", "mlflow", "models", "generate-dockerfile", "-m", str(model)]
        subprocess.run([*words, "-d", str(context), "--env-manager", "local"], check=True, capture_output=True)
        path = context / "Dockerfile"
        lines = f"FROM {engine.base}" + (f"\nENV PIP_FIND_LINKS={self.wheels}" if self.wheels else "")
        path.write_text(re.sub(r"^FROM .*$", lines, path.read_text(), flags=re.MULTILINE))
        more = ["--no-cache"] if cold else []
        engine.docker(
            "build", "--network", "host", "--quiet", *more, "--tag", "bench-theirs", str(context), timeout=1800
        )


@contextmanager
def wheels_served() -> Iterator[str | None]:
    """The wheels of `PIP_FIND_LINKS` over HTTP, for builds that do not see this disk; None where it names no folder."""
    folder = os.environ.get("PIP_FIND_LINKS", "")
    if not Path(folder).is_dir() or not folder:
        yield None
        return
    os.environ["UV_FIND_LINKS"] = folder
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """A folder over HTTP, without a line for each request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _size(engine: Engine, name: str) -> int:
    return int(engine.docker("image", "inspect", "--format", "{{.Size}}", name).stdout)


def _rows(kind: str, ours: list[Turn], theirs: list[Turn]) -> list[Row]:
    found = []
    for step in STEPS:
        one = statistics.median(turn.seconds[step] for turn in ours)
        other = statistics.median(turn.seconds[step] for turn in theirs)
        goal = 0.1 if step == "weights changed" else None
        found.append(Row(f"{kind}: build, {step}", one, other, "s", one / other, goal))
    one = statistics.median(turn.added for turn in ours) / 1e6
    other = statistics.median(turn.added for turn in theirs) / 1e6
    return [*found, Row(f"{kind}: size added to the base", one, other, "MB", one / other, 0.5)]


if __name__ == "__main__":
    main()
