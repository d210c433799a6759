"""Tiny wheels and locks of them, so that an environment is made without an index."""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from pack.envs.locking import Lock, Pin
from pack.envs.targets import Target


def wheel(
    folder: Path, name: str = "tiny", *, tag: str = "py3-none-any", files: Mapping[str, str] | None = None
) -> Pin:
    """Write a wheel with a module and a command into a folder; its pin."""
    info = f"{name}-1.0.dist-info"
    held = {
        f"{name}/__init__.py": "VALUE = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        **(files or {}),
    }
    lines = [f"{path},sha256={_hash(text)},{len(text.encode())}" for path, text in held.items()]
    held[f"{info}/RECORD"] = "".join(f"{line}\n" for line in [*lines, f"{info}/RECORD,,"])
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in held.items():
            archive.writestr(zipfile.ZipInfo(inner, (1980, 1, 1, 0, 0, 0)), text)
    return Pin(name, "1.0", (sha256(path.read_bytes()).hexdigest(),))


def lock_of(*pins: Pin, platform: str = "linux/amd64", python: str = "3.11") -> Lock:
    """A lock of these pins."""
    return Lock(Target(python, platform), "0" * 64, pins)


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
