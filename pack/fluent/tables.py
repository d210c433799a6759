"""Tables of runs: written as JSON or Parquet, added to by each call, read back over many runs at once."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pack import folders, locks
from pack.artifacts.local import LocalStore
from pack.errors import InvalidValue, NotFound, StorageFailed
from pack.fluent import files, images
from pack.fluent.frames import frame_of, pandas
from pack.plugins import missing
from pack.tracking import RunTag, TrackingStore
from pack.uris import relative_path

if TYPE_CHECKING:
    import pandas as pd

TAG = "mlflow.loggedArtifacts"
_ENDINGS = (".json", ".parquet")
_LOCK = ".new-table-lock"  # a name that no listing shows


def log_table(tracking: TrackingStore, run_id: str, data: Any, artifact_file: str | PurePath) -> None:
    """Write rows as a table of a run, after those that it has already."""
    path = relative_path(artifact_file)
    if not path.endswith(_ENDINGS):
        raise InvalidValue(f"a table is named {' or '.join(_ENDINGS)}, not {path[-20:]!a}")
    store = files.store_of(tracking, run_id, write=True)
    frame = _with_images(store, _frame(data), path)
    # Rows are added by reading, joining and writing: whoever comes in between would lose his.
    with _alone(store):
        before = _read(store, path)
        if before is not None:
            frame = pandas().concat([before, frame], ignore_index=True)
        # The rows come last: whoever tries again after a fault must not add them twice.
        _remember(tracking, run_id, path)
        store.put_bytes(_written(frame, path), path)


@contextmanager
def _alone(store: LocalStore) -> Iterator[None]:
    """Hold the lock of a run's tables."""
    with ExitStack() as held:
        try:
            folders.make(store.root, mode=0o700)
            held.enter_context(locks.locked(store.root / _LOCK, exclusive=True))
        except OSError as error:
            raise StorageFailed(
                f"the table cannot be locked: {error.strerror}",
                hint="free some space, or check the rights of the folder",
            ) from error
        yield


def load_table(
    tracking: TrackingStore,
    experiment_id: str,
    artifact_file: str | PurePath,
    *,
    run_ids: Sequence[str] | None = None,
    extra_columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows of a table over the runs of an experiment that have it; `extra_columns` are columns of runs."""
    path = relative_path(artifact_file)
    filter_string = f"tags.`{TAG}` LIKE '%{path.replace(chr(39), chr(39) * 2)}%'"
    runs, token = [], None
    while True:
        page = tracking.search_runs([experiment_id], filter_string=filter_string, page_token=token)
        runs += [run for run in page if run_ids is None or run.info.run_id in run_ids]
        token = page.token
        if token is None:
            break
    tables = []
    for run in runs:
        table = _read(files.store_of(tracking, run.info.run_id), path)
        if table is not None:
            facts = frame_of([run])
            for column in [extra_columns] if isinstance(extra_columns, str) else extra_columns or ():
                table[column] = _fact(facts, column)
            tables.append(table)
    if not tables:
        raise NotFound(f"no run of this experiment has a table {path!a}", hint="look: pack artifacts list runs:/RUN_ID")
    whole: pd.DataFrame = pandas().concat(tables, ignore_index=True)
    return whole


def _fact(facts: pd.DataFrame, column: str) -> Any:
    if column not in facts.columns:
        raise InvalidValue(f"runs have no column {column!a}", hint=f"there are {', '.join(facts.columns)[:300]}")
    return facts[column].iloc[0]


def _frame(data: Any) -> pd.DataFrame:
    made = pandas()
    frame: pd.DataFrame
    if isinstance(data, made.DataFrame):
        frame = data.copy(deep=False)
    elif isinstance(data, Mapping):
        frame = _frame_of_columns({str(key): value for key, value in data.items()})
    else:
        raise InvalidValue(f"{type(data).__name__} is no table", hint="give a DataFrame, or a dict of columns")
    if not frame.columns.is_unique:
        raise InvalidValue("two columns of a table have the same name", hint="name each column once")
    return frame


def _frame_of_columns(columns: dict[str, Any]) -> pd.DataFrame:
    """A row for each value of the columns (lists, arrays, Series); a single value stands in every row."""
    many = {name: list(value) for name, value in columns.items() if _is_column(value)}
    rows = max(map(len, many.values()), default=1)
    cells = {name: many[name] if name in many else [value] * rows for name, value in columns.items()}
    try:
        frame: pd.DataFrame = pandas().DataFrame(cells)
    except ValueError as error:
        raise InvalidValue("the columns of a table differ in length", hint="give lists of one length") from error
    return frame


def _is_column(value: Any) -> bool:
    if isinstance(value, (list, tuple, range)):
        return True
    return isinstance(value, (pandas().Series, pandas().Index)) or getattr(value, "ndim", 0) > 0


def _with_images(store: LocalStore, frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """Images in cells are kept beside the table, and the cell says where."""
    for column in frame.columns:
        if frame[column].dtype == object and any(map(_is_image, frame[column])):
            cells: Any = [_kept(store, cell, path) if _is_image(cell) else cell for cell in frame[column]]
            frame[column] = cells
    return frame


def _is_image(cell: Any) -> bool:
    return any(kind.__module__.startswith("PIL.") for kind in type(cell).__mro__) or hasattr(cell, "to_pil")


def _kept(store: LocalStore, image: Any, path: str) -> dict[str, str]:
    stem = f"table_images/{path.rpartition('.')[0]}/{uuid.uuid4()}"
    for ending in ("png", "webp"):
        images.log_image(store, image, f"{stem}.{ending}")
    return {"type": "image", "filepath": f"{stem}.png", "compressed_filepath": f"{stem}.webp"}


def _read(store: LocalStore, path: str) -> pd.DataFrame | None:
    try:
        data = store.read(path)
    except NotFound:
        return None
    frame: pd.DataFrame
    try:
        if path.endswith(".parquet"):
            frame = pandas().read_parquet(io.BytesIO(data))
        else:
            found = json.loads(data)
            frame = pandas().DataFrame(found["data"], columns=found["columns"])
    except ImportError as error:
        raise missing("pyarrow", "pyarrow") from error
    except (ValueError, KeyError, TypeError, OSError) as error:  # pyarrow's errors are ValueErrors and OSErrors
        raise InvalidValue(f"the file {path!a} is no table", hint="name the table otherwise") from error
    return frame


def _written(frame: pd.DataFrame, path: str) -> bytes:
    if path.endswith(".parquet"):
        return _parquet(frame)
    text = frame.to_json(orient="split", index=False, date_format="iso", default_handler=str)
    return str(text).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    try:
        frame.to_parquet(out, index=False)
    except ImportError as error:
        raise missing("pyarrow", "pyarrow") from error
    except (ValueError, TypeError) as error:
        raise InvalidValue(
            f"these rows cannot be written as Parquet: {error!s:.300}",
            hint="give columns of one type, or name it .json",
        ) from error
    return out.getvalue()


def _remember(tracking: TrackingStore, run_id: str, path: str) -> None:
    """A tag of the run lists its tables."""
    tag = tracking.get_run(run_id).data.tags.get(TAG, "[]")
    known = json.loads(tag)
    entry = {"path": path, "type": "table"}
    if entry not in known:
        tracking.log_batch(run_id, tags=[RunTag(TAG, json.dumps([*known, entry]))])
