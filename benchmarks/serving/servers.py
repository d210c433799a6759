"""The servers beside each other: how each is started, watched and ended, in the environment that make has built."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
START_SECONDS = 60
END_SECONDS = 3


@dataclass(frozen=True)
class Launch:
    """What one start of a server is for; `folder` has the models that its Python made."""

    workload: str
    folder: Path
    port: int
    workers: int = 1


@dataclass(frozen=True)
class Server:
    """A server: its Python, who makes its models, how it is started, and where it answers."""

    name: str
    title: str
    side: str
    python: Path
    words: Callable[[Launch], list[str]]
    variables: dict[str, str] = field(default_factory=dict)
    path: str = "/invocations"

    def command(self, launch: Launch) -> list[str]:
        """The words of the command."""
        return [str(self.python), *self.words(launch)]

    def environment(self, launch: Launch) -> dict[str, str]:
        """The variables of the command: ours where nothing says otherwise, none of them about Python."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PACK_", "MLFLOW"))}
        own = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(launch.folder),  # what a killed server leaves behind goes with the folder
            "PACK_STATE_DIR": str(launch.folder / "state"),
            "WORKLOAD": launch.workload,
            "MODEL": str(launch.folder / f"{launch.workload}.joblib"),
            "PORT": str(launch.port),
            "WORKERS": str(launch.workers),
            "BENTOML_HOME": str(launch.folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        return {**ours, **own, **self.variables}


def _pack(launch: Launch) -> list[str]:
    several = ["--workers", str(launch.workers)] if launch.workers > 1 else []
    return ["-m", "pack", "serve", "-m", str(launch.folder / launch.workload), "--port", str(launch.port), *several]


def _hand(launch: Launch) -> list[str]:
    quick = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    where = ["--app-dir", str(APPS), "--port", str(launch.port), "--workers", str(launch.workers)]
    return ["-m", "uvicorn", "hand_written:app", *where, *quick]


def _mlflow(launch: Launch) -> list[str]:
    model = ["-m", str(launch.folder / launch.workload), "--env-manager", "local"]
    return ["-m", "mlflow", "models", "serve", *model, "--port", str(launch.port), "--workers", str(launch.workers)]


def _bento(launch: Launch) -> list[str]:
    where = ["--working-dir", str(APPS), "--host", "127.0.0.1", "--port", str(launch.port)]
    return ["-m", "bentoml", "serve", "bento:Model", *where]


def _lit(launch: Launch) -> list[str]:
    return [str(APPS / "lit.py")]


def _python(environment: str) -> Path:
    return ROOT / environment / "bin" / "python"


OURS = Path(sys.executable)
THEIRS = _python(".venv-mlflow")
TUNED = {
    "PYTHONPATH": str(ROOT / ".venv-mlflow" / "tuned"),
    "UVICORN_LOOP": "uvloop",
    "UVICORN_HTTP": "httptools",
    "UVICORN_ACCESS_LOG": "false",
    "UVICORN_LOG_LEVEL": "warning",
}
SERVERS = {
    server.name: server
    for server in (
        Server("pack", "pack", "pack", OURS, _pack),
        Server("hand", "hand-written", "pack", OURS, _hand),
        Server("mlflow", "MLflow", "mlflow", THEIRS, _mlflow),
        Server("mlflow-tuned", "MLflow, tuned", "mlflow", THEIRS, _mlflow, TUNED),
        Server("bentoml", "BentoML", "joblib", _python(".venv-bentoml"), _bento, path="/{workload}"),
        Server("litserve", "LitServe", "joblib", _python(".venv-litserve"), _lit, path="/predict"),
    )
}


@dataclass(frozen=True)
class Running:
    """A server that answers. `started` is in seconds, from the command to the first answer."""

    process: psutil.Process
    port: int
    path: str
    started: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def memory(self) -> int:
        """Bytes of the whole tree of processes, a page that several share counted in parts."""
        return sum(_proportional(one.pid) for one in _tree(self.process))


@contextmanager
def running(server: Server, launch: Launch, body: bytes, log: Path) -> Iterator[Running]:
    """A server from its first answer until the block ends; then none of its processes is left.

    Raises `OSError` with the last lines of its log where it gives no answer.
    """
    path = server.path.format(workload=launch.workload)
    with log.open("wb") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            server.command(launch),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=launch.folder,
            env=server.environment(launch),
            start_new_session=True,  # an interrupt is for us; each server is then ended by its id
        )
    process = psutil.Process(child.pid)
    try:
        _first_answer(child, launch.port, path, body, log)
        yield Running(process, launch.port, path, time.perf_counter() - start)
    finally:
        _end(process)
        child.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """The status and the body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def predictions(answer: bytes) -> Any:
    """The predictions of an answer: BentoML gives them bare."""
    found = json.loads(answer)
    return found["predictions"] if isinstance(found, dict) else found


def _first_answer(child: subprocess.Popen[bytes], port: int, path: str, body: bytes, log: Path) -> None:
    deadline, last = time.perf_counter() + START_SECONDS, "nothing listens"
    while time.perf_counter() < deadline and child.poll() is None:
        try:
            status, answer = ask(port, path, body)
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)
            continue
        if status == 200:
            return
        last = f"{status} {answer[:300].decode(errors='replace')}"
        if 400 <= status < 500:
            break  # it has understood and will not change its mind
        time.sleep(0.05)
    lines = log.read_text(errors="replace").strip().splitlines()[-20:]
    if child.poll() is not None:
        last = f"it ended with {child.returncode}: {lines[-1] if lines else 'its log is empty'}"
    raise OSError("\n".join([f"no answer: {last}", *lines]))


def _end(process: psutil.Process) -> None:
    """Ask the first process to end; whatever is left of its tree after some seconds is killed, each by its id."""
    tree = _tree(process)
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    _, left = psutil.wait_procs(tree, timeout=END_SECONDS)
    for one in left:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, timeout=END_SECONDS)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _proportional(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
