"""The same rows by sqlite3 itself, in two tables for metrics and one each for the rest: what the machine allows.

`python bare.py MEASUREMENT SIZE`, with `synchronous=FULL`, so that what was committed is on the disk.
"""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

SIZE = int(sys.argv[2])
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, run_id TEXT UNIQUE, status TEXT, start INTEGER, stop INTEGER);
CREATE TABLE IF NOT EXISTS metrics (run INTEGER, key TEXT, step INTEGER, time INTEGER, value REAL,
    PRIMARY KEY (run, key, step, time, value)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest (run INTEGER, key TEXT, step INTEGER, time INTEGER, value REAL,
    PRIMARY KEY (run, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS params (run INTEGER, key TEXT, value TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (run INTEGER, key TEXT, value TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID;
"""
POINT = "INSERT OR IGNORE INTO metrics VALUES (?, ?, ?, ?, ?)"
LATEST = "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)"


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def each(work: Callable[[int], Any], times: int) -> float:
    return seconds(lambda: [work(turn) for turn in range(times)])


def opened() -> sqlite3.Connection:
    raw = sqlite3.connect("bare.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.executescript(SCHEMA)
    return raw


def points(raw: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    raw.execute("BEGIN IMMEDIATE")
    raw.executemany(POINT, rows)
    raw.executemany(LATEST, {row[1]: row for row in rows}.values())
    raw.execute("COMMIT")


def measure_log_metric() -> dict[str, float]:
    raw = opened()
    took = each(lambda step: points(raw, [(1, "a", step, 1, 0.5)]), SIZE)
    return {"log_metric_calls": SIZE / took, "client_log_metric_calls": SIZE / took}


def measure_log_batch() -> dict[str, float]:
    raw = opened()

    def batch(turn: int) -> None:
        points(raw, [(1, f"m{k % 10}", 1_000 * turn + k, 1_000, 0.1 * k) for k in range(1_000)])

    return {"log_batch_points": 1_000 * SIZE / each(batch, SIZE)}


def measure_create_runs() -> dict[str, float]:
    """One transaction for a run: less durable than three calls, and the least that can be written."""
    raw, rolls = opened(), random.Random(0)

    def create(run: int) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', 1, 2)", (run, uuid.uuid4().hex))
        rows = [(run, f"m{k}", 0, 1_000, rolls.random()) for k in range(10)]
        raw.executemany(POINT, rows)
        raw.executemany(LATEST, rows)
        params = [(run, f"p{k}", str(rolls.randrange(10))) for k in range(5)]
        raw.executemany("INSERT INTO params VALUES (?, ?, ?)", params)
        raw.executemany("INSERT INTO tags VALUES (?, ?, ?)", [(run, f"t{k}", str(k)) for k in range(3)])
        raw.execute("COMMIT")

    return {"create_runs": each(create, SIZE)}


def measure_search() -> dict[str, float]:
    """The ids of the first page, and what was recorded in them."""
    raw = opened()
    filtered = """SELECT r.id FROM runs r JOIN latest a ON a.run = r.id AND a.key = 'm0' AND a.value > 0.5
        JOIN params p ON p.run = r.id AND p.key = 'p0' AND p.value = '3'
        JOIN latest o ON o.run = r.id AND o.key = 'm1' ORDER BY o.value DESC LIMIT 100"""
    ordered = "SELECT run FROM latest WHERE key = 'm1' ORDER BY value DESC LIMIT 100"

    def found(statement: str) -> None:
        ids = [row[0] for row in raw.execute(statement)]
        inside = f"({', '.join('?' * len(ids))})"
        for table in ("latest", "params", "tags"):
            raw.execute(f"SELECT * FROM {table} WHERE run IN {inside}", ids).fetchall()

    return {
        "search_filter_order": statistics.median(seconds(lambda: found(filtered)) for _ in range(11)),
        "search_order": statistics.median(seconds(lambda: found(ordered)) for _ in range(11)),
    }


def measure_history() -> dict[str, float]:
    raw = opened()
    for turn in range(SIZE // 1_000):
        points(raw, [(2, "loss", 1_000 * turn + k, 1_000 + k, 0.1 * k) for k in range(1_000)])
    read = "SELECT value, time, step FROM metrics WHERE run = 2 AND key = 'loss' ORDER BY step, time, value"
    return {"history": statistics.median(seconds(lambda: raw.execute(read).fetchall()) for _ in range(9))}


MEASUREMENTS = {
    "log_metric": measure_log_metric,
    "log_batch": measure_log_batch,
    "create_runs": measure_create_runs,
    "search": measure_search,
    "history": measure_history,
}

if __name__ == "__main__":
    print("\n" + json.dumps(MEASUREMENTS[sys.argv[1]]()))
