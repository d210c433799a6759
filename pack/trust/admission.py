"""A model directory on its way in: verified first, judged second, and read only as it was verified."""

from __future__ import annotations

import contextvars
import hashlib
import os
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType

from pack.errors import Damaged, InvalidValue, NotFound, StorageFailed, Untrusted
from pack.mlmodel import digests
from pack.mlmodel.bundles import Bundle
from pack.mlmodel.model import Model
from pack.trust.policy import Policy, Verdict

WAYS_FORWARD = (
    "if you trust it: pass trust=True, --trust, or set PACK_TRUST=all; "
    "or have it signed (pack sign) by a key that PACK_TRUST_KEYS names; "
    "or save it again in a format that runs no code (skops, models of native formats)"
)
_active: contextvars.ContextVar[Admission | None] = contextvars.ContextVar("pack_admission", default=None)


@dataclass
class Admission:
    """A verified model directory and what the policy lets it do; inside `with`, reading goes through it."""

    report: digests.Report
    policy: Policy
    _bundle: Bundle | None = field(default=None, repr=False)
    _handed: set[str] = field(default_factory=set, repr=False)
    _tokens: list[contextvars.Token[Admission | None]] = field(default_factory=list, repr=False)

    def __enter__(self) -> Admission:
        self._tokens.append(_active.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.reset(self._tokens.pop())
        if error is None:
            self._check_handed()

    @property
    def home(self) -> Path:
        """The directory."""
        return self.report.home

    @property
    def model(self) -> Model:
        """What its MLmodel file says."""
        return self.report.model

    @property
    def files(self) -> dict[str, str]:
        """The digest of each file as it was verified: what a signature is of, and what reading compares with."""
        return self.report.files

    @property
    def digest(self) -> str:
        """The digest of the whole directory."""
        return self.report.digest

    @cached_property
    def verdict(self) -> Verdict:
        """What the policy says of this model's code; asked once it matters: it looks at records and signatures."""
        return self.policy.verdict(self.report)

    @property
    def may_run_code(self) -> bool:
        """Whether the policy lets this model run code."""
        return self.verdict.allowed

    def read(self, name: str) -> bytes:
        """The bytes of one file by its path in the model, as they were verified; raises `Damaged` if they changed."""
        if name not in self.files:
            raise NotFound(f"the model has no file {name!a}", hint="the MLmodel file may name one that was not copied")
        data = _read_inside(self.home, name)
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise Damaged(f"{name!a} changed between being verified and being read", hint="load the model again")
        return data

    def hand_out(self, name: str) -> None:
        """Note that a library reads what lies at this path by itself; what changes meanwhile is refused at the end."""
        inside = {one for one in self.files if one == name or one.startswith(f"{name}/")}
        if not inside:
            raise NotFound(f"the model has no file {name!a}", hint="the MLmodel file may name one that was not copied")
        self._handed |= inside

    def _check_handed(self) -> None:
        handed, self._handed = self._handed, set()
        changed = [
            name for name in sorted(handed) if digests.stamp_of(self.home / name) != self.report.stamps.get(name)
        ]
        if changed:
            raise Damaged(
                f"{', '.join(map(ascii, changed[:5]))} changed between being verified and being read",
                hint="load the model again",
            )

    def bundle(self) -> Bundle:
        """The code that the model brings along; empty where its code may not run."""
        if self._bundle is None:
            files = self.files if self.may_run_code else {}
            self._bundle = Bundle(files, self.read)
        return self._bundle

    def require_code(self, what: str, reason: str) -> None:
        """Raise `Untrusted` where the policy does not let this model run code."""
        if not self.may_run_code:
            why = f": {self.verdict.reason}" if self.verdict.reason else ""
            raise Untrusted(f"{what} was not loaded: {reason}, and this model is not trusted{why}", hint=WAYS_FORWARD)


def admit(
    home: Path, policy: Policy, runs_code: str | None = None, *, report: digests.Report | None = None
) -> Admission:
    """Verify the digests of a model directory and judge it.

    `runs_code` says why reading the model runs code, None where it does not. Raises `Damaged` where files differ from
    their digests, `Untrusted` where code would run that the policy does not allow.
    """
    report = report or digests.check(home)
    report.raise_if_damaged()
    admission = Admission(report, policy)
    if runs_code:
        admission.require_code("the model", runs_code)
    return admission


def active() -> Admission | None:
    """The admission that reading goes through now."""
    return _active.get()


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of the model being loaded, exactly as verified; outside a load, of any plain file."""
    admission = _active.get()
    if admission is not None:
        return admission.read(name_inside(admission, path))
    if path.is_symlink() or not path.is_file():
        raise NotFound(f"there is no plain file {path.name!a}")
    return path.read_bytes()


def verified_path(path: Path) -> Path:
    """The path of a file or folder of the model being loaded, for a library that reads by itself.

    When the load ends, a model whose files there were touched since they were verified is `Damaged`.
    """
    admission = _active.get()
    if admission is not None:
        admission.hand_out(name_inside(admission, path))
    return path


def name_inside(admission: Admission, path: Path) -> str:
    """The path of a file inside the admitted model, `/` between its parts; raises `InvalidValue` for one outside."""
    try:
        name = path.relative_to(admission.home).as_posix()
    except ValueError as error:
        raise InvalidValue(f"{path.name!a} lies outside the model") from error
    if ".." in name.split("/"):
        raise InvalidValue(f"{path.name!a} lies outside the model")
    return name


def _read_inside(home: Path, name: str) -> bytes:
    """Read a file step by step from `home`, following no link on the way."""
    folder_flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
    *folders, last = name.split("/")
    try:
        handle = os.open(home, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        for folder in folders:
            inner = os.open(folder, folder_flags, dir_fd=handle)
            os.close(handle)
            handle = inner
        try:
            file = os.open(last, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=handle)
        finally:
            os.close(handle)
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise InvalidValue(f"{name!a} is not a plain file")
            return stream.read()
    except OSError as error:
        raise StorageFailed(f"{name!a} of the model cannot be read: {error.strerror}") from error
