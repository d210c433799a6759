"""Which models may run their code. The policy belongs to the one who loads, never to the model.

| mode | what loads |
|---|---|
| `safe` | formats that cannot run code |
| `signed` | those, and what a signature of a configured identity verifies |
| `default` | those, what this user saved or logged here, and what they pinned by its digest |
| `trusted` | anything |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pack import settings
from pack.errors import InvalidValue

Mode = Literal["safe", "signed", "default", "trusted"]
Verifier = Callable[[Path], bool]
_WORDS: dict[str, Mode] = {
    "safe": "safe",
    "signed": "signed",
    "default": "default",
    "trusted": "trusted",
    "all": "trusted",
}


@dataclass(frozen=True)
class Policy:
    """A mode, and the verifiers that this user configured for signatures."""

    mode: Mode = "default"
    verifiers: tuple[Verifier, ...] = ()

    def may_run(self, home: Path, digest: str) -> bool:
        """Whether the code of the model in `home`, whose digest this is, may run."""
        from pack.trust.records import is_remembered

        if self.mode == "trusted":
            return True
        if self.mode == "safe":
            return False
        if any(verify(home) for verify in self.verifiers):
            return True
        return self.mode == "default" and (digest in settings.trust_digests() or is_remembered(digest))


def policy_for(trust: bool | str | Policy | None = None) -> Policy:
    """The policy of an argument, else of `PACK_TRUST`; raises `InvalidValue` for a word that names no mode.

    `True` and `"all"` trust anything; `False` is `"safe"`; None asks the environment.
    """
    if isinstance(trust, Policy):
        return trust
    if trust is None:
        trust = settings.trust()
    word = {True: "all", False: "safe"}.get(trust, trust) if isinstance(trust, bool) else trust
    if not isinstance(word, str) or word not in _WORDS:
        raise InvalidValue(f"trust={trust!r} is no load policy", hint=f"use True, or one of {', '.join(_WORDS)}")
    return Policy(_WORDS[word])
