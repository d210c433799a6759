"""What a new run says of where it comes from: user, source, and what Git knows. No program is started for it."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import sys
from functools import lru_cache
from pathlib import Path

_WORDS = """
able amber bold brave bright brisk calm candid clever crisp eager early fair fleet fresh gentle glad golden grand happy
hardy keen kind lively lucid merry mild neat nimble noble open patient placid proud quick quiet ready sharp silver smart
sound spry steady sunny swift tidy trusty upbeat vivid warm wise witty zesty
/
ant badger bear beaver bee bison crane crow deer dove duck eagle elk falcon ferret finch fox frog gecko goat goose hare
hawk heron horse ibex jay kite koala lark lemur lynx magpie mole moose newt octopus otter owl panda puffin quail raven
robin salmon seal shark shrew snail sparrow squid stork swan tiger toad trout turtle vole whale wolf wren
"""
_ADJECTIVES, _ANIMALS = (part.split() for part in _WORDS.split("/"))


def run_name() -> str:
    """A name for a run that has none, such as `brisk-otter-512`."""
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_ANIMALS)}-{secrets.randbelow(1000)}"


def user() -> str:
    """Who runs this."""
    names = tuple(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME"))
    return _user(names, os.getuid() if hasattr(os, "getuid") else 0)


@lru_cache(maxsize=8)
def _user(names: tuple[str | None, ...], number: int) -> str:
    """The user's name, looked up once for what it is made of."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(number)


def tags() -> dict[str, str]:
    """The tags that a new run starts with, under MLflow's names."""
    source = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "<python>"
    found = {"mlflow.user": user(), "mlflow.source.name": source, "mlflow.source.type": _source_type()}
    return {**found, **git_tags(Path.cwd())}


def git_tags(start: Path) -> dict[str, str]:
    """Commit, branch and origin of what is checked out around `start`, read from Git's own files; empty without Git."""
    for folder in (start, *start.parents):
        git = folder / ".git"
        if git.exists():
            try:
                found = _read_git(_git_folder(git))
            except (OSError, UnicodeDecodeError):
                return {}
            return {f"mlflow.source.git.{name}": value for name, value in found.items() if value}
    return {}


def _git_folder(git: Path) -> Path:
    """The repository's folder; in a worktree `.git` is a file that names it."""
    if git.is_dir():
        return git
    named = Path(git.read_text(encoding="utf-8").partition("gitdir:")[2].strip())
    return named if named.is_absolute() else git.parent / named


def _read_git(folder: Path) -> dict[str, str | None]:
    shared = folder / "commondir"
    roots = [folder, folder / shared.read_text(encoding="utf-8").strip()] if shared.is_file() else [folder]
    head = (folder / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return {"commit": head, "repoURL": _origin(roots[-1])}
    ref = head.partition(":")[2].strip()
    commit = next((found for root in roots if (found := _commit_of(root, ref))), None)
    return {"commit": commit, "branch": ref.removeprefix("refs/heads/"), "repoURL": _origin(roots[-1])}


def _commit_of(root: Path, ref: str) -> str | None:
    if (root / ref).is_file():
        return (root / ref).read_text(encoding="utf-8").strip()
    packed = root / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {ref}")), None)


def _origin(root: Path) -> str | None:
    """Where the repository was cloned from, without the credentials that people leave in such addresses."""
    config = root / "config"
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    found = re.search(r'^\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', text, re.MULTILINE)
    return re.sub(r"//[^/@]*@", "//", found.group(1)) if found else None


def _source_type() -> str:
    return "NOTEBOOK" if "ipykernel" in sys.modules else "LOCAL"
