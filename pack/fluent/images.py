"""Images of runs: single files, or series of them that grow with the steps of a run."""

from __future__ import annotations

import io
import re
import uuid
from pathlib import PurePath
from typing import Any

from pack.artifacts.local import LocalStore
from pack.errors import InvalidValue
from pack.plugins import missing
from pack.uris import relative_path

_KEY = re.compile(r"[a-zA-Z0-9_\-./ ]+")
_THUMBNAIL = 256


def log_image(store: LocalStore, image: Any, artifact_file: str | PurePath) -> None:
    """Write an image in the format that the file's name says."""
    path = relative_path(artifact_file)
    out = io.BytesIO()
    ending = path.rpartition(".")[2].lower() if "." in path else ""
    picture = as_picture(image)
    try:
        picture.save(out, format={"jpg": "jpeg"}.get(ending, ending) or None)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidValue(f"an image cannot be written as {ending or 'nothing'!a}", hint="name it .png") from error
    store.put_bytes(out.getvalue(), path)


def log_step(store: LocalStore, image: Any, key: str, *, step: int, timestamp: int) -> None:
    """Write an image of a series twice, as PNG and as a small WebP, under MLflow's file names."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidValue(
            f"{str(key)[:80]!a} cannot be the key of images", hint="use letters, digits, blanks and _ - . /"
        )
    picture = as_picture(image)
    stem = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{timestamp}+{uuid.uuid4()}"
    small = picture.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    for path, one, form in ((f"{stem}.png", picture, "png"), (f"{stem}+compressed.webp", small, "webp")):
        out = io.BytesIO()
        one.save(out, format=form)
        store.put_bytes(out.getvalue(), relative_path(path))


def as_picture(image: Any) -> Any:
    """A Pillow image from one, or from an array of (height, width[, 1, 3 or 4]).

    Arrays hold booleans, whole numbers from 0 to 255, or floats from 0 to 1; anything else is `InvalidValue`.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise missing("PIL", "'packml[image]'") from error
    if isinstance(image, Image.Image):
        return image
    if hasattr(image, "to_pil"):
        return image.to_pil()
    import numpy as np

    array = np.asarray(image)
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {1, 3, 4}) or 0 in array.shape:
        raise InvalidValue(
            f"an array of shape {array.shape} is no image", hint="shapes are (height, width) or (height, width, 1|3|4)"
        )
    bytes_ = _bytes_of(array)
    return Image.fromarray(bytes_[:, :, 0] if bytes_.ndim == 3 and bytes_.shape[2] == 1 else bytes_)


def _bytes_of(array: Any) -> Any:
    """An array as numbers of 8 bits; raises `InvalidValue` for values that are out of range."""
    import numpy as np

    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype.kind not in "uif" or not np.isfinite(array).all():
        raise InvalidValue("an image holds numbers", hint="give floats from 0 to 1, or whole numbers from 0 to 255")
    top = 1 if array.dtype.kind == "f" else 255
    if array.min() < 0 or array.max() > top:
        raise InvalidValue(
            f"an image of {array.dtype} holds values from 0 to {top}, not {array.min()} to {array.max()}",
            hint="scale it first",
        )
    return (array * 255).round().astype(np.uint8) if top == 1 else array.astype(np.uint8)
