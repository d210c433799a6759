"""What people do to names, versions, aliases and stages, in any order and with restarts, beside a plain model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from pack.registry.names import STAGES
from pack.uris import ModelUri
from tests.faults.machines import COUNTED, SIZE, StoreMachine
from tests.faults.plain_registry import PlainModel, PlainRegistry
from tests.faults.test_tracking_machine import all_pages

pytestmark = pytest.mark.faults

NAMES = st.sampled_from(["m", "n", "é", "M"])
NUMBERS = st.integers(1, 4)
ALIASES = st.sampled_from(["champion", "challenger"])
KEYS = st.sampled_from(["a", "b"])
TEXTS = st.sampled_from(["", "x", "y"])
EXPECTED = st.sampled_from([False, None, 1, 2, 3])


class RegistryMachine(StoreMachine):
    """Rules for registered models, versions, aliases and stages."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = PlainRegistry()

    @initialize()
    def begin_with_two_versions(self) -> None:
        self.create("m", "")
        self.create_version("m")
        self.create_version("m")

    @rule(name=NAMES, description=TEXTS)
    def create(self, name: str, description: str) -> None:
        self.both(
            lambda: self.registry.create_registered_model(name, description=description),
            lambda: self.plain.create(name, description),
        )

    @rule(name=NAMES, new_name=NAMES)
    def rename(self, name: str, new_name: str) -> None:
        self.both(
            lambda: self.registry.rename_registered_model(name, new_name), lambda: self.plain.rename(name, new_name)
        )

    @rule(name=NAMES, force=st.booleans())
    def delete(self, name: str, force: bool) -> None:
        self.both(
            lambda: self.registry.delete_registered_model(name, force=force),
            lambda: self.plain.delete(name, force=force),
        )

    @rule(name=NAMES)
    def restore(self, name: str) -> None:
        self.both(lambda: self.registry.restore_registered_model(name), lambda: self.plain.restore(name))

    @rule(name=NAMES, description=TEXTS)
    def describe(self, name: str, description: str) -> None:
        self.both(
            lambda: self.registry.update_registered_model(name, description=description),
            lambda: setattr(self.plain.model(name), "description", description),
        )

    @rule(name=NAMES, key=KEYS, value=TEXTS)
    def tag(self, name: str, key: str, value: str) -> None:
        self.both(
            lambda: self.registry.set_registered_model_tag(name, key, value),
            lambda: self.plain.model(name).tags.update({key: value}),
        )

    @rule(name=NAMES, key=KEYS)
    def delete_tag(self, name: str, key: str) -> None:
        self.both(
            lambda: self.registry.delete_registered_model_tag(name, key),
            lambda: self.plain.model(name).tags.pop(key, None),
        )

    @rule(name=NAMES)
    def create_version(self, name: str) -> None:
        answers = self.both(
            lambda: self.registry.create_model_version(name, source="s", storage_location=str(self.folder)).version,
            lambda: self.plain.create_version(name),
        )
        assert answers is None or answers[0] == answers[1]

    @rule(name=NAMES, number=NUMBERS, force=st.booleans())
    def delete_version(self, name: str, number: int, force: bool) -> None:
        self.both(
            lambda: self.registry.delete_model_version(name, number, force=force),
            lambda: self.plain.delete_version(name, number, force=force),
        )

    @rule(name=NAMES, number=NUMBERS)
    def restore_version(self, name: str, number: int) -> None:
        self.both(
            lambda: self.registry.restore_model_version(name, number), lambda: self.plain.restore_version(name, number)
        )

    @rule(name=NAMES, number=NUMBERS, key=KEYS, value=TEXTS)
    def tag_version(self, name: str, number: int, key: str, value: str) -> None:
        self.both(
            lambda: self.registry.set_model_version_tag(name, number, key, value),
            lambda: self.plain.model(name).version(number).tags.update({key: value}),
        )

    @rule(name=NAMES, number=NUMBERS, stage=st.sampled_from(STAGES), archive=st.booleans())
    def set_stage(self, name: str, number: int, stage: str, archive: bool) -> None:
        self.both(
            lambda: self.registry.set_stage(name, number, stage, archive_existing=archive),
            lambda: self.plain.set_stage(name, number, stage, archive=archive),
        )

    @rule(name=NAMES, alias=ALIASES, number=NUMBERS, expect=EXPECTED)
    def set_alias(self, name: str, alias: str, number: int, expect: int | bool | None) -> None:
        self.both(
            lambda: self.registry.set_alias(name, alias, number, expect=expect),
            lambda: self.plain.set_alias(name, alias, number, expect),
        )

    @rule(name=NAMES, alias=ALIASES, steps=st.integers(1, 3))
    def rollback(self, name: str, alias: str, steps: int) -> None:
        self.both(
            lambda: self.registry.rollback_alias(name, alias, steps=steps),
            lambda: self.plain.rollback(name, alias, steps),
        )

    @rule(name=NAMES, alias=ALIASES)
    def delete_alias(self, name: str, alias: str) -> None:
        self.both(lambda: self.registry.delete_alias(name, alias), lambda: self.plain.delete_alias(name, alias))

    @rule(name=NAMES, alias=ALIASES, back=st.integers(0, 3))
    def resolve(self, name: str, alias: str, back: int) -> None:
        answers = self.both(
            lambda: self.registry.resolve(ModelUri(name, alias=alias, back=back)).version,
            lambda: self.plain.resolve(name, alias, back),
        )
        assert answers is None or answers[0] == answers[1]

    @rule()
    def empty_the_trash(self) -> None:
        self.registry.purge(self.registry.trash())
        self.plain.purge()

    @rule()
    def restart_the_store(self) -> None:
        self.restart()

    @rule(size=st.integers(1, 3), pattern=st.sampled_from(["%", "m%", "M", "é", "_"]))
    def search_models(self, size: int, pattern: str) -> None:
        live = sorted(model.name for model in self.plain.models if not model.deleted)
        wanted = [name for name in live if pattern in {"%", "_"} or name.startswith(pattern.rstrip("%"))]
        found = all_pages(
            lambda token: self.registry.search_registered_models(
                filter_string=f"name LIKE '{pattern}'", max_results=size, page_token=token
            ),
            size,
        )
        assert [model.name for model in found] == wanted

    @rule(size=st.integers(1, 3), tag=st.booleans())
    def search_versions(self, size: int, tag: bool) -> None:
        wanted = [
            (model.name, version.number)
            for model in sorted(self.plain.models, key=lambda one: one.name)
            for version in reversed(model.live())
            if not model.deleted and (not tag or version.tags.get("a") == "x")
        ]
        found = all_pages(
            lambda token: self.registry.search_model_versions(
                filter_string="tags.a = 'x'" if tag else None,
                order_by=["name ASC", "version_number DESC"],
                max_results=size,
                page_token=token,
            ),
            size,
        )
        assert [(version.name, version.version) for version in found] == wanted

    @invariant()
    def all_is_as_the_plain_model_has_it(self) -> None:
        for model in self.plain.models:
            if not model.deleted:
                self._compare(model)

    def _compare(self, model: PlainModel) -> None:
        found = self.registry.get_registered_model(model.name)
        assert (found.description, found.tags, found.aliases) == (model.description, model.tags, model.aliases)
        moves = self.registry.alias_history(model.name)
        assert [(move.alias, move.from_version, move.to_version) for move in moves] == model.moves
        newest = {version.stage: version.number for version in model.live()}
        assert {one.current_stage: one.version for one in found.latest_versions} == newest
        for version in model.live():
            got = self.registry.get_model_version(model.name, version.number)
            pointing = sorted(alias for alias, to in model.aliases.items() if to == version.number)
            assert (got.current_stage, got.tags, got.aliases) == (version.stage, version.tags, pointing)


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = SIZE


def test_the_machine_went_through_enough(figure: Callable[..., None]) -> None:
    figure("registry against a plain model", **COUNTED["RegistryMachine"])
    assert COUNTED["RegistryMachine"]["restarts"]
