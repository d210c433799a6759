"""Endpoints: the names under which models are served, and the loaded version behind each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pack.errors import NotFound
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.batching import Batcher, Limits
from pack.serving.scoring import Scorer


@dataclass(frozen=True)
class Version:
    """One loaded model, and the queue in front of it."""

    model: PyFuncModel
    scorer: Scorer
    batcher: Batcher

    @classmethod
    def of(cls, model: PyFuncModel, limits: Limits) -> Version:
        """A version that is ready to score."""
        scorer = Scorer(model, joins=None if limits.joins else False)
        return cls(model, scorer, Batcher(scorer, limits))


class Endpoint:
    """A name under which a model is served; what is asked of it goes to its current version."""

    def __init__(self, name: str, current: Version) -> None:
        self.name = name
        self.current = current


class Endpoints:
    """All endpoints of a server by name; the first is also served without one."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        self.default = next(iter(self._endpoints.values()))

    def get(self, name: str | None = None) -> Endpoint:
        """The endpoint of this name, or the default; raises `NotFound`."""
        found = self.default if name is None else self._endpoints.get(name)
        if found is None:
            known = ", ".join(sorted(self._endpoints)[:20])
            raise NotFound(f"no model is served under the name {name!a:.100}", hint=f"served here: {known}")
        return found

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def by_path(self) -> dict[str, Endpoint]:
        """The path to post to → the endpoint that answers there."""
        named = {f"/models/{name}/invocations": endpoint for name, endpoint in self._endpoints.items()}
        return {"/invocations": self.default, **named}
