"""The cache: what is fetched is whole and right, fetched once, kept within a limit, and never lost by who uses it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pack.artifacts import cache, local_path
from pack.artifacts.shelves import shelves
from pack.errors import InvalidValue, NotFound, StorageFailed, TooLarge, Unavailable
from tests.artifacts.proxy import Handler, Proxy

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))
ROOT = not hasattr(os, "geteuid") or os.geteuid() == 0


@pytest.fixture
def model(proxy: Proxy) -> str:
    """The URI of a folder with three files, two of the same content."""
    proxy.files = {
        "model/MLmodel": b"flavors: {}\n",
        "model/data/a.bin": b"a" * 10_000,
        "model/data/b.bin": b"a" * 10_000,
    }
    return proxy.uri("model")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def below(files: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {path.removeprefix(f"{folder}/"): data for path, data in files.items()}


FETCHING = """
import hashlib, sys, pack.artifacts
for uri in sys.argv[1:]:
    path = pack.artifacts.local_path(uri)
    files = sorted(one for one in [path, *path.rglob("*")] if one.is_file())
    print(path, hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest(), flush=True)
"""


def fetching(*uris: str, then: str = "", **given: Any) -> subprocess.Popen[str]:
    """A process that fetches, and prints where each is and a digest of its bytes."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCHING + then, *uris],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **given,
    )


def fetched(*uris: str) -> list[list[str]]:
    """What such a process prints; it has ended."""
    out, _ = fetching(*uris).communicate()
    return [line.split() for line in out.splitlines()]


