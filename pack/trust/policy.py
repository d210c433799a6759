"""Which models may run their code. The policy belongs to the one who loads, never to the model.

| mode | what loads |
|---|---|
| `safe` | formats that cannot run code |
| `signed` | those, and what a signature of a configured identity verifies |
| `default` | those, what this user saved or logged here, and what they pinned by its digest |
| `trusted` | anything |

Whose signatures count is read from this user's environment, and never from a model: `PACK_TRUST_KEYS`,
`PACK_TRUST_CERTIFICATES`, `PACK_TRUST_IDENTITIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pack import settings
from pack.errors import InvalidValue, Untrusted
from pack.mlmodel.digests import Report

Mode = Literal["safe", "signed", "default", "trusted"]
# Says who signed the files of a report, whose digests were just taken; raises `Untrusted`, or answers nothing, where
# nobody did who counts. It judges those digests and hashes nothing again: they are what reading compares with.
Verifier = Callable[[Report], str | None]
_WORDS: dict[str, Mode] = {
    "safe": "safe",
    "signed": "signed",
    "default": "default",
    "trusted": "trusted",
    "all": "trusted",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a model may run its code, and what speaks for it or against it; empty where there is nothing to say."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Policy:
    """A mode, and the verifiers that this user configured for signatures."""

    mode: Mode = "default"
    verifiers: tuple[Verifier, ...] = ()

    def may_run(self, report: Report) -> bool:
        """Whether the code of the model that this report is about may run."""
        return self.verdict(report).allowed

    def verdict(self, report: Report) -> Verdict:
        """Whether the code of the model that this report is about may run, and why."""
        from pack.trust.records import is_remembered

        if self.mode in {"trusted", "safe"}:
            return Verdict(self.mode == "trusted")
        if self.mode == "default" and report.digest in settings.trust_digests():
            return Verdict(True, "pinned by its digest")
        if self.mode == "default" and is_remembered(report.digest):
            return Verdict(True, "saved or logged here")
        if not self.verifiers:
            return Verdict(False, "whose signatures count is not configured" if self.mode == "signed" else "")
        return self._signed(report)

    def _signed(self, report: Report) -> Verdict:
        against = []
        for verifier in self.verifiers:
            try:
                signer = verifier(report)
            except Untrusted as refusal:
                against.append(refusal.message)
                continue
            if signer:
                return Verdict(True, f"signed by {signer}")
        return Verdict(False, "; ".join(against))


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
    return Policy(_WORDS[word], _verifiers())


def _verifiers() -> tuple[Verifier, ...]:
    """One verifier where this user said whose signatures count; what checks signatures is imported when it is used."""
    names = (settings.trust_keys, settings.trust_certificates, settings.trust_identities)
    if not any(setting.is_set() for setting in names):
        return ()
    from pack.trust.signatures import configured

    return (configured(),)
