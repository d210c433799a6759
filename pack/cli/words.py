"""Words that people type: options with MLflow's spelling beside ours, ages, and KEY=VALUE pairs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def word(
    name: str,
    *flags: str,
    metavar: str | None = None,
    required: bool = True,
    help: str | None = None,  # noqa: A002
) -> Callable[[F], F]:
    """An argument that may also be given as an option, the way MLflow spells it: `pack runs show ID`, `--run-id ID`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def either(*args: Any, **given: Any) -> Any:
            plain, spelled = given.pop(name), given.pop(f"{name}_option")
            if plain is not None and spelled is not None:
                raise click.UsageError(f"{metavar or name.upper()} was given twice.")
            if required and plain is None and spelled is None:
                raise click.UsageError(f"Missing argument '{metavar or name.upper()}'.")
            return command(*args, **{name: plain if spelled is None else spelled}, **given)

        argued = click.argument(name, metavar=metavar or name.upper(), required=False)
        optional = click.option(*flags, f"{name}_option", hidden=help is None, help=help)
        return argued(optional(either))  # type: ignore[return-value]

    return decorate


class Age(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A length of time such as `7d`, `12h` or `1d12h`, as milliseconds; a bare number is days."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the text."""
        if isinstance(value, int):
            return value
        text = str(value).strip().lower()
        if re.fullmatch(r"[0-9]{1,6}", text):
            return int(text) * 86_400_000
        parts = re.findall(r"([0-9]{1,9})([smhdw])", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.fail(f"{value!r} is no length of time; write 7d, 12h, 30m or 1d12h", param, ctx)
        return sum(int(number) * _UNITS[unit] for number, unit in parts) * 1000


class Pair(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`KEY=VALUE`."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first `=`."""
        if isinstance(value, tuple):
            return value
        key, mark, rest = str(value).partition("=")
        if not mark or not key:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, rest


force = click.option("--force", is_flag=True, help="Do it although something stands in the way.")
reason = click.option("--reason", help="Why, for the alias's history.")
env_manager = click.option(
    "--env-manager",
    type=click.Choice(["auto", "local", "uv", "virtualenv", "conda"]),
    default="auto",
    show_default=True,
    help="Where to run: here (local), or in an environment made of what the model needs. auto is here if that is all "
    "installed, else by uv.",
)
