"""What this user saved or logged here: one small file for each digest, in a folder that only this user can read."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import warnings
from pathlib import Path

from pack import settings

_DIGEST = re.compile(r"[0-9a-f]{64}")


def remember(digest: str, home: Path) -> bool:
    """Record that this user made the model with this digest; a folder that cannot be written costs a warning only."""
    try:
        folder = _folder() / digest[:2]
        _private(folder)
        body = json.dumps({"format": 1, "home": str(home), "time": int(time.time())})
        _write(folder / digest, body)
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"this model was not recorded as yours ({type(error).__name__}); loading it may ask for trust=True. "
            "Set PACK_STATE_DIR to a folder that you can write.",
            stacklevel=3,
        )
        return False
    return True


def is_remembered(digest: str) -> bool:
    """Whether this user recorded a model with this digest."""
    if not _DIGEST.fullmatch(digest):
        return False
    try:
        path = _folder() / digest[:2] / digest
        found = path.lstat()
    except (OSError, RuntimeError):
        return False
    ours = not hasattr(os, "getuid") or found.st_uid in {os.getuid()}
    return ours and path.is_file() and not path.is_symlink()


def _folder() -> Path:
    given = settings.state_dir()
    if given is not None:
        return given / "trusted"
    from platformdirs import user_state_path

    return user_state_path("pack-models") / "trusted"


def _private(folder: Path) -> None:
    """Make the folder and its parent with mode 0700, whatever the umask."""
    for place in (folder.parent, folder):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if place.stat().st_mode & 0o077:
            place.chmod(0o700)


def _write(path: Path, body: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(body)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
