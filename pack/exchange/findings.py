"""What an import or export could not take, what it found to differ, and what else it has to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pack.errors import AlreadyExists, Damaged, InvalidState, InvalidValue, NotFound, PackError, TooLarge

# What is wrong with one thing; a disk or a database that fails is wrong for all of them.
_OF_ONE_THING = (AlreadyExists, Damaged, InvalidState, InvalidValue, NotFound, TooLarge)
_MOST = 10_000


class Stopped(PackError):
    """A strict import met the first thing that it cannot take."""

    error_code = "INVALID_STATE"
    http_status = 409


class Findings:
    """Each finding is kept once, ten thousand of a kind at most; how many there were is known."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.skipped: dict[str, None] = {}
        self.differing: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self.without: set[str] = set()
        """Whole things that were not taken, by what they are called: they are not looked for afterwards."""

    def skip(self, what: str, why: PackError | str) -> None:
        """Something was not taken; raises `Stopped` in a strict import."""
        text = f"{what}: {_said(why)}"
        if self.strict:
            raise Stopped(text, hint="without strict it is left out and reported") from _cause(why)
        _keep(self.skipped, text)

    def differ(self, what: str, why: str) -> None:
        """Something is not here as it is there."""
        _keep(self.differing, f"{what}: {why}")

    def note(self, text: str) -> None:
        """Something to know, and no fault."""
        _keep(self.notes, text)

    @contextmanager
    def taking(self, what: str) -> Iterator[None]:
        """Go on with the next thing where one cannot be taken."""
        try:
            yield
        except _OF_ONE_THING as error:
            self.without.add(what)
            self.skip(what, error)


def _keep(found: dict[str, None], text: str) -> None:
    if len(found) < _MOST:
        found[text] = None
    elif text not in found:
        found[f"... and more than {_MOST:,} in all"] = None


def _said(why: PackError | str) -> str:
    if isinstance(why, str):
        return why
    return f"{why.message} ({why.hint})" if why.hint else why.message


def _cause(why: PackError | str) -> PackError | None:
    return why if isinstance(why, PackError) else None
