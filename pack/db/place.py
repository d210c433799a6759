"""Where a store lies: its database file, and the folder of its artifacts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pack import folders
from pack.errors import InvalidUri, StorageFailed

FOLDER = ".pack"
DATABASE = "pack.db"
ARTIFACTS = "artifacts"


@dataclass(frozen=True)
class Place:
    """A store on this disk: `database` is the SQLite file, `artifacts` the folder of its files."""

    database: Path
    artifacts: Path

    @property
    def uri(self) -> str:
        """The tracking URI that names this store."""
        return f"sqlite:///{self.database}"

    def prepare(self) -> None:
        """Make the store's folder, private to this user, where it is missing."""
        folder = self.database.parent
        try:
            folders.make(folder, mode=0o700)
        except OSError as error:
            raise StorageFailed(
                f"the store's folder {folder} cannot be made: {error.strerror}",
                hint="choose a folder that you can write, or set PACK_TRACKING_URI=sqlite:///PATH.db",
            ) from error

    @cached_property
    def _folder(self) -> str:
        return str(self.database.parent)

    def relative(self, location: str) -> str:
        """A location as it is stored: relative to the store where it lies inside, so that the store can be moved."""
        inside = f"{self._folder}{os.sep}"
        return location[len(inside) :].replace(os.sep, "/") if location.startswith(inside) else location

    def absolute(self, location: str) -> str:
        """A stored location as a path or URI that can be opened."""
        if location.startswith("/") or ":" in location:  # a path, a Windows one, a URI: nothing inside a store
            return location
        return f"{self._folder}{os.sep}{location}"


def default_place(start: Path | None = None) -> Place:
    """The nearest `.pack/` in `start` or a folder above it, else a new one in `start`; the home folder's is its own."""
    here = (start or Path.cwd()).absolute()
    folder = next((place / FOLDER for place in (here, *here.parents) if (place / FOLDER).is_dir()), here / FOLDER)
    return Place(folder / DATABASE, folder / ARTIFACTS)


def place_of(uri: str | None) -> Place:
    """The place that a tracking URI names; None is the default place. Raises `InvalidUri` for what is not local yet."""
    if uri is None:
        return default_place()
    text = str(uri)
    if text.startswith("sqlite:///"):
        path = Path(text.removeprefix("sqlite:///"))
        if str(path) in {"", ".", ":memory:"} or "?" in text:
            raise InvalidUri(f"{text!a} names no file", hint="use sqlite:///PATH.db")
        database = path if path.is_absolute() else Path.cwd() / path
        return Place(database, database.parent / f"{database.stem}-artifacts")
    if "://" in text or text.startswith(("databricks", "file:", "uc:")):
        raise InvalidUri(
            f"stores at {text.partition(':')[0]}: are not supported yet",
            hint="use sqlite:///PATH.db, or leave the tracking URI unset for the local store in .pack/",
        )
    raise InvalidUri(
        f"{text[:100]!a} is not a tracking URI",
        hint="use sqlite:///PATH.db; folders of MLflow's file store are imported, not written",
    )
