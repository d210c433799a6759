"""The wheel of the running pack, made from its own files: the same bytes each time.

An environment gets the very code that makes it, whether that came from an index, a folder or an editable install.
Format: the binary distribution format 1.0 (PyPA specifications, wheel).
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from pack.envs.serving import DISTRIBUTION
from pack.version import __version__

_TIME = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: pack\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_SCRIPTS = "[console_scripts]\npack = pack.cli:main\n"


def wheel_of_pack(folder: Path) -> Path:
    """Write the wheel into `folder` and answer its path."""
    info = f"{DISTRIBUTION}-{__version__}.dist-info"
    members = [*_code(), (f"{info}/METADATA", _metadata()), (f"{info}/WHEEL", _WHEEL.encode())]
    members.append((f"{info}/entry_points.txt", _SCRIPTS.encode()))
    record = "".join(f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in members)
    path = folder / f"{DISTRIBUTION}-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*members, (f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode())]:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return path


def digest_of_pack() -> str:
    """The SHA-256 of what the wheel would hold: it tells one state of the running pack from another."""
    digest = hashlib.sha256(__version__.encode() + _metadata())
    for name, data in _code():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _code() -> Iterator[tuple[str, bytes]]:
    home = Path(__file__).parents[1]
    for path in sorted(home.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(home.parent).as_posix(), path.read_bytes()


def _metadata() -> bytes:
    return str(distribution(DISTRIBUTION).read_text("METADATA") or "").encode()


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
