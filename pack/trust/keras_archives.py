"""What a `.keras` archive or an `.h5` file declares, read without Keras: its config, and the bytes of its arrays.

Arrays lie in the file itself and nowhere else, and a file declares no more than it could hold.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from pack.errors import InvalidValue, PackError

# What a file may declare beyond its own size: small models, and arrays that are compressed.
FREE = 16 * 2**20
_EXPANDS = 8
_MOST_CONFIG = 256 * 2**20
_MOST_NAMES = 1_000_000
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


def described(path: Path) -> tuple[Any, int]:
    """The config in a file and the bytes of its arrays; raises `InvalidValue` where it is no plain file of a model."""
    try:
        if path.suffix == ".h5":
            with _h5(path) as file:
                return _config_of_h5(file), _declared(file, path.stat().st_size)
        with zipfile.ZipFile(path) as archive:
            return _in_archive(archive, path)
    except PackError as error:
        raise InvalidValue(f"{path.name!a}: {error.message}", hint=error.hint) from error
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        KeyError,
        RecursionError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise InvalidValue(f"{path.name!a} is no model that Keras saved", hint="save the model again") from error


def _in_archive(archive: zipfile.ZipFile, path: Path) -> tuple[Any, int]:
    size = path.stat().st_size
    members = archive.infolist()
    for member in members:
        name = PurePosixPath(member.filename)
        if "\\" in member.filename or name.is_absolute() or ".." in name.parts or member.flag_bits & 1:
            raise InvalidValue(f"it has a member {member.filename!a:.100}, which is outside of it or hidden")
    names = [member.filename for member in members]
    if len(set(names)) < len(names) or not {_CONFIG, _WEIGHTS} <= set(names):
        raise InvalidValue(f"it must have each of {_CONFIG} and {_WEIGHTS} once")
    _check_declared(sum(member.file_size for member in members), size)
    if archive.getinfo(_CONFIG).file_size > _MOST_CONFIG:
        raise InvalidValue(f"its {_CONFIG} has more than {_MOST_CONFIG:,} bytes")
    config = json.loads(archive.read(_CONFIG))
    with path.open("rb") as whole, _h5(_member(archive, _WEIGHTS, whole)) as file:
        return config, _declared(file, size)


def _member(archive: zipfile.ZipFile, name: str, whole: Any) -> Any:
    """A member as a file that can be read anywhere; Keras writes members as they are, so nothing is copied."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        return io.BytesIO(archive.read(name))
    whole.seek(info.header_offset)
    head = whole.read(30)
    start = info.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    return _Window(whole, start, info.file_size)


class _Window(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, whole: Any, start: int, size: int) -> None:
        self._whole, self._start, self._size, self._place = whole, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        self._whole.seek(self._start + self._place)
        data = self._whole.read(max(0, min(len(buffer), self._size - self._place)))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def _h5(source: Any) -> Any:
    import h5py

    return h5py.File(source, "r")


def _config_of_h5(file: Any) -> Any:
    """Both configs of an HDF5 file: the model's, and how it was compiled."""
    texts = [file.attrs.get(name) for name in ("model_config", "training_config")]
    if texts[0] is None:
        raise InvalidValue("it holds no model", hint="save the whole model, not its weights alone")
    return [json.loads(text) for text in texts if text is not None]


def _declared(file: Any, size: int) -> int:
    """The bytes of all arrays; raises `InvalidValue` for links, arrays in other files, and more than is held."""
    import h5py

    total = count = 0
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            count += 1
            if count > _MOST_NAMES or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InvalidValue(f"its array {name!a:.100} is a link to elsewhere, or it has too many of them")
            found = group[name]
            place = h5py.h5o.get_info(found.id).addr
            if place in seen:
                continue
            seen.add(place)
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                total += _bytes_of(found, name)
    _check_declared(total, size)
    return total


def _bytes_of(array: Any, name: str) -> int:
    if array.external or array.is_virtual:
        raise InvalidValue(f"its array {name!a:.100} lies in another file", hint="save the model again")
    return int(array.size or 0) * int(array.dtype.itemsize)


def _check_declared(declared: int, size: int) -> None:
    if declared > FREE + _EXPANDS * size:
        raise InvalidValue(f"it declares {declared:,} bytes and holds {size:,}", hint="save the model again")