def wait_until(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def using(uri: str) -> Iterator[Path]:
    """A process that has fetched something and lives on."""
    process = fetching(uri, then="input()")
    assert process.stdout is not None
    try:
        yield Path(process.stdout.readline().split()[0])
    finally:
        process.communicate("\n")


# -- what is fetched, and how often


def test_a_folder_is_fetched_whole_under_its_name(proxy: Proxy, model: str) -> None:
    path = local_path(model)
    assert path.name == "model"
    assert contents(path) == below(proxy.files, "model")


def test_a_file_is_fetched_under_its_name(proxy: Proxy, model: str) -> None:
    path = local_path(proxy.uri("model/data/a.bin"))
    assert (path.name, path.read_bytes()) == ("a.bin", b"a" * 10_000)


@pytest.mark.parametrize("knows_conditions", [False, True])
def test_what_did_not_change_is_not_fetched_again(proxy: Proxy, model: str, knows_conditions: bool) -> None:
    proxy.knows_conditions = knows_conditions
    path = local_path(model)
    assert proxy.fetched == sorted(proxy.files)
    assert local_path(model) == path
    assert fetched(model)[0][0] == str(path)
    assert proxy.fetched == sorted(proxy.files)


def test_a_server_that_says_nothing_of_a_file_is_asked_for_it_each_time(proxy: Proxy, model: str) -> None:
    proxy.misbehave = lambda handler: bool(handler.file) and _plain(handler)
    assert local_path(model) == local_path(model)
    assert proxy.fetched == sorted([*proxy.files, *proxy.files])


def test_a_changed_file_is_fetched_alone_and_who_reads_the_old_one_keeps_it(proxy: Proxy, model: str) -> None:
    old = local_path(model)
    before = contents(old)
    proxy.files["model/data/a.bin"] = b"b" * 10_000
    proxy.requests.clear()
    new = local_path(model)
    assert contents(new) == below(proxy.files, "model")
    assert contents(old) == before
    asked = [path for _, path, headers in proxy.requests if "Range" in headers]
    assert sorted(asked) == sorted(proxy.files)


def test_a_file_that_is_gone_is_not_in_the_folder(proxy: Proxy, model: str) -> None:
    local_path(model)
    del proxy.files["model/data/b.bin"]
    assert contents(local_path(model)) == below(proxy.files, "model")


def test_one_listing_for_each_folder_and_one_request_for_each_file(proxy: Proxy, model: str) -> None:
    local_path(model)
    assert sorted(path for _, path, _ in proxy.requests) == sorted(["?model", "?model/data", *proxy.files])


def test_what_is_not_there_costs_one_404(proxy: Proxy, model: str) -> None:
    with pytest.raises(NotFound, match="model/none"):
        local_path(proxy.uri("model/none"))
    assert [path for _, path, _ in proxy.requests] == ["?model/none", "model/none"]


def test_patterns_choose_what_is_fetched(proxy: Proxy, model: str) -> None:
    path = local_path(model, allow=["MLmodel", "data/"], ignore="*b.bin")
    assert sorted(contents(path)) == ["MLmodel", "data/a.bin"]
    assert proxy.fetched == ["model/MLmodel", "model/data/a.bin"]
    local_path(model)
    assert proxy.fetched == sorted(proxy.files)
    with pytest.raises(NotFound, match="none of 3 files"):
        local_path(model, allow="*.onnx")


def test_the_same_bytes_lie_there_once(proxy: Proxy, model: str) -> None:
    proxy.files["other/c.bin"] = b"a" * 10_000
    one, other = local_path(model), local_path(proxy.uri("other"))
    for path in (one / "data" / "b.bin", other / "c.bin"):
        assert path.samefile(one / "data" / "a.bin")
    assert cache.usage() == 10_000 + len(proxy.files["model/MLmodel"])


def test_a_copy_of_ones_own_does_not_share_its_bytes(proxy: Proxy, model: str, tmp_path: Path) -> None:
    copy = local_path(model, dst=tmp_path / "out", ignore="data/b*")
    assert sorted(contents(copy)) == ["MLmodel", "data/a.bin"]
    (copy / "MLmodel").write_bytes(b"changed")
    assert contents(local_path(model))["MLmodel"] == proxy.files["model/MLmodel"]


def test_the_mlmodel_file_stands_for_its_folder(proxy: Proxy, model: str) -> None:
    assert local_path(f"{model}/MLmodel") == local_path(model)


def test_names_that_the_disk_cannot_tell_apart_are_refused(proxy: Proxy) -> None:
    proxy.files = {"m/A": b"1", "m/a": b"2"}
    try:
        found = contents(local_path(proxy.uri("m")))
    except InvalidValue:  # a disk that knows no upper case
        return
    assert found == {"A": b"1", "a": b"2"}


def _plain(handler: Handler) -> bool:
    """A file without a word on its state."""
    data = handler.server.files[handler.file]
    handler.begin(200, {"Content-Length": str(len(data))})
    handler.send(data)
    return True


# -- what goes wrong on the way


def test_a_length_that_differs_from_the_listing_is_refused(proxy: Proxy, model: str) -> None:
    def grown(handler: Handler) -> bool:
        proxy.files["model/data/a.bin"] = b"a" * 10_001
        return False

    proxy.misbehave = lambda handler: handler.file == "model/data/a.bin" and grown(handler)
    with pytest.raises(Unavailable, match="10,001 bytes, and was listed with 10,000"):
        local_path(model)
    assert cache.listed() == []


def test_a_failure_ends_the_other_downloads(proxy: Proxy, model: str) -> None:
    started, gone = threading.Event(), threading.Event()

    def endless(handler: Handler) -> bool:
        started.set()
        handler.begin(200, {"Content-Length": str(10**9)})
        try:
            handler.send(bytes(10**7), pause=0.01, piece=1000)
        except OSError:
            gone.set()
        return True

    def failing(handler: Handler) -> bool:
        started.wait(30)
        handler.begin(500, {"Content-Length": "0"})
        return True

    faults = {"model/data/a.bin": endless, "model/MLmodel": failing}
    proxy.files["model/data/a.bin"] = bytes(10**9)
    proxy.misbehave = lambda handler: faults.get(handler.file, lambda _: False)(handler)
    with pytest.raises(StorageFailed, match="500"):
        local_path(model)
    assert gone.wait(30)
    assert leftovers() == []


def test_a_folder_without_end_is_refused(proxy: Proxy) -> None:
    proxy.misbehave = lambda handler: handler.json({"files": [{"path": "a", "is_dir": True}]}) or True  # type: ignore[func-returns-value]
    with pytest.raises(TooLarge, match="200 levels"):
        local_path(proxy.uri("model"))
    assert leftovers() == []


def test_nothing_is_written_outside_for_a_hostile_listing(proxy: Proxy, tmp_path: Path) -> None:
    for name in ("../x", "/x", "..\\x", "a\x00b"):
        listing = {"files": [{"path": "fine", "file_size": 1}, {"path": name, "file_size": 1}]}
        proxy.files["m/fine"] = b"1"
        proxy.misbehave = lambda handler, body=listing: not handler.file and (handler.json(body) or True)  # type: ignore[misc]
        with pytest.raises(StorageFailed, match="not the name of a file"):
            local_path(proxy.uri("m"))
    assert proxy.fetched == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "world"]
    assert contents(shelves().sources) == {}


