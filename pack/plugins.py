"""Tables of plugins: a name, the class behind it as a string, and what to install for it."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pack.errors import InvalidState, MissingPackage, NotFound, PackError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True)
class Entry:
    """One row of a table: where the object is, which types it handles, and which package it needs.

    `guest` is the distribution that added the row, None for a built-in one.
    """

    target: str
    handles: tuple[str, ...] = ()
    needs: str | None = None
    guest: str | None = None

    def load(self) -> Any:
        """Import the object behind `module:attribute`.

        Raises `MissingPackage` with the install command, `InvalidState` for a guest that fails in another way.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            explained = self._explained(error)
            if explained is None:
                raise
            raise explained from error

    def _explained(self, error: Exception) -> PackError | None:
        """What the user is told where the import fails; None where the fault is ours."""
        name = getattr(error, "name", None) or ""
        if isinstance(error, ModuleNotFoundError) and self.needs and name.partition(".")[0] != "pack":
            return missing(name or self.needs, self.needs)
        if self.guest is None:
            return None
        return InvalidState(
            f"{self.target} cannot be imported: {said(error)}", hint=f"update it: pip install -U {self.guest} packml"
        )


def said(error: Exception) -> str:
    """The error as one line: its kind, and what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split()):.300}"


def missing(module: str, package: str) -> MissingPackage:
    """The error for an optional package that is not installed, with the exact command that installs it."""
    return MissingPackage(f"the Python module {module!r} is not installed", hint=f"install it: pip install {package}")


class Table(Mapping[str, Entry]):
    """Built-in rows plus those that installed packages add through an entry-point group; built-in rows win."""

    def __init__(self, noun: str, rows: Mapping[str, Entry], group: str | None = None) -> None:
        self.noun = noun
        self.group = group
        self._rows = dict(rows)

    @cached_property
    def _all(self) -> dict[str, Entry]:
        return {**self._guests(), **self._rows}

    def _guests(self) -> dict[str, Entry]:
        if self.group is None:
            return {}
        from importlib.metadata import entry_points

        return {point.name: _guest(point) for point in entry_points(group=self.group)}

    def refresh(self) -> None:
        """Look for newly installed guests again at the next use."""
        self.__dict__.pop("_all", None)

    def __getitem__(self, name: str) -> Entry:
        row = self._rows.get(name) or self._all.get(name)
        if row is None:
            known = ", ".join(sorted(self._all))
            raise NotFound(f"no {self.noun} is named {name!r}", hint=f"known: {known}")
        return row

    def __contains__(self, name: object) -> bool:
        return name in self._rows or name in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def load(self, name: str) -> Any:
        """Import and return the object that the row `name` stands for."""
        return self[name].load()


def _guest(point: EntryPoint) -> Entry:
    """A guest's entry point names an `Entry`, or the class itself, which then says what it `handles`.

    One that cannot be imported is warned of, and its row raises when it is used; the others are not held up.
    """
    package = point.dist.name if point.dist is not None else point.module
    try:
        return _row(point.load(), package)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's module raises, the other rows are there
        warnings.warn(f"{point.name!a} of the package {package} cannot be imported: {said(error)}", stacklevel=2)
        return Entry(point.value, needs=package, guest=package)


def _row(found: Any, package: str) -> Entry:
    if isinstance(found, Entry):
        return replace(found, guest=package)
    target = f"{found.__module__}:{found.__qualname__}"
    return Entry(target, handles=tuple(getattr(found, "handles", ())), needs=package, guest=package)
