"""Metrics, params and tags as runs log them, and the histories of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pack.db import Connection, Database, Page, paging
from pack.errors import InvalidValue, NotFound
from pack.tracking import limits
from pack.tracking.entities import Metric, Param, RunTag
from pack.tracking.runs import Runs

_POINT = """INSERT OR IGNORE INTO metrics (run, key, step, timestamp, value, is_nan) VALUES (?, ?, ?, ?, ?, ?)"""
_LATEST = """INSERT INTO latest_metrics (run, key, step, timestamp, value, is_nan) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, timestamp = excluded.timestamp,
        value = excluded.value, is_nan = excluded.is_nan
    WHERE (excluded.step, excluded.timestamp, excluded.value) >= (step, timestamp, value)"""
_OF_MODEL = """INSERT OR IGNORE INTO logged_model_metrics
    (model, key, step, timestamp, value, is_nan, run_id, dataset_name, dataset_digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_HISTORY = """SELECT value, is_nan, timestamp, step FROM metrics
    WHERE run = :run AND key = :key AND (step, timestamp, value, is_nan) > (:step, :timestamp, :value, :is_nan)
    ORDER BY step, timestamp, value, is_nan LIMIT :most"""
_WHOLE = "SELECT value, timestamp, step, is_nan FROM metrics WHERE run = ? AND key = ? ORDER BY step, timestamp, value"
_WITHOUT_NAN = "SELECT value, timestamp, step FROM metrics WHERE run = ? AND key = ? ORDER BY step, timestamp, value"
_HAS_NAN = "SELECT EXISTS (SELECT 1 FROM metrics WHERE run = ? AND key = ? AND is_nan = 1)"
# run, key, step, timestamp, value, is_nan: the order of the table
_Row: TypeAlias = tuple[int, int, int, int, float, int]
_PAGE = 25_000


class Recording:
    """The part of `TrackingStore` that runs write into."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs
        self._keys: dict[str, int] = {}
        self._undone = 0

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """Record metrics, params and tags, all or none."""
        limits.check_batch(metrics=metrics, params=params, tags=tags)
        values = [limits.check_point(metric) for metric in metrics]
        settled = [limits.check_param(param) for param in params]
        labels = [limits.check_tag(tag) for tag in tags]
        with self._database.write() as connection:
            run = self._runs.active_row(connection, run_id)["id"]
            _log_params(connection, run, settled)
            if metrics:
                self.add_points(connection, run, metrics, values)
                self._log_for_models(connection, run_id, metrics, values)
            self._runs.set_tags(connection, run, labels)

    def history(
        self, run_id: str, key: str, *, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        """The points of one metric; without `max_results` all of them."""
        with self._database.read() as connection:
            run = self._runs.row(connection, run_id)["id"]
            found = connection.one("SELECT id FROM metric_keys WHERE name = :key", {"key": key})
            number = found["id"] if found else -1
            if max_results is None and page_token is None:
                return Page(_whole_history(connection, run, number, key))
            return _history_page(
                connection, run, number, key, _PAGE if max_results is None else max_results, page_token
            )

    def add_points(self, connection: Connection, run: int, metrics: Sequence[Metric], values: Sequence[float]) -> int:
        """Add checked points to a run's histories, and move on what is latest; answers how many were new."""
        self._forget_undone()
        points: list[_Row] = []
        latest: dict[int, _Row] = {}
        for metric, value in zip(metrics, values, strict=True):
            key = self._keys.get(metric.key) or self.key(connection, metric.key)
            bad = value != value
            row = (run, key, metric.step, metric.timestamp, 0.0 if bad else value, int(bad))
            points.append(row)
            before = latest.get(key)
            if before is None or row[2:5] >= before[2:5]:
                latest[key] = row
        added = connection.many(_POINT, points)
        connection.many(_LATEST, latest.values())
        return added

    def _log_for_models(
        self, connection: Connection, run_id: str, metrics: Sequence[Metric], values: Sequence[float]
    ) -> None:
        """What was measured on a model is kept with the model too."""
        for metric, value in zip(metrics, values, strict=True):
            if metric.model_id is not None:
                model = connection.one(
                    "SELECT id FROM logged_models WHERE model_id = :id AND lifecycle_stage = 'active'",
                    {"id": metric.model_id},
                )
                if model is None:
                    raise NotFound(f"there is no logged model {str(metric.model_id)[:64]!a}")
                self.add_model_points(connection, [metric._replace(run_id=run_id)], [value], model["id"])

    def add_model_points(
        self, connection: Connection, metrics: Sequence[Metric], values: Sequence[float], model: int
    ) -> None:
        """Add checked points to a logged model."""
        self._forget_undone()
        for metric, value in zip(metrics, values, strict=True):
            bad = value != value
            point = (metric.step, metric.timestamp, 0.0 if bad else value, int(bad), metric.run_id or "")
            data = (metric.dataset_name or "", metric.dataset_digest or "")
            connection.many(_OF_MODEL, [(model, self.key(connection, metric.key), *point, *data)])

    def key(self, connection: Connection, name: str) -> int:
        """The number of a metric's name, remembered until a transaction is undone."""
        known = self._keys.get(name)
        if known is not None:
            return known
        row = connection.one("SELECT id FROM metric_keys WHERE name = :name", {"name": name})
        if row is None:
            made = connection.execute("INSERT INTO metric_keys (name) VALUES (:name) RETURNING id", {"name": name})
            row = made.fetchone()
        self._keys[name] = int(row["id"])
        return int(row["id"])

    def _forget_undone(self) -> None:
        """A number that was given in a transaction that was undone is given again, to another name."""
        if self._undone != self._database.undone:
            self._undone = self._database.undone
            self._keys.clear()


def _whole_history(connection: Connection, run: int, number: int, key: str) -> list[Metric]:
    """All points; of a hundred thousand, each costs what its tuple costs."""
    some = connection.execute(_HAS_NAN, (run, number)).fetchone()[0]
    rows = connection.execute(_WHOLE if some else _WITHOUT_NAN, (run, number))
    rows.row_factory = None
    if some:
        nan = float("nan")
        return [Metric(key, nan if bad else value, when, step) for value, when, step, bad in rows]
    new = tuple.__new__  # what Metric(...) calls in the end
    return [new(Metric, (key, value, when, step, None, None, None, None)) for value, when, step in rows]


def _history_page(
    connection: Connection, run: int, number: int, key: str, max_results: int, page_token: str | None
) -> Page[Metric]:
    size = paging.check_size(max_results, _PAGE)
    asked = paging.question("history", run, key)
    start = paging.read_token(page_token, asked, 4) or (-(2**63), -1, 0.0, 0)
    binds = dict(zip(("step", "timestamp", "value", "is_nan"), start, strict=True))
    rows = connection.all(_HISTORY, {"run": run, "key": number, **binds, "most": size + 1})
    shown = rows[:size]
    points = [Metric(key, float("nan") if row[1] else row[0], row[2], row[3]) for row in shown]
    if len(rows) <= size:
        return Page(points)
    last = shown[-1]
    return Page(points, paging.write_token(asked, [last["step"], last["timestamp"], last["value"], last["is_nan"]]))


def _log_params(connection: Connection, run: int, params: Sequence[Param]) -> None:
    if not params:
        return
    if len(params) == len({param.key for param in params}):
        fresh = connection.many(
            "INSERT OR IGNORE INTO params (run, key, value) VALUES (?, ?, ?)",
            [(run, param.key, param.value) for param in params],
        )
        if fresh == len(params):
            return
    _settle(connection, run, params)


def _settle(connection: Connection, run: int, params: Sequence[Param]) -> None:
    """Where some params are there already, or twice in a batch: they must have the same value."""
    for param in params:
        binds = (run, param.key, param.value)
        connection.execute("INSERT OR IGNORE INTO params (run, key, value) VALUES (?, ?, ?)", binds)
        found = connection.execute("SELECT value FROM params WHERE run = ? AND key = ?", binds[:2]).fetchone()
        if found["value"] != param.value:
            raise InvalidValue(
                f"param {param.key!r} of this run has another value already",
                hint="params are set once: use another name, a metric, or a tag",
            )
