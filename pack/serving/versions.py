"""Loaded versions: a model, what it was loaded from, and the queue in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pack import uris
from pack.artifacts import pinned
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.batching import Batcher, Limits
from pack.serving.metrics import Tally
from pack.serving.scoring import Scorer


@dataclass(frozen=True)
class Source:
    """Where a model comes from: a URI, or a loaded model; and the load policy for it."""

    uri: str
    model: PyFuncModel | None = None
    trust: Any = None

    @classmethod
    def of(cls, given: PyFuncModel | str | Path, trust: Any) -> Source:
        """The source of a model that was given as itself, or by its URI."""
        if isinstance(given, PyFuncModel):
            return cls(given.home.name, given, trust)
        return cls(str(given), None, trust)

    @property
    def moves(self) -> bool:
        """Whether the URI may lead elsewhere tomorrow: an alias, a stage, or `latest`; none of the past."""
        if self.model is not None:
            return False
        parsed = uris.parse(self.uri)
        return isinstance(parsed, uris.ModelUri) and parsed.version is None and not parsed.back and parsed.at is None

    def pinned(self) -> str:
        """The URI of what it leads to now."""
        return self.uri if self.model is not None else str(pinned(self.uri))

    def load(self, uri: str, limits: Limits) -> Version:
        """Load what `pinned` answered; raises what `load_model` does."""
        from pack.pyfunc.load import load_model

        return Version.of(uri, self.model or load_model(uri, trust=self.trust), limits)


@dataclass(frozen=True)
class Version:
    """One loaded model: its URI, its number in the registry where it has one, its digest, and its queue."""

    uri: str
    number: str
    digest: str
    size: int
    model: PyFuncModel
    scorer: Scorer
    batcher: Batcher
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, uri: str, model: PyFuncModel, limits: Limits) -> Version:
        """A version that is ready to score."""
        scorer = Scorer(model, joins=None if limits.joins else False)
        parsed = uris.parse(uri) if uri.startswith("models:") else None
        number = str(parsed.version) if isinstance(parsed, uris.ModelUri) and parsed.version else ""
        size = sum(path.stat().st_size for path in model.home.rglob("*") if path.is_file())
        return cls(uri, number, model.digest, size, model, scorer, Batcher(scorer, limits))

    def shown(self) -> dict[str, Any]:
        """What may be told of it: no path of this machine."""
        uri = self.uri if self.uri.startswith(("models:", "runs:")) else None
        return {"uri": uri, "version": self.number or None, "digest": f"sha256:{self.digest}"}
