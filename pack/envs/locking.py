"""Locks: every package that a model and its server need, pinned by version and hash, for one target.

Format 1 is pip's requirements format with `--hash=sha256:` for each pin, below four lines of comment: the format, the
target, and the SHA-256 of the lines that it was solved from. It names no host; where packages come from is said by the
configuration of whoever installs. uv solves it, for any target, from wheels only: nothing is built or run.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pack.envs import indexes, solved
from pack.envs.requirements import check_line, name_of
from pack.envs.targets import PLATFORMS, Target
from pack.errors import InvalidValue, MissingPackage, Unavailable
from pack.plugins import missing

FORMAT = 1
FOLDER = "locks"
SECONDS = 600
_HEAD = re.compile(r"# pack lock (\d+)\n# target (\S+) (\S+)\n# of ([0-9a-f]{64})\n")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.!+_-]+)(?P<marker> ?;[^\n\\]+)?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One package: its version, and the SHA-256 of each file that may be installed for it."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        """The line of a lock."""
        return " \\\n    ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)])


@dataclass(frozen=True)
class Lock:
    """A lock: for which target, solved from which lines (their SHA-256), and what it pins."""

    target: Target
    source: str
    packages: tuple[Pin, ...]

    @property
    def text(self) -> str:
        """The file."""
        head = [
            f"# pack lock {FORMAT}",
            f"# target {self.target.python} {self.target.platform}",
            f"# of {self.source}",
        ]
        return "\n".join([*head, *map(str, self.packages)]) + "\n"

    @property
    def digest(self) -> str:
        """The SHA-256 of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fits(self, lines: Sequence[str]) -> bool:
        """Whether it was solved from these lines."""
        return self.source == digest_of_lines(lines)


def lock(
    lines: Sequence[str], target: Target, *, constraints: Sequence[str] = (), wheelhouse: Path | None = None
) -> Lock:
    """Solve requirement lines for a target; from a wheelhouse, a folder of wheels, instead of an index if one is given.

    What an index answered is kept for ten minutes.

    Raises `InvalidValue` for lines that are no plain requirements (options, paths, addresses), or that no set of wheels
    fulfils; `MissingPackage` without uv; `Unavailable` where the index does not answer.
    """
    wanted, limits = [plain_line(line) for line in lines], [plain_line(line) for line in constraints]

    def solve() -> str:
        return _solved(wanted, limits, target, wheelhouse)

    question = (target.name, *wanted, "but", *limits)
    answer = solve() if wheelhouse is not None else solved.kept(question, indexes.environment(), solve)
    return Lock(target, digest_of_lines(lines), _pins(answer))


def read_lock(text: str, *, shown: str = "the lock") -> Lock:
    """The lock in a text; raises `InvalidValue` for anything but pins with hashes below our head."""
    head = _HEAD.match(text)
    if head is None:
        raise InvalidValue(f"{shown} is no lock of ours", hint="make one: pack env lock")
    if int(head[1]) > FORMAT:
        raise InvalidValue(f"{shown} has format {head[1]}, this pack reads {FORMAT}", hint="install a newer pack")
    return Lock(Target(head[2], head[3]), head[4], _pins(text[head.end() :]))


def plain_line(line: str) -> str:
    """The line where it is a requirement alone; raises `InvalidValue` for options, paths and addresses."""
    text = check_line(line, "the model's requirements")
    if name_of(text) is None or " @ " in text or "@" in text.split(";", maxsplit=1)[0]:
        raise InvalidValue(
            f"{text!a:.100} is not followed: it says where to find a package, or is an option",
            hint="write name==version; where packages come from is said by your pip configuration",
        )
    return text


def digest_of_lines(lines: Sequence[str]) -> str:
    """The SHA-256 by which a lock knows the lines that it was solved from, in any order."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _pins(text: str) -> tuple[Pin, ...]:
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        pin, hashes = _PIN.match(line), tuple(sorted(_HASH.findall(line)))
        if pin is None or not hashes or _HASH.sub("", line[pin.end() :]).strip():
            raise InvalidValue(f"{line!a:.80} is no pin with hashes", hint="make the lock again: pack env lock")
        found.append(Pin(pin["name"], pin["version"], hashes))
    return tuple(sorted(found, key=lambda one: one.name.lower()))


def _solved(lines: list[str], constraints: list[str], target: Target, wheelhouse: Path | None) -> str:
    """What uv answers, run in a folder of its own, so that no project's settings are read but the user's."""
    with tempfile.TemporaryDirectory(prefix="pack-lock-") as folder:
        wanted, limits = Path(folder) / "requirements.in", Path(folder) / "constraints.txt"
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        limits.write_text("\n".join(constraints) + "\n", encoding="utf-8")
        words = [
            *(uv_program(), "pip", "compile", str(wanted), "-c", str(limits), "--quiet", "--generate-hashes"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--only-binary", ":all:"),
            *("--python-version", target.python, "--python-platform", PLATFORMS[target.platform]),
        ]
        return _run(words, Path(folder), target, wheelhouse)


def _run(words: list[str], folder: Path, target: Target, wheelhouse: Path | None) -> str:
    world = indexes.environment(wheelhouse=wheelhouse)
    try:
        done = subprocess.run(
            words, cwd=folder, env=world, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"uv did not solve the lock within {SECONDS} s", hint="look at your index") from error
    if done.returncode == 0:
        return done.stdout
    unsolvable = "No solution found" in done.stderr
    said = " ".join(done.stderr.replace(str(folder), "").split())[:600]
    if unsolvable:
        raise InvalidValue(f"no set of wheels fulfils this for {target.name}: {said}", hint=_hint(done.stderr))
    raise Unavailable(f"uv could not solve the lock: {said}", hint="look at your index: pip config list")


def _hint(said: str) -> str:
    if "subsequent index" in said:
        return "if you trust all your indexes alike, as pip does: set UV_INDEX_STRATEGY=unsafe-best-match"
    return "relax a version, or lock for another Python or platform"


def uv_program() -> str:
    """Where uv is: beside this Python, or on the path; raises `MissingPackage` with the install command."""
    import shutil

    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            raise _no_uv() from None
        return found


def _no_uv() -> MissingPackage:
    return missing("uv", "'packml[envs]'")
