"""Every command, setting, flavor and route stands in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from pack import settings
from pack.cli import main
from pack.flavors import FLAVORS

DOCS = Path(__file__).parent.parent / "docs"
ALL = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md")))
RECORD_ROOMS = ["tracking", "registry", "fluent", "exchange", "conversion", "cli"]
ROOMS = ["mlmodel", "data", "envs", "trust", "artifacts", "db", "flavors", "pyfunc", "serving", *RECORD_ROOMS]


def commands(group: click.Group, prefix: str = "pack") -> list[str]:
    context = click.Context(group)
    found: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        found += commands(command, f"{prefix} {name}") if isinstance(command, click.Group) else [f"{prefix} {name}"]
    return found


@pytest.mark.parametrize("command", commands(main))
def test_each_command_is_documented(command: str) -> None:
    assert re.search(rf"{command}\b", ALL)


@pytest.mark.parametrize("command", commands(main))
def test_each_command_shows_an_example_in_its_help(command: str) -> None:
    from click.testing import CliRunner

    shown = CliRunner().invoke(main, [*command.split()[1:], "--help"])
    assert shown.exit_code == 0
    assert re.search(r"example", shown.output, re.IGNORECASE), shown.output


@pytest.mark.parametrize("command", commands(main))
def test_each_option_says_what_it_is_for(command: str) -> None:
    found: click.Command | None = main
    for name in command.split()[1:]:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name)
    assert found is not None
    shown = [one for one in found.params if isinstance(one, click.Option) and not one.hidden]
    assert [one.opts for one in shown if not one.help] == []


@pytest.mark.parametrize("name", [setting.name for setting in settings.all_settings()])
def test_each_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in ALL


@pytest.mark.parametrize("name", sorted(FLAVORS))
def test_each_flavor_is_documented(name: str) -> None:
    assert f"`{name}`" in (DOCS / "flavors.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_has_a_page(room: str) -> None:
    assert (DOCS / f"{room}.md").read_text(encoding="utf-8").startswith("# ")


def test_each_route_is_documented() -> None:
    from pack.serving.app import ROUTES

    page = (DOCS / "serving.md").read_text(encoding="utf-8")
    assert ROUTES
    for route in ROUTES:
        assert f"`{route.path}`" in page
