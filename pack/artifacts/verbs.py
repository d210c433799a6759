"""What people type to get and read artifacts, with MLflow's names and arguments (interoperability facts, 09)."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pack import uris, yamls
from pack.artifacts import FileInfo, found, listing
from pack.artifacts.copies import copied
from pack.artifacts.local import LocalStore
from pack.artifacts.patterns import Patterns
from pack.errors import InvalidValue
from pack.plugins import missing
from pack.uris import LoggedModelUri, ModelUri, PathUri, relative_path


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | Path | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    *,
    allow: Patterns = None,
    ignore: Patterns = None,
) -> str:
    """The path on this disk of a file or folder: of a URI, or of a run and a path in it.

    With `dst_path` it is a copy in that folder, over what is there; without, it is for reading: the run's own file, or
    one in the cache. `allow` and `ignore` choose files of a folder, by shell patterns. Raises `NotFound` where there is
    nothing.

    >>> download_artifacts("models:/churn@champion", dst_path="out", ignore="data/")  # doctest: +SKIP
    'out/model'
    """
    _in_use(tracking_uri, registry_uri)
    uri, below = _chosen(artifact_uri, run_id, artifact_path)
    path = found(uris.parse(uri), allow=allow, ignore=ignore)
    if dst_path is None:
        return str(path)
    target = uris.disk_path(dst_path) / below.rpartition("/")[2]
    return str(copied(path, target, allow=allow, ignore=ignore))


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """What lies directly in a folder: of a URI, or of a run and a path in it; nothing for a file.

    As in MLflow, the paths begin at the root of the run or model, and with any other URI at its last part.

    >>> [info.path for info in list_artifacts(run_id=run.info.run_id, artifact_path="plots")]  # doctest: +SKIP
    ['plots/curve.png']
    """
    _in_use(tracking_uri, None)
    uri, below = _chosen(artifact_uri, run_id, artifact_path)
    return [replace(info, path=f"{below}/{info.path}" if below else info.path) for info in listing(uri)]


def load_text(artifact_uri: str) -> str:
    """The text of a file in UTF-8.

    >>> load_text("runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/notes.txt")  # doctest: +SKIP
    'a good run'
    """
    try:
        return _bytes(artifact_uri).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{artifact_uri!a} is no text in UTF-8", hint="download it: download_artifacts") from error


def load_dict(artifact_uri: str) -> Any:
    """The values in a JSON file, or in a YAML file where it is named so.

    >>> load_dict("runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/classes.json")  # doctest: +SKIP
    {'classes': ['a', 'b']}
    """
    data = _bytes(artifact_uri)
    if artifact_uri.lower().endswith((".yaml", ".yml")):
        return yamls.load(data, f"{artifact_uri!a}")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{artifact_uri!a} is no JSON", hint="read it as text: load_text") from error


def load_image(artifact_uri: str) -> Any:
    """The image in a file, as Pillow reads it.

    >>> load_image("runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/plots/curve.png").size  # doctest: +SKIP
    (640, 480)
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise missing("PIL", "'packml[image]'") from error
    try:
        image = Image.open(io.BytesIO(_bytes(artifact_uri)))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidValue(f"{artifact_uri!a} is no image that can be read", hint="is it a PNG or JPEG?") from error
    return image


def _bytes(artifact_uri: str) -> bytes:
    path = found(uris.parse(artifact_uri))
    if path.is_dir():
        raise InvalidValue(f"{artifact_uri!a} is a folder", hint="name a file in it: list_artifacts")
    return LocalStore(path.parent).read(path.name)


def _chosen(artifact_uri: str | None, run_id: str | None, artifact_path: str | None) -> tuple[str, str]:
    """The URI that is meant, and its path below the root that answers are told from."""
    if (artifact_uri is None) == (run_id is None) or (artifact_uri is not None and artifact_path):
        raise InvalidValue(
            "give either artifact_uri, or run_id and artifact_path",
            hint="such as artifact_uri='runs:/RUN_ID/plots', or run_id=..., artifact_path='plots'",
        )
    if artifact_uri is None:
        below = relative_path(artifact_path) if artifact_path else ""
        return f"runs:/{run_id}/{below}".rstrip("/"), below
    uri = uris.parse(artifact_uri)
    if isinstance(uri, (ModelUri, LoggedModelUri)):
        return artifact_uri, getattr(uri, "path", "")
    if isinstance(uri, PathUri):
        return artifact_uri, "" if str(artifact_uri).endswith("/") else uri.path.name
    return artifact_uri, uri.path.rpartition("/")[2]


def _in_use(tracking_uri: str | None, registry_uri: str | None) -> None:
    if tracking_uri is not None or registry_uri is not None:
        raise InvalidValue(
            "another store cannot be named here", hint="choose it first: pack.set_tracking_uri, pack.set_registry_uri"
        )
