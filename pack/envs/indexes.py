"""Where this user's packages come from: pip's configuration, told to uv, which does not read it.

The answer holds addresses, and may hold secrets: it goes into the environment of a process, never into a file.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

# pip's option → uv's variable
_TOLD = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
}
# Every variable that names a place where packages come from.
_PLACES = {
    *("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"),
}
_MANY = {"UV_FIND_LINKS": ",", "UV_INDEX": " ", "UV_INSECURE_HOST": " "}


def environment(world: Mapping[str, str] | None = None, *, wheelhouse: Path | None = None) -> dict[str, str]:
    """The environment for uv: this process's, and what pip is told there or in its files, unless uv is told itself.

    With a wheelhouse, a folder of wheels, uv and pip look there and nowhere else.
    """
    found = dict(os.environ if world is None else world)
    if wheelhouse is not None:
        return _only(wheelhouse, found)
    told = {**_of_files(found), **_of_variables(found)}
    for option, variable in _TOLD.items():
        value = told.get(option, "").split()
        if value and variable not in found:
            found[variable] = _MANY.get(variable, " ").join(value)
    return found


def _only(wheelhouse: Path, world: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in world.items() if name not in _PLACES}
    folder = str(wheelhouse.absolute())
    return kept | {"UV_NO_INDEX": "1", "UV_FIND_LINKS": folder, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder}


def _of_variables(world: Mapping[str, str]) -> dict[str, str]:
    names = {option: f"PIP_{option.upper().replace('-', '_')}" for option in _TOLD}
    return {option: world[name] for option, name in names.items() if world.get(name)}


def _of_files(world: Mapping[str, str]) -> dict[str, str]:
    """The options of pip's files; the later file wins, as in pip (pip's documentation, Configuration)."""
    found: dict[str, str] = {}
    for path in _files(world):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return found


def _files(world: Mapping[str, str]) -> list[Path]:
    if world.get("PIP_CONFIG_FILE"):
        return [Path(world["PIP_CONFIG_FILE"])]
    home = Path(world.get("HOME") or Path.home())
    user = Path(world.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    return [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", user, Path(sys.prefix) / "pip.conf"]
