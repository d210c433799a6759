"""One measurement, by one library, in a process of its own: `python workload.py pack|mlflow MEASUREMENT SIZE`.

The two libraries share their verbs, so the same lines are timed for both. It uses the default store of the folder where
it is started, and prints one JSON object of figures: seconds, or calls and points a second where the name says so.
"""

from __future__ import annotations

import importlib
import json
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBRARY = sys.argv[1]
SIZE = int(sys.argv[3]) if len(sys.argv) > 3 else 0
NAMES = {"pack": ".pack/pack.db", "mlflow": "mlflow.db"}
FILTER = "metrics.m0 > 0.5 AND params.p0 = '3'"


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def each(work: Callable[[int], Any], times: int) -> float:
    """Seconds for a number of turns."""
    return seconds(lambda: [work(turn) for turn in range(times)])


def median(work: Callable[[], Any], times: int) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(times))


def opened() -> tuple[Any, Any, Any]:
    """The library, a client, and its entities."""
    library = importlib.import_module(LIBRARY)
    return library, library.MlflowClient(), importlib.import_module(f"{LIBRARY}.entities")


def measure_log_metric() -> dict[str, float]:
    library, client, _ = opened()
    with library.start_run() as run:
        for step in range(50):
            library.log_metric("warm", 0.5, step=step)
        verbs = each(lambda step: library.log_metric("a", 0.5, step=step), SIZE)
        calls = each(lambda step: client.log_metric(run.info.run_id, "b", 0.5, step=step), SIZE)
    return {"log_metric_calls": SIZE / verbs, "client_log_metric_calls": SIZE / calls}


def measure_log_batch() -> dict[str, float]:
    _, client, entities = opened()
    run = client.create_run("0").info.run_id

    def batch(turn: int) -> None:
        points = [entities.Metric(f"m{k % 10}", 0.1 * k, 1_000, 1_000 * turn + k) for k in range(1_000)]
        client.log_batch(run, metrics=points)

    batch(0)
    took = each(lambda turn: batch(turn + 1), SIZE)
    params = [each(lambda turn: hundred(client, entities, turn), 1) for _ in range(5)]
    return {"log_batch_points": 1_000 * SIZE / took, "log_params_100": statistics.median(params)}


def hundred(client: Any, entities: Any, turn: int) -> None:
    """A hundred params of a new run; its making is not part of what is compared, and small beside it."""
    run = client.create_run("0").info.run_id
    client.log_batch(run, params=[entities.Param(f"p{k}", str(turn + k)) for k in range(100)])


def measure_create_runs() -> dict[str, float]:
    """Create, one batch, terminate: the runs that the searches look through. Their figures come from one seed."""
    _, client, entities = opened()
    experiment, rolls = client.create_experiment("many"), random.Random(0)
    tags = [entities.RunTag(f"t{k}", str(k)) for k in range(3)]

    def create(_: int) -> None:
        run = client.create_run(experiment).info.run_id
        metrics = [entities.Metric(f"m{k}", rolls.random(), 1_000, 0) for k in range(10)]
        params = [entities.Param(f"p{k}", str(rolls.randrange(10))) for k in range(5)]
        client.log_batch(run, metrics=metrics, params=params, tags=tags)
        client.set_terminated(run)

    took = each(create, SIZE)
    return {"create_runs": took}


def measure_search() -> dict[str, float]:
    files = Path(NAMES[LIBRARY]).parent.glob(f"{Path(NAMES[LIBRARY]).name}*")
    size = float(sum(file.stat().st_size for file in files))  # with the log of a database that was left open
    library, client, _ = opened()
    ids = [client.get_experiment_by_name("many").experiment_id]
    times = 5 if LIBRARY == "mlflow" else 25

    def found(text: str, order: list[str]) -> list[float]:
        page = client.search_runs(ids, text, order_by=order, max_results=100)
        return [run.data.metrics["m1"] for run in page]

    order = ["metrics.m1 DESC"]
    figures = {
        "search_filter_order": median(lambda: found(FILTER, order), times),
        "search_order": median(lambda: found("", order), max(3, times // 2)),
        "search_frame_5000": median(lambda: library.search_runs(ids, max_results=5_000), max(3, times // 5)),
    }
    frame = library.search_runs(ids, max_results=5_000)
    assert frame.shape[0] == min(5_000, SIZE), frame.shape
    # What the other library must answer too.
    answers = {"found_filter_order": sum(found(FILTER, order)), "found_order": sum(found("", order))}
    return {**figures, **answers, "database_bytes": size}


def measure_history() -> dict[str, float]:
    _, client, entities = opened()
    run = client.create_run("0").info.run_id
    for turn in range(SIZE // 1_000):
        points = [entities.Metric("loss", 0.1 * k, 1_000 + k, 1_000 * turn + k) for k in range(1_000)]
        client.log_batch(run, metrics=points)
    assert len(client.get_metric_history(run, "loss")) == SIZE
    return {"history": median(lambda: client.get_metric_history(run, "loss"), 3 if LIBRARY == "mlflow" else 9)}


def measure_first_pages() -> dict[str, float]:
    """The first page of many searches over the runs of `create_runs`: the slowest one in a hundred."""
    _, client, _ = opened()
    ids, rolls = [client.get_experiment_by_name("many").experiment_id], random.Random(1)
    took = []
    for turn in range(200):
        text = [
            "",
            f"metrics.m{turn % 10} > {rolls.random():.3f}",
            f"params.p{turn % 5} = '{rolls.randrange(10)}'",
            FILTER,
        ]
        order = [[], [f"metrics.m{turn % 10} DESC"], ["start_time ASC"], [f"params.p{turn % 5} ASC"]]
        asked = {"filter_string": text[turn % 4], "order_by": order[turn // 4 % 4], "max_results": 100}
        took.append(seconds(lambda: client.search_runs(ids, **asked)))  # noqa: B023
    took.sort()
    return {"first_page_median": statistics.median(took), "first_page_p99": took[197], "first_page_worst": took[-1]}


MEASUREMENTS = {
    "log_metric": measure_log_metric,
    "log_batch": measure_log_batch,
    "create_runs": measure_create_runs,
    "search": measure_search,
    "history": measure_history,
    "first_pages": measure_first_pages,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("\n" + json.dumps(MEASUREMENTS[sys.argv[2]]()))