def leftovers() -> list[Path]:
    return list(shelves().work.iterdir())


# -- what others do to it


@pytest.mark.parametrize("kept_time", [False, True])
def test_a_file_that_was_written_to_is_fetched_again(proxy: Proxy, model: str, kept_time: bool) -> None:
    path = local_path(model)
    before = (path / "data" / "a.bin").stat()
    (path / "data" / "a.bin").write_bytes(b"x" * 10_000 if not kept_time else b"x")
    if kept_time:
        os.utime(path / "data" / "a.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert local_path(model) == path
    assert contents(path) == below(proxy.files, "model")


def test_what_was_added_or_removed_or_replaced_by_a_link_is_put_right(proxy: Proxy, model: str, tmp_path: Path) -> None:
    path = local_path(model)
    (path / "data" / "extra.py").write_text("evil", encoding="utf-8")
    (path / "MLmodel").unlink()
    (tmp_path / "outside").mkdir()
    shutil.rmtree(path / "data")
    (path / "data").symlink_to(tmp_path / "outside")
    assert local_path(model) == path
    assert contents(path) == below(proxy.files, "model")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_touched_file_is_compared_and_kept(proxy: Proxy, model: str) -> None:
    path = local_path(model)
    (path / "MLmodel").touch()
    proxy.requests.clear()
    local_path(model)
    assert proxy.fetched == []
    assert cache.verify() == []


def test_a_flipped_bit_is_found_and_the_file_fetched_again(proxy: Proxy, model: str) -> None:
    path = local_path(model)
    before = (path / "MLmodel").stat()
    (path / "MLmodel").write_bytes(b"flavorz: {}\n")
    os.utime(path / "MLmodel", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.verify() == [path / "MLmodel"]
    assert contents(local_path(model)) == below(proxy.files, "model")
    assert cache.verify() == []


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "location": "", "files": {"a": {}}}']
)
def test_a_record_that_cannot_be_read_costs_a_fetch_only(proxy: Proxy, model: str, garbage: bytes) -> None:
    path = local_path(model)
    (path.parent.parent / "record.json").write_bytes(garbage)
    assert local_path(model) == path
    assert contents(path) == below(proxy.files, "model")
    assert len(cache.listed()) == 1


def test_a_cache_that_was_removed_under_a_process_is_made_again(proxy: Proxy, model: str) -> None:
    local_path(model)
    shutil.rmtree(shelves().root)
    assert contents(local_path(model)) == below(proxy.files, "model")
    assert [entry.location for entry in cache.clean(everything=True).in_use] == [f"{proxy.base}/model"]


# -- many processes


def test_many_processes_that_want_the_same_fetch_it_once(proxy: Proxy, model: str) -> None:
    proxy.files["model/data/a.bin"] = os.urandom(3_000_000)
    processes = [fetching(model) for _ in range(64 if FULL else 6)]
    answers = {process.communicate()[0] for process in processes}
    assert len(answers) == 1
    assert proxy.fetched == sorted(proxy.files)
    path, digest = answers.pop().split()
    assert digest == hashlib.sha256(b"".join(data for _, data in sorted(proxy.files.items()))).hexdigest()
    assert contents(Path(path)) == below(proxy.files, "model")


def test_many_threads_that_want_the_same_fetch_it_once(proxy: Proxy, model: str) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(local_path(model))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert proxy.fetched == sorted(proxy.files)


