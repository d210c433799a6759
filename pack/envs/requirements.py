"""Lines of requirements: read, checked, and never more than data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pack.errors import InvalidValue, NotFound

MAX_LINES = 10_000
MAX_LENGTH = 2_000
# Index options that a user may give; a model directory's own are never followed (see docs/envs.md).
_OPTIONS = (
    "--index-url ",
    "--extra-index-url ",
    "--find-links ",
    "--pre",
    "--no-binary ",
    "--only-binary ",
    "-i ",
    "-f ",
)
_HASHES = re.compile(r"(\s+--hash=sha256:[0-9a-f]{64})+$")


def parse_lines(given: str | Path | Sequence[str], *, origin: str = "pip_requirements") -> tuple[list[str], list[str]]:
    """Requirement and constraint lines of a list or a file; `-r` and `-c` files are read in.

    Raises `InvalidValue` naming the line for anything but a requirement or a known option.
    """
    lines = _file(Path(given)) if isinstance(given, (str, Path)) else list(given)
    requirements: list[str] = []
    constraints: list[str] = []
    base = Path(given).parent if isinstance(given, (str, Path)) else Path()
    for line in map(_plain, lines):
        if line.startswith(("-r ", "--requirement ")):
            nested = parse_lines(base / line.split(None, 1)[1], origin=origin)
            requirements += nested[0]
            constraints += nested[1]
        elif line.startswith(("-c ", "--constraint ")):
            constraints += parse_lines(base / line.split(None, 1)[1], origin=origin)[0]
        elif line:
            requirements.append(check_line(line, origin))
    if len(requirements) > MAX_LINES:
        raise InvalidValue(f"{origin} holds more than {MAX_LINES:,} lines")
    return merged(requirements), merged(constraints)


def check_line(line: str, origin: str) -> str:
    """The line itself where it is a requirement (PEP 508) or a known option; raises `InvalidValue` otherwise."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = line.strip()
    if len(text) > MAX_LENGTH or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InvalidValue(f"a line of {origin} is too long or holds control characters")
    if text.startswith(_OPTIONS):
        return _check_option(text, origin)
    try:
        Requirement(_HASHES.sub("", text).partition(" #")[0].strip())
    except InvalidRequirement as error:
        if _is_local(text):
            return text
        raise InvalidValue(
            f"{text[:100]!a} of {origin} is not a requirement", hint="write it as name==version (PEP 508)"
        ) from error
    return text


def name_of(line: str) -> str | None:
    """The normalised distribution name of a requirement line; None for options and paths."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        return canonicalize_name(Requirement(_HASHES.sub("", line).partition(" #")[0].strip()).name)
    except InvalidRequirement:
        return None


def merged(lines: Iterable[str]) -> list[str]:
    """The lines in order, each once."""
    return list(dict.fromkeys(lines))


def _plain(line: str) -> str:
    if not isinstance(line, str):
        raise InvalidValue(f"a requirement must be text, not {type(line).__name__}")
    if "\n" in line.rstrip("\n") or "\r" in line.rstrip("\r\n"):
        raise InvalidValue("a requirement may not hold a line break", hint="give one requirement for each item")
    return "" if line.lstrip().startswith("#") else line.strip()


def _check_option(text: str, origin: str) -> str:
    if any(character in text for character in ";|&`$<>'\"\\"):
        raise InvalidValue(f"an option of {origin} holds characters that no option needs")
    return text


def _is_local(text: str) -> bool:
    """A path to a wheel or project, as pip takes it: plain path characters and nothing else."""
    return re.fullmatch(r"(\./|\.\./|/)?[\w.+@=~/-]+", text) is not None and ("/" in text or text.endswith(".whl"))


def _file(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no requirements file {path}", hint="give a list of requirements, or a path"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(f"the requirements file {path} cannot be read as UTF-8 text") from error
