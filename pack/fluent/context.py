"""What a new run says of where it comes from: user, source, Git commit. No program is started for it."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
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
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def tags() -> dict[str, str]:
    """The tags that a new run starts with, under MLflow's names."""
    source = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "<python>"
    found = {"mlflow.user": user(), "mlflow.source.name": source, "mlflow.source.type": _source_type()}
    commit = git_commit(Path.cwd())
    return {**found, **({"mlflow.source.git.commit": commit} if commit else {})}


def git_commit(start: Path) -> str | None:
    """The commit that is checked out around `start`, read from Git's own files; None where there is none."""
    for folder in (start, *start.parents):
        git = folder / ".git"
        if git.exists():
            try:
                return _head(_git_folder(git))
            except (OSError, UnicodeDecodeError):
                return None
    return None


def _git_folder(git: Path) -> Path:
    """The repository's folder; in a worktree `.git` is a file that names it."""
    if git.is_dir():
        return git
    named = Path(git.read_text(encoding="utf-8").partition("gitdir:")[2].strip())
    return named if named.is_absolute() else git.parent / named


def _head(folder: Path) -> str | None:
    head = (folder / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head or None
    ref = head.partition(":")[2].strip()
    shared = folder / "commondir"
    roots = [folder, folder / shared.read_text(encoding="utf-8").strip()] if shared.is_file() else [folder]
    for root in roots:
        if (root / ref).is_file():
            return (root / ref).read_text(encoding="utf-8").strip()
        packed = root / "packed-refs"
        lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
        found = next((line.split()[0] for line in lines if line.endswith(f" {ref}")), None)
        if found:
            return found
    return None


def _source_type() -> str:
    return "NOTEBOOK" if "ipykernel" in sys.modules else "LOCAL"
