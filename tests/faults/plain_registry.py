"""The registry as plain lists: what it must answer, written down as simply as it can be said."""

from __future__ import annotations

from dataclasses import dataclass, field

from pack.errors import AlreadyExists, InvalidState, InvalidValue, NotFound


@dataclass
class PlainVersion:
    """A version of a model."""

    number: int
    stage: str = "None"
    tags: dict[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass
class PlainModel:
    """A registered model; `deleted` says in which order it went to the trash, 0 that it did not."""

    name: str
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[int, PlainVersion] = field(default_factory=dict)
    last: int = 0
    aliases: dict[str, int] = field(default_factory=dict)
    moves: list[tuple[str, int | None, int | None]] = field(default_factory=list)
    deleted: int = 0

    def version(self, number: int) -> PlainVersion:
        """A version that is not deleted."""
        found = self.versions.get(number)
        if found is None or found.deleted:
            raise NotFound(str(number))
        return found

    def live(self) -> list[PlainVersion]:
        """The versions that are not deleted, in their order."""
        return [self.versions[number] for number in sorted(self.versions) if not self.versions[number].deleted]

    def move(self, alias: str, to: int | None) -> None:
        """Point an alias elsewhere, or nowhere."""
        self.moves.append((alias, self.aliases.get(alias), to))
        if to is None:
            del self.aliases[alias]
        else:
            self.aliases[alias] = to

    def past(self, alias: str, back: int) -> int:
        """Where an alias pointed some moves ago."""
        moves = [to for name, _, to in self.moves if name == alias]
        found = moves[-1 - back] if len(moves) > back else None
        if found is None:
            raise NotFound(alias)
        return found


class PlainRegistry:
    """The same methods as a registry has, as far as the machine calls them."""

    def __init__(self) -> None:
        self.models: list[PlainModel] = []
        self._deletions = 0

    def model(self, name: str) -> PlainModel:
        """A model that is not deleted."""
        found = [model for model in self.models if model.name == name and not model.deleted]
        if not found:
            raise NotFound(name)
        return found[0]

    def refuse_taken(self, name: str) -> None:
        """A name belongs to one model that is not deleted."""
        if any(model.name == name and not model.deleted for model in self.models):
            raise AlreadyExists(name)

    def create(self, name: str, description: str) -> None:
        self.refuse_taken(name)
        self.models.append(PlainModel(name, description))

    def rename(self, name: str, new_name: str) -> None:
        found = self.model(name)
        if new_name != name:
            self.refuse_taken(new_name)
            found.name = new_name

    def delete(self, name: str, *, force: bool) -> None:
        found = self.model(name)
        if found.aliases and not force:
            raise InvalidState(name)
        for alias in sorted(found.aliases):
            found.move(alias, None)
        self._deletions += 1
        found.deleted = self._deletions

    def restore(self, name: str) -> None:
        found = max((m for m in self.models if m.name == name and m.deleted), key=lambda m: m.deleted, default=None)
        if found is None:
            raise NotFound(name)
        self.refuse_taken(name)
        found.deleted = 0

    def create_version(self, name: str) -> int:
        found = self.model(name)
        found.last += 1
        found.versions[found.last] = PlainVersion(found.last)
        return found.last

    def delete_version(self, name: str, number: int, *, force: bool) -> None:
        found = self.model(name)
        version = found.version(number)
        pointing = sorted(alias for alias, to in found.aliases.items() if to == number)
        if pointing and not force:
            raise InvalidState(name)
        for alias in pointing:
            found.move(alias, None)
        version.deleted = True

    def restore_version(self, name: str, number: int) -> None:
        found = self.model(name)
        if number not in found.versions:
            raise NotFound(name)
        found.versions[number].deleted = False

    def set_stage(self, name: str, number: int, stage: str, *, archive: bool) -> None:
        if archive and stage not in {"Staging", "Production"}:
            raise InvalidValue(stage)
        found = self.model(name)
        version = found.version(number)
        for other in found.live():
            if archive and other.stage == stage:
                other.stage = "Archived"
        version.stage = stage

    def set_alias(self, name: str, alias: str, number: int, expect: int | bool | None) -> None:
        found = self.model(name)
        found.version(number)
        if expect is not False and found.aliases.get(alias) != expect:
            raise InvalidState(alias)
        found.move(alias, number)

    def rollback(self, name: str, alias: str, steps: int) -> None:
        found = self.model(name)
        if alias not in found.aliases:
            raise NotFound(alias)
        number = found.past(alias, steps)
        found.version(number)
        found.move(alias, number)

    def delete_alias(self, name: str, alias: str) -> None:
        found = self.model(name)
        if alias in found.aliases:
            found.move(alias, None)

    def resolve(self, name: str, alias: str, back: int) -> int:
        found = self.model(name)
        if not back and alias not in found.aliases:
            raise NotFound(alias)
        return found.version(found.past(alias, back) if back else found.aliases[alias]).number

    def purge(self) -> None:
        """Empty the trash: what is deleted, and every version of a deleted model."""
        self.models = [model for model in self.models if not model.deleted]
        for model in self.models:
            model.versions = {number: version for number, version in model.versions.items() if not version.deleted}
