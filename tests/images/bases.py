"""Small bases for images: a root file system of a few files, whose Python is only the head of a program."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

AMD64, ARM64 = 62, 183
OCI = "application/vnd.oci.image"


def program(machine: int = AMD64) -> bytes:
    """The head of an ELF file, which says what machine it is for."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44)


def tar_of(files: Mapping[str, bytes | str], *, mode: int = 0o755) -> bytes:
    """A tar file: bytes are files, a text is a link to it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if isinstance(data, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, data
            else:
                entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data if isinstance(data, bytes) else b""))
    return out.getvalue()


def root_files(machine: int = AMD64, python: str = "3.11") -> dict[str, bytes | str]:
    """What lies in Debian: /bin is a link, python3 is a link to the Python of a version."""
    return {
        "bin": "usr/bin",
        f"usr/bin/python{python}": program(machine),
        "usr/bin/python3": f"python{python}",
        "etc/os-release": b"ID=debian\n",
    }


def root_file_system(path: Path, **more: Any) -> Path:
    """The archive of a root file system, as `debootstrap` and `tar` make it."""
    path.write_bytes(tar_of(root_files(**more)))
    return path


def digest_of(data: bytes) -> str:
    """The digest of bytes."""
    return f"sha256:{sha256(data).hexdigest()}"


def layout(home: Path, *layers: bytes, machine: str = "amd64", zipped: bool = True, **config: Any) -> str:
    """A layout that an image of these layers lies in; the digest of its manifest."""
    stored = [gzip.compress(layer, mtime=0) if zipped else layer for layer in layers]
    kind = f"{OCI}.layer.v1.tar{'+gzip' if zipped else ''}"
    about = {
        "architecture": machine,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "config": config,
    }
    made = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": blob(home, json.dumps(about).encode(), f"{OCI}.config.v1+json"),
        "layers": [blob(home, data, kind) for data in stored],
    }
    top = blob(home, json.dumps(made).encode(), f"{OCI}.manifest.v1+json")
    (home / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    (home / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}), encoding="utf-8")
    return str(top["digest"])


def blob(home: Path, data: bytes, kind: str) -> dict[str, Any]:
    """Bytes put into a layout; their descriptor."""
    digest = digest_of(data)
    path = home / "blobs" / "sha256" / digest[7:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def blob_path(home: Path, digest: str) -> Path:
    """Where a blob of a layout lies."""
    return home / "blobs" / "sha256" / digest.removeprefix("sha256:")


def archive_of(home: Path, path: Path) -> Path:
    """A layout in one tar file."""
    with tarfile.open(path, "w") as archive:
        for child in sorted(home.iterdir()):
            archive.add(child, child.name)
    return path


def saved(path: Path, *layers: bytes) -> str:
    """What `docker save` wrote before it wrote layouts; the image ID."""
    about = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "config": {"Env": ["PATH=/usr/bin"]},
    }
    config = json.dumps(about).encode()
    files: dict[str, bytes | str] = {f"{sha256(config).hexdigest()}.json": config}
    for place, layer in enumerate(layers):
        files[f"{place}/layer.tar"] = layer
    listed = [{"Config": next(iter(files)), "RepoTags": ["b:1"], "Layers": list(files)[1:]}]
    path.write_bytes(tar_of({**files, "manifest.json": json.dumps(listed).encode()}, mode=0o644))
    return digest_of(config)
