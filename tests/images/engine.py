"""A Docker engine for the tests, and the base image that they build on.

An engine that answers already is used as it is. Otherwise, as root and where Docker is installed, one is started with
a socket and files of its own; all processes that test share it, and the last one to leave stops it. Nothing is ever
installed here (`.ci/run` does), and no image is pulled: the base is made once by debootstrap, and kept by its recipe.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# Debian's own bundle; an index that is reached through a proxy of a company has its authority there.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_MIRROR = "http://deb.debian.org/debian"
_RECIPE = "3"


class NoEngine(Exception):
    """Why there is no engine here."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers at `host`, and the base image in it; `archive` is the base's root file system."""

    host: str
    base: str
    archive: Path

    def docker(self, *words: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the docker command against this engine."""
        told = {**os.environ, "DOCKER_HOST": self.host}
        done = subprocess.run(
            ["docker", *words], env=told, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(words)[:200]} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def build(self, name: str, context: Path) -> None:
        """Have BuildKit build a Dockerfile: by buildx, or by a client that is old enough to have it in itself."""
        for program in dict.fromkeys(filter(None, (shutil.which("docker"), "/usr/bin/docker"))):
            buildx = subprocess.run([program, "buildx", "version"], capture_output=True, check=False).returncode == 0
            if buildx or _version(program) < 23:
                words = [program, "build", "--network", "host", "--tag", name, str(context)]
                told = {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}
                done = subprocess.run(words, env=told, capture_output=True, text=True, timeout=900, check=False)
                assert done.returncode == 0, done.stderr
                return
        raise AssertionError("no docker client here has BuildKit: apt-get install docker.io, or docker-buildx")


def _version(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split("version ")[1].split(".")[0])


@contextmanager
def running(folder: Path | None = None) -> Iterator[Engine]:
    """An engine with the base image in it, as long as the block runs; raises `NoEngine` with the reason."""
    home = folder or cache_folder()
    home.mkdir(parents=True, exist_ok=True)
    with _host(home) as host:
        archive = base_archive(home)
        yield Engine(host, _imported(host, archive), archive)


def cache_folder() -> Path:
    """Where the base and the files of the engine are kept: `PACK_TEST_CACHE`, or a folder of this user."""
    given = os.environ.get("PACK_TEST_CACHE")
    return Path(given) if given else Path("~/.cache/pack-tests").expanduser()


def base_archive(home: Path) -> Path:
    """The root file system of the base as a tar file; made by debootstrap where it is not there yet."""
    path = home / f"base-{base_key()}.tar"
    with _alone(home / "base.lock"):
        if not path.is_file():
            _make_base(path)
    return path


def base_key() -> str:
    """What tells one base from another: its recipe, and the certificates in it."""
    certificates = CERTIFICATES.read_bytes() if CERTIFICATES.is_file() else b""
    recipe = f"{_RECIPE} {SUITE} {PACKAGES} {_mirror()} {hashlib.sha256(certificates).hexdigest()}"
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


@contextmanager
def _host(home: Path) -> Iterator[str]:
    given = os.environ.get("DOCKER_HOST")
    if shutil.which("docker") is None:
        raise NoEngine("no docker command here: apt-get install docker.io")
    for host in [given] if given else ["unix:///var/run/docker.sock"]:
        if _answers(host):
            yield host
            return
    if given:
        raise NoEngine(f"no engine answers at DOCKER_HOST, {given}")
    with _own(home / "engine") as host:
        yield host


@contextmanager
def _own(home: Path) -> Iterator[str]:
    """An engine of our own, shared by everybody who holds the file `users`; the last one stops it."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise NoEngine("no engine answers, and starting one takes root and dockerd: apt-get install docker.io")
    home.mkdir(parents=True, exist_ok=True)
    with (home / "users").open("w") as users:
        with _alone(home / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            host = f"unix://{home}/docker.sock"
            if not _answers(host):
                _start(home, host)
        try:
            yield host
        finally:
            with _alone(home / "start.lock"), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(home)


def _start(home: Path, host: str) -> None:
    (home / "dockerd.pid").unlink(missing_ok=True)
    words = ["--data-root", home / "data", "--exec-root", home / "exec", "--pidfile", home / "dockerd.pid"]
    with (home / "dockerd.log").open("wb") as log:  # no child of the test that starts it: others may stay longer
        command = ["setsid", "--fork", "dockerd", *map(str, words), "--host", host]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
    for _ in range(300):
        if _answers(host):
            return
        time.sleep(0.1)
    said = (home / "dockerd.log").read_text(errors="replace").splitlines()[-3:]
    raise NoEngine(f"dockerd does not start here: {' '.join(said)}")


def _stop(home: Path) -> None:
    with suppress(OSError, ValueError):
        number = int((home / "dockerd.pid").read_text())
        os.kill(number, signal.SIGTERM)
        for _ in range(200):
            if not (home / "docker.sock").exists() or not Path(f"/proc/{number}").exists():
                return
            time.sleep(0.1)


def _answers(host: str) -> bool:
    words = ["docker", "--host", host, "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0


def _make_base(path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise NoEngine("the base image is made by debootstrap, as root: apt-get install debootstrap")
    print(f"making the base image with debootstrap ({SUITE}): about a minute, once", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="base-", dir=path.parent) as name:
        root = Path(name) / "root"
        words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), _mirror()]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoEngine(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
        if CERTIFICATES.is_file():
            shutil.copyfile(CERTIFICATES, root / "etc/ssl/certs/ca-certificates.crt")
        # As in the images that people build on: `python`, and a pip that installs.
        (root / "usr/bin/python").symlink_to("python3")
        (root / f"usr/lib/python{PYTHON}/EXTERNALLY-MANAGED").unlink(missing_ok=True)
        for left in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
            shutil.rmtree(root / left, ignore_errors=True)
            (root / left).mkdir()
        for inner in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
            (root / inner).mkdir()
        made = Path(name) / "base.tar"
        words = ["tar", "--create", "--sort=name", "--mtime=@0", "--numeric-owner", "--directory", str(root), "--file"]
        subprocess.run([*words, str(made), "."], check=True)
        made.replace(path)


def _mirror() -> str:
    """Debian's mirror that this machine uses, or Debian's own."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for path in sources:
        text = path.read_text(errors="replace") if path.is_file() else ""
        for found in re.findall(r"^(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(\S+/debian/?)(?:\s|$)", text, re.MULTILINE):
            return str(found)
    return _MIRROR


def _imported(host: str, archive: Path) -> str:
    """The name of the base in an engine, where it is put if it is not there."""
    name = f"pack-test-base:{base_key()}"
    docker = ["docker", "--host", host]
    if subprocess.run([*docker, "image", "inspect", name], capture_output=True, check=False).returncode:
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        words = ["--change", 'CMD ["python3"]', "--change", path]
        subprocess.run([*docker, "import", *words, str(archive), name], check=True, capture_output=True)
    return name


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
