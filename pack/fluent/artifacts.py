"""Files, figures, images and tables of the open run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

from pack.artifacts.local import LocalStore
from pack.errors import InvalidValue
from pack.fluent import files, images, state, tables
from pack.fluent.recording import moment, whole
from pack.fluent.runs import current_run_id
from pack.tracking import RunTag, TrackingStore
from pack.uris import relative_path

if TYPE_CHECKING:
    import pandas as pd

_IMAGES = "mlflow.loggedImages"


def log_artifact(
    local_path: str | Path, artifact_path: str | PurePath | None = None, run_id: str | None = None
) -> None:
    """Copy a file into the run's artifacts, below `artifact_path`.

    >>> log_artifact("curve.png", artifact_path="plots")  # doctest: +SKIP
    """
    files.log_artifact(_files(run_id), local_path, artifact_path)


def log_artifacts(
    local_dir: str | Path, artifact_path: str | PurePath | None = None, run_id: str | None = None
) -> None:
    """Copy everything in a folder into the run's artifacts, below `artifact_path`.

    >>> log_artifacts("reports", artifact_path="results")  # doctest: +SKIP
    """
    files.log_artifacts(_files(run_id), local_dir, artifact_path)


def log_text(text: str, artifact_file: str | PurePath, run_id: str | None = None) -> None:
    """Write text as a file of the run.

    >>> log_text("hello", "notes/hello.txt")  # doctest: +SKIP
    """
    files.log_text(_files(run_id), text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str | PurePath, run_id: str | None = None) -> None:
    """Write a dict as a JSON file of the run, or as YAML where the file is named so.

    >>> log_dict({"classes": ["a", "b"]}, "classes.json")  # doctest: +SKIP
    """
    files.log_dict(_files(run_id), dictionary, artifact_file)


def log_stream(stream: IO[bytes] | IO[str], artifact_file: str | PurePath, run_id: str | None = None) -> None:
    """Write what a stream holds as a file of the run.

    >>> log_stream(open("data.bin", "rb"), "data.bin")  # doctest: +SKIP
    """
    files.log_stream(_files(run_id), stream, artifact_file)


def log_figure(figure: Any, artifact_file: str | PurePath, *, save_kwargs: Mapping[str, Any] | None = None) -> None:
    """Write a figure of matplotlib or plotly as a file of the run, in the format that the file's name says.

    >>> log_figure(figure, "plots/curve.png")  # doctest: +SKIP
    """
    files.log_figure(_files(None), figure, artifact_file, save_kwargs)


def log_image(
    image: Any,
    artifact_file: str | PurePath | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = False,
) -> None:
    """Write an image as a file of the run, or with `key` (and `step`) as one of a series.

    Takes a Pillow image, or an array of (height, width[, 1, 3 or 4]) with floats from 0 to 1 or numbers from 0 to 255.

    >>> log_image(array, "sample.png")  # doctest: +SKIP
    >>> log_image(array, key="dogs", step=3)  # doctest: +SKIP
    """
    run = current_run_id()
    put_image(state.store_of(run), run, image, artifact_file, key, step, timestamp)


def log_table(data: Any, artifact_file: str | PurePath, run_id: str | None = None) -> None:
    """Write rows (a DataFrame, or a dict of columns) as a table of the run, after those that it has already.

    >>> log_table({"question": ["a", "b"], "score": [1, 2]}, "eval.json")  # doctest: +SKIP
    """
    run = run_id or current_run_id()
    tables.log_table(state.store_of(run), run, data, artifact_file)


def load_table(
    artifact_file: str | PurePath, run_ids: Sequence[str] | None = None, extra_columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The rows of a table over the runs of the experiment in use; `extra_columns` are columns of `search_runs`.

    >>> load_table("eval.json", extra_columns=["run_id"])  # doctest: +SKIP
    """
    runs = state.open_runs()
    experiment = runs[-1].info.experiment_id if runs else state.experiment_id()
    return tables.load_table(state.tracking(), experiment, artifact_file, run_ids=run_ids, extra_columns=extra_columns)


def get_artifact_uri(artifact_path: str | PurePath | None = None) -> str:
    """Where the open run's files lie.

    >>> get_artifact_uri("plots")  # doctest: +SKIP
    """
    run = current_run_id()
    root = state.store_of(run).get_run(run).info.artifact_uri
    return f"{root}/{relative_path(artifact_path)}" if artifact_path else root


def put_image(
    tracking: TrackingStore,
    run_id: str,
    image: Any,
    artifact_file: str | PurePath | None,
    key: str | None,
    step: int | None,
    timestamp: int | None,
) -> None:
    """Write an image as a file, or as one of a series; raises `TypeError` as MLflow does where it is neither."""
    if (artifact_file is None) == (key is None):
        raise TypeError("log_image needs either artifact_file, or key with an optional step and timestamp")
    if artifact_file is not None and (step is not None or timestamp is not None):
        raise TypeError("step and timestamp go with key, not with artifact_file")
    store = files.store_of(tracking, run_id, write=True)
    if artifact_file is not None:
        images.log_image(store, image, artifact_file)
        return
    if not isinstance(key, str):
        raise InvalidValue(f"the key of images is text, not {type(key).__name__}")
    at = 0 if step is None else whole(step)
    images.log_step(store, image, key, step=at, timestamp=moment(timestamp))
    tracking.log_batch(run_id, tags=[RunTag(_IMAGES, "True")])


def _files(run_id: str | None) -> LocalStore:
    run = run_id or current_run_id()
    return files.store_of(state.store_of(run), run, write=True)
