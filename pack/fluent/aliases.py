"""Aliases: which version of a model is live, which was, and whether the next one breaks those who call it."""

from __future__ import annotations

from pathlib import Path

from pack.artifacts import local_path
from pack.errors import InvalidState, NotFound, PackError
from pack.fluent import context, state
from pack.mlmodel.compare import SignatureDiff, compare
from pack.mlmodel.model import Model
from pack.registry import AliasMove, ModelVersion, RegistryStore
from pack.registry.names import version_number

# How often a move is tried again because someone else moved the alias in between.
_TRIES = 100


def set_alias(
    name: str,
    alias: str,
    version: int | str,
    *,
    reason: str | None = None,
    expect: int | bool | None = False,
    force: bool = False,
) -> AliasMove:
    """Point an alias at a version: `models:/NAME@ALIAS` means that version from now on.

    Raises `InvalidState` where the version breaks those who call the one that is live now, unless forced; and, with
    `expect` (a version, or None for no alias yet), where the alias stands elsewhere: compare and set.

    >>> set_alias("churn", "champion", 3, reason="better on last week")  # doctest: +SKIP
    """
    return move(state.registry(), name, alias, version, reason=reason, expect=expect, force=force)


def get_alias(name: str, alias: str) -> ModelVersion:
    """The version that an alias points at.

    >>> get_alias("churn", "champion").version  # doctest: +SKIP
    3
    """
    return state.registry().get_model_version_by_alias(name, alias)


def delete_alias(name: str, alias: str, *, reason: str | None = None) -> None:
    """Remove an alias; its history stays.

    >>> delete_alias("churn", "challenger")  # doctest: +SKIP
    """
    state.registry().delete_alias(name, alias, user_id=context.user(), reason=reason)


def rollback_alias(name: str, alias: str, *, steps: int = 1, reason: str | None = None) -> AliasMove:
    """Point an alias back at where it stood before its last move, or before the last `steps` moves.

    What was live before is taken as it is, also where its signature differs.

    >>> rollback_alias("churn", "champion", reason="complaints since noon")  # doctest: +SKIP
    """
    return state.registry().rollback_alias(name, alias, steps=steps, user_id=context.user(), reason=reason)


def alias_history(name: str, alias: str | None = None) -> list[AliasMove]:
    """Every move of an alias, or of all of a model: when, by whom, from where, to where, and why; the oldest first.

    >>> alias_history("churn", "champion")[-1].user_id  # doctest: +SKIP
    """
    return state.registry().alias_history(name, alias)


def diff(before_uri: str | Path, after_uri: str | Path) -> SignatureDiff:
    """What callers of one model notice when the other takes its place: compatible, widening or breaking.

    >>> str(diff("models:/churn/3", "models:/churn/4").verdict)  # doctest: +SKIP
    'widening'
    """
    before, after = (Model.load(local_path(uri)).signature for uri in (before_uri, after_uri))
    return compare(before, after)


def move(
    registry: RegistryStore,
    name: str,
    alias: str,
    version: int | str,
    *,
    reason: str | None = None,
    expect: int | bool | None = False,
    force: bool = False,
) -> AliasMove:
    """Point an alias of a registry at a version that does not break callers, or that is forced.

    What was compared is what is replaced: where someone moves the alias in between, it is compared again.
    """
    target = version_number(version)
    expect = expect if expect is None or expect is False else version_number(expect)

    def point(seen: int | bool | None) -> AliasMove:
        return registry.set_alias(name, alias, target, expect=seen, user_id=context.user(), reason=reason)

    if force:
        return point(expect)
    wanted = registry.get_model_version(name, target)
    for _ in range(_TRIES):
        live = _live(registry, name, alias)
        if live is not None:
            _refuse_breaking(live, wanted, alias)
        seen = None if live is None else live.version
        if expect is not False and seen != expect:
            return point(expect)  # it says what differs
        try:
            return point(seen)
        except InvalidState:
            continue
    raise InvalidState(f"@{alias} of {name!r} is being moved by others all the time", hint="try again, or force")


def _live(registry: RegistryStore, name: str, alias: str) -> ModelVersion | None:
    try:
        return registry.get_model_version_by_alias(name, alias)
    except NotFound:
        return None


def _refuse_breaking(live: ModelVersion, wanted: ModelVersion, alias: str) -> None:
    try:
        signatures = [Model.load(Path(one.storage_location)).signature for one in (live, wanted)]
    except PackError:
        return  # where the files of one cannot be read, nothing can be compared
    found = compare(*signatures).breaking
    if found:
        first = found[0]
        what = f"{first.part}{f' {first.name!r}' if first.name else ''}: {first.before or 'nothing'} -> "
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise InvalidState(
            f"version {wanted.version} of {live.name!r} breaks those who call @{alias}, version {live.version}: "
            f"{what}{first.after or 'nothing'}{more}",
            hint=f"look: pack diff models:/{live.name}/{live.version} models:/{live.name}/{wanted.version}; "
            "move it all the same with force",
        )
