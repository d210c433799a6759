"""Micro-batching: requests gather while the model is busy, and each gets its own answer."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pack
from pack.errors import ModelFailed, TimedOut, Unavailable
from pack.serving.batching import THREADS, Batcher, Limits, Scored
from pack.serving.scoring import Scorer
from tests.serving.test_server import Server


class Recorder(pack.pyfunc.PythonModel):
    """Adds one to each value; remembers how many rows came in each call."""

    rows_are_independent = True

    def __init__(self, seconds: float = 0.0, poison: float = -1.0) -> None:
        self.seconds = seconds
        self.poison = poison
        self.calls: list[int] = []
        self.threads: set[str] = set()

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        self.calls.append(len(model_input))
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        if (model_input == self.poison).any():
            raise ValueError("poison")
        return model_input[:, 0] + (params or {}).get("by", 1)


def scorer_of(tmp_path: Path, model: Any, **options: Any) -> tuple[Scorer, Any]:
    pack.save_model(model, tmp_path / "model", **options)
    loaded = pack.pyfunc.load_model(tmp_path / "model", trust=True)
    return Scorer(loaded), loaded.unwrap_python_model()


def body(*values: float, **params: Any) -> bytes:
    return json.dumps({"inputs": [[value] for value in values], **({"params": params} if params else {})}).encode()


async def score(batcher: Batcher, scorer: Scorer, sent: bytes) -> Any:
    found = await batcher.submit(scorer.read(sent), len(sent))
    return json.loads(found.body)["predictions"]


def run(scorer: Scorer, work: Callable[[Batcher], Coroutine[Any, Any, Any]], limits: Limits | None = None) -> Any:
    async def main() -> Any:
        batcher = Batcher(scorer, limits or Limits())
        try:
            return await work(batcher)
        finally:
            batcher.close()

    return asyncio.run(main())


def test_what_comes_while_the_model_is_busy_is_scored_in_one_call(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder(seconds=0.05))

    async def work(batcher: Batcher) -> Any:
        first = asyncio.create_task(score(batcher, scorer, body(0)))
        await asyncio.sleep(0.01)
        rest = [asyncio.create_task(score(batcher, scorer, body(value, value + 100))) for value in range(1, 31)]
        return await asyncio.gather(first, *rest)

    assert run(scorer, work) == [[1], *([value + 1, value + 101] for value in range(1, 31))]
    assert model.calls == [1, 60]


def test_a_single_request_waits_for_no_other(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder())

    async def work(batcher: Batcher) -> Any:
        return [await score(batcher, scorer, body(value)) for value in range(5)]

    assert run(scorer, work) == [[1], [2], [3], [4], [5]]
    assert model.calls == [1] * 5


def test_a_failing_row_fails_alone(tmp_path: Path) -> None:
    scorer, _ = scorer_of(tmp_path, Recorder(seconds=0.02, poison=13))

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(
            *(score(batcher, scorer, body(value)) for value in range(20)), return_exceptions=True
        )

    found = run(scorer, work)
    assert isinstance(found.pop(13), ModelFailed)
    assert found == [[value + 1] for value in range(20) if value != 13]


def test_params_keep_requests_apart(tmp_path: Path) -> None:
    example = np.array([[1.0]])
    signature = pack.infer_signature(example, params={"by": 1})
    scorer, model = scorer_of(tmp_path, Recorder(seconds=0.02), signature=signature)

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(*(score(batcher, scorer, body(value, by=10 * (value % 2))) for value in range(8)))

    assert run(scorer, work) == [[value + 10 * (value % 2)] for value in range(8)]
    assert sum(model.calls) == 8


def test_a_request_that_was_cancelled_is_not_scored(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder(seconds=0.05))

    async def work(batcher: Batcher) -> Any:
        first = asyncio.create_task(score(batcher, scorer, body(0)))
        await asyncio.sleep(0.01)
        gone = batcher.submit(scorer.read(body(1, 2, 3)), 10)
        kept = asyncio.create_task(score(batcher, scorer, body(4)))
        gone.cancel()
        return await asyncio.gather(first, kept)

    assert run(scorer, work) == [[1], [5]]
    assert model.calls == [1, 1]


@pytest.mark.parametrize(("limits", "most"), [(Limits(max_rows=4), 4), (Limits(max_bytes=60), 3)])
def test_a_batch_stays_within_its_limits(tmp_path: Path, limits: Limits, most: int) -> None:
    scorer, model = scorer_of(tmp_path, Recorder(seconds=0.01))

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(*(score(batcher, scorer, body(value)) for value in range(12)))

    assert run(scorer, work, limits) == [[value + 1] for value in range(12)]
    assert max(model.calls) == most


def test_a_request_larger_than_the_limit_is_scored_alone(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder())
    assert run(scorer, lambda batcher: score(batcher, scorer, body(1, 2, 3)), Limits(max_rows=2)) == [2, 3, 4]
    assert model.calls == [3]


def test_a_full_queue_refuses(tmp_path: Path) -> None:
    scorer, _ = scorer_of(tmp_path, Recorder(seconds=0.05))

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(*(score(batcher, scorer, body(1)) for _ in range(10)), return_exceptions=True)

    found = run(scorer, work, Limits(queue=4))
    assert sum(isinstance(one, Unavailable) for one in found) == 6
    assert found.count([2]) == 4


def test_a_call_that_takes_too_long_is_given_up_and_the_next_is_served(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder(seconds=0.4))

    async def work(batcher: Batcher) -> Any:
        with pytest.raises(TimedOut, match=r"0\.1 seconds"):
            await score(batcher, scorer, body(1))
        model.seconds = 0
        return await score(batcher, scorer, body(2))

    assert run(scorer, work, Limits(timeout=0.1)) == [3]


def test_a_quick_model_is_called_on_the_loop_and_a_slow_one_in_a_thread(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder())
    here = threading.current_thread().name

    async def work(batcher: Batcher) -> None:
        for value in range(20):
            await score(batcher, scorer, body(value))

    run(scorer, work)
    assert here in model.threads
    model.seconds, model.threads = 0.02, set()
    run(scorer, work)
    assert here not in model.threads


def test_a_model_that_does_not_answer_row_by_row_is_asked_one_by_one(tmp_path: Path) -> None:
    class Total(Recorder):
        def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
            super().predict(context, model_input)
            return [float(model_input.sum())]

    scorer, _ = scorer_of(tmp_path, Total(seconds=0.01))

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(*(score(batcher, scorer, body(value, 1)) for value in range(6)))

    assert run(scorer, work) == [[value + 1] for value in range(6)]


def test_where_the_time_went_is_told(tmp_path: Path) -> None:
    scorer, _ = scorer_of(tmp_path, Recorder(seconds=0.03))

    async def work(batcher: Batcher) -> Scored:
        return await batcher.submit(scorer.read(body(1)), 10)

    found = run(scorer, work)
    assert found.together == 1
    assert found.predicting >= 0.03
    assert found.queued >= 0


def test_a_client_that_leaves_is_not_scored(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        "import time, pack\n"
        "def predict(model_input):\n"
        "    open('seen', 'a').write(f'{model_input[0]} ')\n"
        "    time.sleep(0.2)\n"
        "    return [1]\n"
        "pack.models.set_model(predict)\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "slow", python_model=str(script))
    server = Server("-m", str(tmp_path / "slow"))
    head = (
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
    )
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for number, connection in enumerate(connections):
        connection.sendall(head + b'{"inputs":[%03d]}' % (number + 100))
    time.sleep(0.1)
    for connection in connections:
        connection.close()
    assert server.post({"inputs": [7]}) == (200, {"predictions": [1]})
    server.stop()
    seen = Path("seen").read_text(encoding="utf-8").split()
    assert seen[-1] == "7"
    assert len(seen) <= THREADS + 1