@pytest.mark.faults
def test_a_file_that_is_replaced_again_and_again_is_never_mixed(proxy: Proxy) -> None:
    states = [bytes([number]) * 200_000 for number in range(8)]
    good = {hashlib.sha256(state).hexdigest() for state in states}
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            proxy.files["file"] = random.choice(states)
            time.sleep(0.001)

    proxy.files["file"] = states[0]
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        processes = [fetching(*[proxy.uri("file")] * (200 if FULL else 20)) for _ in range(4)]
        lines = [line for process in processes for line in process.communicate()[0].splitlines()]
    finally:
        stop.set()
        thread.join()
    assert len(lines) == 4 * (200 if FULL else 20)
    assert {line.split()[1] for line in lines} <= good


@pytest.mark.faults
def test_a_process_that_is_killed_leaves_nothing_to_be_seen_and_the_next_sweeps(proxy: Proxy, model: str) -> None:
    release = threading.Event()
    proxy.files["model/data/a.bin"] = bytes(1_000_000)

    def hang(handler: Handler) -> bool:
        handler.begin(200, {"Content-Length": "1000000"})
        handler.send(bytes(500_000))
        release.wait(60)
        return True

    for _ in range(20 if FULL else 3):
        proxy.misbehave = lambda handler: handler.file == "model/data/a.bin" and hang(handler)
        process = fetching(model)
        wait_until(lambda: size(shelves().work) > 400_000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert cache.listed() == []
        assert len(leftovers()) == 1
        assert cache.clean(dry_run=True).freed > 400_000
        proxy.misbehave = lambda _: False
        fetched(proxy.uri("model/data/b.bin"))
        assert leftovers() == []
        cache.clean(everything=True)
    release.set()
    assert contents(local_path(model)) == below(proxy.files, "model")


FORKING = """
import os, sys, threading, time, pack.artifacts
fetch = threading.Thread(target=pack.artifacts.local_path, args=sys.argv[1:])
fetch.start()
print("begun", flush=True)
input()
child = os.fork()
if not child:
    time.sleep(60)
print("forked", flush=True)
fetch.join()
print(pack.artifacts.local_path(sys.argv[1]), flush=True)
os.kill(child, 9)
"""


def test_a_child_that_is_forked_during_a_download_holds_up_nobody(proxy: Proxy, model: str) -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(handler: Handler) -> bool:
        asked.set()
        release.wait(60)
        return False

    proxy.misbehave = lambda handler: handler.file == "model/MLmodel" and hang(handler)
    command = [sys.executable, "-W", "ignore", "-c", FORKING, model]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert asked.wait(60)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert [process.stdout.readline() for _ in range(2)] == ["begun\n", "forked\n"]
    release.set()
    assert process.communicate(timeout=30)[0].strip().endswith("/files/model")


KILLED = """
import os, signal, sys
left = int(sys.argv.pop(1))
def count(event, arguments):
    global left
    if event in {"open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.utime"}:
        left -= "artifacts-v1" in str(arguments[0])
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
"""


@pytest.mark.faults
def test_a_process_that_is_killed_at_any_step_on_the_disk_harms_nothing(
    proxy: Proxy, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_CACHE_LIMIT", "15kB")
    for step in range(0, 1000, 1 if FULL else 7):
        proxy.files["model/data/a.bin"] = os.urandom(10_000)
        fetched(model)
        proxy.files["model/data/b.bin"] = os.urandom(10_000)
        command = [sys.executable, "-c", KILLED + FETCHING, str(step), model]  # fetches, and evicts what was before
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        seen = {entry.home: entry for entry in cache.listed()}
        for entry in seen.values():
            digests = {path: hashlib.sha256(data).hexdigest() for path, data in contents(entry.home / "files").items()}
            assert digests == {path: kept.digest for path, kept in entry.files.items()}
        assert fetched(model)[0][1] == hashlib.sha256(b"".join(proxy.files.values())).hexdigest()
        cache.clean()
        assert leftovers() == []
        assert cache.usage() <= 15_000
        if ended == 0:
            return
    pytest.fail("it never came to its end")


# -- the limit


@pytest.fixture
def four(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four files of 1,000 bytes, of which the cache may hold two."""
    monkeypatch.setenv("PACK_CACHE_LIMIT", "2kB")
    proxy.files = {str(number): bytes([number]) * 1000 for number in range(4)}
    return [proxy.uri(name) for name in proxy.files]


def kept() -> list[str]:
    return sorted(entry.location[-1] for entry in cache.listed())


def test_what_was_used_longest_ago_goes_first(four: list[str]) -> None:
    for uri in (four[0], four[1], four[0], four[2]):
        fetched(uri)
        time.sleep(0.02)  # so that the times differ on disks that count coarsely
    assert kept() == ["0", "2"]
    assert cache.usage() == 2000


def test_what_a_process_uses_stays_over_the_limit_and_goes_when_it_has_ended(four: list[str]) -> None:
    with using(four[0]) as path:
        for uri in four[1:]:
            fetched(uri)
        assert path.read_bytes() == bytes(1000)
        assert kept() == ["0", "3"]
        assert cache.clean(everything=True).in_use[0].home == path.parent.parent
    assert cache.clean(everything=True).freed == 1000
    assert kept() == []


def test_a_forked_child_goes_on_using_what_its_parent_fetched(four: list[str]) -> None:
    forking = "import os\nif os.fork():\n    os._exit(0)\ninput()"
    process = fetching(four[0], then=forking)
    assert process.stdout is not None
    path = Path(process.stdout.readline().split()[0])
    process.wait()
    assert len(cache.clean(everything=True).in_use) == 1
    assert path.exists()
    process.communicate("\n")
    wait_until(lambda: bool(cache.clean(everything=True).removed))


def test_cleaning_by_age_and_trying_it_first(proxy: Proxy, model: str) -> None:
    fetched(model)
    fetched(proxy.uri("model/data/a.bin"))
    record = next(entry for entry in cache.listed() if entry.location.endswith("/model")).home / "record.json"
    os.utime(record, (time.time() - 1000, time.time() - 1000))
    assert cache.clean(older_than=2000).removed == ()
    tried = cache.clean(older_than=500, dry_run=True)
    assert len(cache.listed()) == 2
    assert cache.clean(older_than=500) == tried
    assert tried.freed == len(proxy.files["model/MLmodel"])  # the other entry has the other bytes
    assert [entry.location for entry in cache.listed()] == [f"{proxy.base}/model/data/a.bin"]
    assert cache.clean(everything=True).freed == 10_000
    assert contents(shelves().blobs.root) == contents(shelves().sources) == contents(shelves().locks) == {}


@pytest.mark.faults
def test_nobody_loses_a_file_while_others_evict(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_CACHE_LIMIT", "50kB")
    proxy.files = {f"{number}/{part}": os.urandom(5000) for number in range(10) for part in "ab"}
    digests = {
        name: hashlib.sha256(proxy.files[f"{name}/a"] + proxy.files[f"{name}/b"]).hexdigest()
        for name in {path.partition("/")[0] for path in proxy.files}
    }
    rounds = [[random.choice(list(digests)) for _ in range(4)] for _ in range(100 if FULL else 10)]
    wanted: list[str] = []
    answers: list[list[str]] = []

    def work(names: list[list[str]]) -> None:
        for chosen in names:
            found = fetched(*[proxy.uri(name) for name in chosen])
            answers.extend(found)
            wanted.extend(digests[name] for name in chosen) if len(found) == 4 else wanted.append("a process failed")

    threads = [threading.Thread(target=work, args=(rounds[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(digest for _, digest in answers) == sorted(wanted)
    fetched(proxy.uri("0"))
    assert cache.usage() <= 50_000


# -- the disk


@contextmanager
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.faults
@pytest.mark.skipif(not ROOT, reason="mounting a small disk needs root")
def test_a_full_disk_is_a_clear_error_and_nothing_is_lost(
    proxy: Proxy, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path) as disk:
        monkeypatch.setenv("PACK_CACHE_DIR", str(disk))
        old = local_path(model)
        proxy.files |= {f"large/{number}": os.urandom(3_000_000) for number in range(4)}
        with pytest.raises(StorageFailed, match="No space left") as error:
            local_path(proxy.uri("large"))
        assert "pack cache clean" in (error.value.hint or "")
        assert leftovers() == []
        assert (
            contents(old)
            == contents(local_path(model))
            == below({path: data for path, data in proxy.files.items() if path.startswith("model/")}, "model")
        )
        local_path(proxy.uri("large/0"))


@pytest.mark.faults
@pytest.mark.skipif(not ROOT, reason="mounting a small disk needs root")
def test_a_disk_that_is_full_at_any_step_is_a_clear_error(
    proxy: Proxy, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0
    for pages in range(0, 30, 1 if FULL else 3):
        with small_disk(tmp_path / str(pages)) as disk:
            monkeypatch.setenv("PACK_CACHE_DIR", str(disk))
            free = os.statvfs(disk)
            (disk / "filler").write_bytes(bytes((free.f_bavail - pages) * free.f_frsize))
            try:
                local_path(model)
            except StorageFailed as error:
                refused += "No space left" in str(error)
                assert not list(disk.glob("*/sources/*/*/record.json"))
            (disk / "filler").unlink()
            assert contents(local_path(model)) == below(proxy.files, "model")
            assert leftovers() == []
    assert refused


@pytest.mark.faults
@pytest.mark.skipif(not ROOT, reason="mounting a small disk needs root")
def test_a_disk_that_may_not_be_written_is_a_clear_error(
    proxy: Proxy, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        monkeypatch.setenv("PACK_CACHE_DIR", str(disk / "cache"))
        with pytest.raises(StorageFailed, match="Read-only file system") as error:
            local_path(model)
        assert "PACK_CACHE_DIR" in (error.value.hint or "")


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_everything_is_private_whatever_the_umask(proxy: Proxy, model: str, tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        local_path(model)
    finally:
        os.umask(before)
    for path in [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]:
        assert path.stat().st_mode & 0o7777 == (0o700 if path.is_dir() else 0o600), path
        assert path.stat().st_uid == os.getuid()


def test_a_folder_that_others_can_read_is_made_private(model: str, tmp_path: Path) -> None:
    (tmp_path / "cache" / "artifacts-v1").mkdir(parents=True)
    (tmp_path / "cache" / "artifacts-v1").chmod(0o777)
    local_path(model)
    assert (tmp_path / "cache" / "artifacts-v1").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not ROOT, reason="giving a folder away needs root")
def test_a_folder_of_another_user_is_refused(model: str, tmp_path: Path) -> None:
    (tmp_path / "cache" / "artifacts-v1").mkdir(parents=True)
    os.chown(tmp_path / "cache" / "artifacts-v1", 12345, 12345)
    with pytest.raises(StorageFailed, match="another user"):
        local_path(model)


def test_a_file_in_the_place_of_the_cache_is_a_clear_error(model: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    with pytest.raises(StorageFailed, match="cannot be used"):
        local_path(model)


def test_the_usual_place_is_this_users_folder_of_caches(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PACK_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert local_path(model).is_relative_to(tmp_path / "xdg" / "pack-models" / "artifacts-v1")


@pytest.mark.parametrize("links", [True, False])
def test_a_disk_without_second_names_keeps_copies(
    proxy: Proxy, model: str, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = local_path(model)
    assert (path / "data" / "a.bin").samefile(path / "data" / "b.bin") is links
    assert local_path(model) == path
    assert proxy.fetched == sorted(proxy.files)
    assert contents(path) == below(proxy.files, "model")
    assert cache.usage() == 10_000 + len(proxy.files["model/MLmodel"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are always UTF-8")
def test_a_name_that_this_system_cannot_write_is_a_clear_error(proxy: Proxy) -> None:
    proxy.files["é.txt"] = b"x"
    world = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    script = f"import pack.artifacts as a; print(a.local_path({proxy.uri()!r} + chr(233) + '.txt'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=world, check=False)
    assert "cannot be a file name here: file names are ascii" in done.stderr
