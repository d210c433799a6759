"""Where a model is to run: a version of Python, and an operating system with its processor."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass

from pack.errors import InvalidValue

# Names as container engines write them → what uv calls the same. manylinux_2_28 is what current wheels are built for.
PLATFORMS = {
    "linux/amd64": "x86_64-manylinux_2_28",
    "linux/arm64": "aarch64-manylinux_2_28",
    "macos/amd64": "x86_64-apple-darwin",
    "macos/arm64": "aarch64-apple-darwin",
    "windows/amd64": "x86_64-pc-windows-msvc",
}
_SYSTEMS = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Target:
    """`python` is a version such as `3.11`; `platform` a name such as `linux/amd64`."""

    python: str
    platform: str

    def __post_init__(self) -> None:
        """Raise `InvalidValue` for what is no version or no platform that packages are built for."""
        if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,3})?", self.python):
            raise InvalidValue(f"{self.python!a:.40} is no version of Python", hint="write 3.11, for example")
        if self.platform not in PLATFORMS:
            raise InvalidValue(f"{self.platform!a:.40} is no platform", hint=f"use one of {', '.join(PLATFORMS)}")

    @property
    def name(self) -> str:
        """Its name in a file's: `python3.11-linux-amd64`."""
        short = ".".join(self.python.split(".")[:2])
        return f"python{short}-{self.platform.replace('/', '-')}"

    @classmethod
    def of(cls, python: str | None = None, platform_name: str | None = None) -> Target:
        """A target; what is left out is as it is here."""
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return cls(python or here, platform_name or _platform())


def _platform() -> str:
    system = _SYSTEMS.get(platform.system(), platform.system().lower())
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    return f"{system}/{machine}"
