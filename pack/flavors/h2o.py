"""H2O models, kept in H2O's own binary format beside a file that says how to read it.

Keys are MLflow's (interoperability facts, flavors, sections 1 and 10). H2O reads its binary models in a Java server,
which makes objects of the classes that they name and gives parts of them to Java's own deserializer: reading one can
run code. Its other format (MOJO), which is data, is written by H2O's commercial edition alone since 3.46.0.12.

A server is started where none is connected; one that the user connected before is used. What a model says of the
server is looked at only for the number of threads and the memory, never for addresses, paths or arguments of Java.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import h2o
from h2o.exceptions import H2OConnectionError, H2OError, H2OServerError, H2OStartupError
from h2o.job import H2OJob

from pack import yamls
from pack.errors import InvalidState, InvalidValue, MissingPackage, SchemaMismatch
from pack.flavors.base import Config, Flavor
from pack.mlmodel.frames import as_frame, need_pandas
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import DataType
from pack.trust import payloads
from pack.trust.admission import read_bytes

REASON = "H2O's binary models hold Java objects, which can run code when they are read"
_FOLDER, _SAID, _FILE = "model.h2o", "h2o.yaml", "model"
# What stands for missing text on the way.
_MISSING = "__pack_missing__"
_MEMORY = re.compile(r"[1-9]\d{0,5}[MGTmgt]")
_TYPES = {"Numeric": "numeric", "Enum": "enum"}
_COLUMNS = {"Numeric": DataType.double, "Enum": DataType.string, "String": DataType.string, "Time": DataType.datetime}
_NOT_ASKED = ("response_column", "weights_column", "fold_column", "treatment_column")
# Which model each server holds under each name, by digest: a later version of the same name takes its place.
_held: dict[tuple[str, str], str] = {}


class H2O(Flavor):
    """Models of H2O's estimators; `settings` are those of `h2o.init` for whoever loads it."""

    name: ClassVar[str] = "h2o"
    packages: ClassVar[tuple[str, ...]] = ("h2o",)

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = dict(settings or {})
        self._has_example = False
        _asked(self.settings)

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """An example tells more of its columns than the model knows: whole numbers, dates."""
        self._has_example = example is not None

    def write(self, model: Any, home: Path) -> Config:
        """Write the model as its server gives it; raises `InvalidValue` for one that is not trained."""
        folder = home / _FOLDER
        folder.mkdir()
        if getattr(model, "model_id", None) is None or _output(model) is None:
            raise InvalidValue(f"{type(model).__name__} is not trained", hint="train it first: model.train(...)")
        try:
            h2o.download_model(model, path=str(folder), filename=_FILE)
        except H2OError as error:
            raise _shown(error, f"H2O does not give the model {model.model_id!r}") from error
        said: dict[str, Any] = {"full_file": f"{_FOLDER}/{_FILE}", "model_dir": _FOLDER, "model_file": _FILE}
        if self.settings:
            said["init"] = self.settings
        (folder / _SAID).write_text(yamls.dump(said), encoding="utf-8")
        return {"h2o_version": h2o.__version__, "data": _FOLDER}

    def read(self, home: Path, config: Config) -> Any:
        """The model, in H2O's server; only where the load policy lets it run code."""
        folder = home / str(config["data"])
        said = yamls.load(read_bytes(folder / _SAID), _SAID)
        if not isinstance(said, dict) or not _is_name(said.get("model_file")):
            raise InvalidValue(f"{_SAID} names no model_file beside it", hint="save the model again")
        path = payloads.handed_over(folder / said["model_file"], REASON)
        _connect(said.get("init"))
        try:
            with _quiet():
                model = _loaded(path)
        except H2OError as error:
            raise _shown(error, f"{said['model_file']!a:.100} is no model that H2O {h2o.__version__} reads") from error
        model.pack_digest = _held[_place(model)] = _digest(path)
        return model

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A frame, as the model answers it: `predict`, and for classes their chances."""
        if params:
            raise InvalidValue(f"H2O's predict takes no {', '.join(params)}", hint="leave params out")
        if _held.get(_place(model)) != getattr(model, "pack_digest", _held.get(_place(model))):
            raise InvalidState(
                f"another model was loaded under the name {model.model_id!a}, and took the place of this one",
                hint="load it again, or keep one of them in another process: H2O knows models by their name alone",
            )
        with _quiet():
            return _predicted(model, _frame(model, rows))

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for H2O's models, whose columns are read as the model says."""
        return True

    def runs_code(self, config: Config) -> str | None:
        """They always can."""
        return REASON

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """Answers are frames of pandas."""
        return {"pandas"}

    def signature(self, model: Any) -> ModelSignature | None:
        """The columns that the model was trained on, as numbers, text and times; None where an example says more."""
        if self._has_example:
            return None
        found = [
            ColSpec(_COLUMNS[kind], name)
            for name, kind in _columns(model).items()
            if kind in _COLUMNS and name not in _left_out(model)
        ]
        return ModelSignature(inputs=Schema(found)) if found else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value not in {"", ".", ".."} and not {"/", "\\", "\0"} & set(value)


def _output(model: Any) -> dict[str, Any] | None:
    described = model._model_json  # noqa: SLF001 - it is shown nowhere else
    return described["output"] if described else None


def _columns(model: Any) -> dict[str, str]:
    """The model's columns and their types in H2O's words."""
    output = _output(model) or {}
    names, kinds = output.get("original_names") or output.get("names") or [], output.get("column_types") or []
    return dict(zip(names, kinds, strict=False)) if len(names) == len(kinds) else {}


def _left_out(model: Any) -> set[str]:
    """The columns that nobody gives to a prediction."""
    given = [model.actual_params.get(name) for name in _NOT_ASKED]
    return {str(one.get("column_name") if isinstance(one, dict) else one) for one in given if one}


def _asked(said: Any) -> dict[str, Any]:
    """What a server may be told by a model; raises `InvalidValue` for numbers and sizes that are none."""
    said = said if isinstance(said, Mapping) else {}
    asked: dict[str, Any] = {}
    threads = said.get("nthreads")
    if threads is not None:
        if not isinstance(threads, int) or isinstance(threads, bool) or not -1 <= threads <= 4096:
            raise InvalidValue(f"nthreads={threads!r:.40} is no number of threads", hint="use a whole number, or -1")
        asked["nthreads"] = threads
    for name in ("max_mem_size", "min_mem_size"):
        size = said.get(name)
        if size is not None:
            if not _MEMORY.fullmatch(str(size)):
                raise InvalidValue(f"{name}={size!r:.40} is no size", hint="use a number and M, G or T, such as '2G'")
            asked[name] = str(size)
    return asked


def _connect(said: Any) -> None:
    """Use the server that is connected, or start one that listens to this machine alone."""
    asked = _asked(said)
    current = h2o.connection()
    if current is not None and current.connected:
        return
    try:
        # A port that nobody listens at: H2O would take whatever answers at its usual one for its own server.
        h2o.init(port=_free_port(), bind_to_localhost=True, verbose=False, telemetry=False, **asked)
    except (H2OStartupError, H2OServerError, H2OConnectionError) as error:
        raise MissingPackage(
            f"H2O {h2o.__version__} does not start: {error!s:.200}", hint="install Java 17, which it runs on"
        ) from error


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _loaded(path: Path) -> Any:
    """The model, read by a server of ours, or sent to one that may not see our files."""
    if h2o.connection().local_server is not None:
        answer = h2o.api("POST /99/Models.bin/", data={"dir": str(path.absolute())})
    else:
        sent = h2o.api("POST /3/PostFile.bin", filename=str(path))["destination_frame"]
        try:
            answer = h2o.api("POST /99/Models.upload.bin/", data={"dir": sent})
        finally:
            h2o.remove(sent)
    return h2o.get_model(answer["models"][0]["model_id"]["name"])


def _place(model: Any) -> tuple[str, str]:
    return str(h2o.connection().base_url), str(model.model_id)


def _digest(path: Path) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            made.update(part)
    return made.hexdigest()


def _frame(model: Any, rows: Any) -> Any:
    """A frame; an array has the model's columns. Raises `SchemaMismatch` where their numbers differ."""
    pd = need_pandas()
    rows = as_frame(rows)
    if hasattr(rows, "columns"):
        return rows
    if isinstance(rows, dict):
        return pd.DataFrame(rows)
    names = [name for name in _columns(model) if name not in _left_out(model)]
    if getattr(rows, "ndim", 0) != 2 or rows.shape[1] != len(names):
        raise SchemaMismatch(
            f"the model takes {len(names)} columns: {', '.join(names)[:200]}", hint="give a frame with these columns"
        )
    return pd.DataFrame(rows, columns=names)


def _predicted(model: Any, frame: Any) -> Any:
    """The answer as a frame of pandas; what it takes meanwhile is given back to the server."""
    given = _sent(_columns(model), frame.set_axis([str(name) for name in frame.columns], axis=1))
    answer = None
    try:
        answer = model.predict(given)
        return _read_back(answer)
    finally:
        for one in (given, answer):
            if one is not None:
                h2o.remove(one.frame_id)


def _sent(known: dict[str, str], frame: Any) -> Any:
    """The frame in H2O's server: its columns as the model knows them, and missing text not as the word `nan`."""
    texts = [name for name, dtype in frame.dtypes.items() if str(dtype) in {"object", "str", "string", "category"}]
    gaps = [name for name in texts if frame[name].isna().any()]
    filled = {name: frame[name].astype(object).where(frame[name].notna(), _MISSING) for name in gaps}
    kinds = {name: _TYPES[known[name]] for name in frame.columns if known.get(name) in _TYPES}
    missing = {name: [_MISSING] for name in gaps}
    return h2o.H2OFrame(frame.assign(**filled), column_types=kinds or None, na_strings=missing or None)


def _read_back(answer: Any) -> Any:
    """The answer as a frame of pandas; a class may be named NA or None."""
    missing = {name: [""] if kind in {"enum", "string"} else ["", "NaN"] for name, kind in answer.types.items()}
    return need_pandas().read_csv(
        StringIO(answer.get_frame_data()),
        low_memory=False,
        skip_blank_lines=False,
        keep_default_na=False,
        na_values=missing,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars on the standard output."""
    before = H2OJob.__PROGRESS_BAR__
    H2OJob.__PROGRESS_BAR__ = False
    try:
        yield
    finally:
        H2OJob.__PROGRESS_BAR__ = before


def _shown(error: Exception, what: str) -> InvalidValue:
    lines = [line.strip() for line in str(error).splitlines() if "Error:" in line]
    return InvalidValue(f"{what}: {(lines or [str(error)])[0]:.200}", hint="install the version that saved it")
