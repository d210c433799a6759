"""Where images go: the whole image or none of it, and nothing that is there already written again."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pack.errors import Damaged, InvalidState, InvalidValue, StorageFailed
from pack.images.oci import bases, blobs, documents, outputs, references, tars
from pack.images.oci.blobs import Blob
from pack.images.oci.kept import Shelf
from pack.images.oci.outputs import Image
from tests.images.bases import blob as put_blob
from tests.images.bases import blob_path, digest_of, root_file_system

RUNNING = documents.Running(
    entrypoint=["/opt/pack/bin/python", "-m", "pack", "container"],
    variables={"PATH": "/opt/pack/bin:/usr/bin"},
    user="10001:10001",
    workdir="/",
    port=8080,
    labels={"io.pack.model.name": "churn"},
    healthcheck={"Test": ["CMD", "true"]},
)


def small_image(text: str = "hello", *, name: str = "churn:1") -> Image:
    """A base and one layer with one file."""
    base = bases.open_base(
        str(root_file_system(Path("root.tar"))), platform="linux/amd64", python="3.11", kept=Shelf(Path("k"))
    )
    blob = blobs.of_bytes(b"".join(tars.tar([tars.Entry("opt/x", text.encode())], time=0)), blobs.TAR)
    added = [documents.Added(blobs.Layer(blob, blob.digest), "test", {"io.pack.layer": "weights"})]
    config = documents.configuration(base, added, RUNNING, time=0)
    manifest = documents.manifest(base, added, config, annotations={})
    named = references.parse(name)
    found = documents.listed(manifest, name=named, config=config.document())
    return Image(named, (base.layers[0].blob, blob), config, manifest, found)


def write(image: Image, to: str) -> list[str]:
    """Put an image somewhere; the digests of the blobs that were written for it."""
    with outputs.open_output(to, time=0) as output:
        written = [blob for blob in image.blobs if not output.has(blob)]
        for blob in written:
            output.put(blob)
        output.finish(image)
    return [blob.digest for blob in written]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_layout_holds_the_image_and_nothing_else() -> None:
    image = small_image()
    write(image, "oci:lay")
    assert names(Path("lay")) == {blob.digest[7:] for blob in image.blobs} | {"index.json", "oci-layout"}
    for blob in image.blobs:
        assert digest_of(blob_path(Path("lay"), blob.digest).read_bytes()) == blob.digest
    (top,) = json.loads(Path("lay/index.json").read_bytes())["manifests"]
    assert top["annotations"]["org.opencontainers.image.ref.name"] == "1"
    assert top["platform"] == {"architecture": "amd64", "os": "linux"}


def test_two_images_give_the_same_bytes_wherever_they_are_made() -> None:
    write(small_image(), "oci:one")
    write(small_image(), "oci:two")
    write(small_image(), "one.tar")
    write(small_image(), "two.tar")
    assert Path("one/index.json").read_bytes() == Path("two/index.json").read_bytes()
    assert digest_of(Path("one.tar").read_bytes()) == digest_of(Path("two.tar").read_bytes())


def test_what_is_there_is_not_written_again_and_what_is_damaged_is() -> None:
    write(small_image(), "oci:lay")
    changed = small_image("other")
    assert set(write(changed, "oci:lay")) == {changed.layers[1].digest, changed.config.digest, changed.manifest.digest}
    path = blob_path(Path("lay"), changed.layers[0].digest)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert write(changed, "oci:lay") == [changed.layers[0].digest]


def test_an_image_of_the_same_name_gives_way_with_what_only_it_used() -> None:
    first, second = small_image("first"), small_image("second", name="churn:2")
    write(first, "oci:lay")
    write(second, "oci:lay")
    third = small_image("third", name="churn:2")
    write(third, "oci:lay")
    assert names(Path("lay")) - {"index.json", "oci-layout"} == {
        blob.digest[7:] for blob in (*first.blobs, *third.blobs)
    }


def test_an_archive_has_the_list_that_older_dockers_look_for() -> None:
    image = small_image()
    write(image, "out/image.tar")
    with tarfile.open("out/image.tar") as archive:
        (listed,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert listed["RepoTags"] == ["churn:1"]
        for name in (listed["Config"], *listed["Layers"]):
            member = archive.extractfile(name)
            assert member is not None
            assert digest_of(member.read())[7:] == Path(name).name
        assert {(entry.mtime, entry.uid, entry.mode) for entry in archive} == {(0, 0, 0o644)}
    assert [path.name for path in Path("out").iterdir()] == ["image.tar"]


def failing(image: Image, error: BaseException) -> Image:
    """The same image with a layer that cannot be read to its end."""

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise error

    last = image.layers[-1]
    return replace(image, layers=(*image.layers[:-1], Blob(last.media_type, last.digest, last.size, chunks)))


@pytest.mark.parametrize("to", ["oci:out/lay", "out/image.tar"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_breaks_off_leaves_what_was_there(to: str, error: BaseException) -> None:
    write(small_image("before"), to)
    before = Path("out/lay/index.json" if to.startswith("oci:") else "out/image.tar").read_bytes()
    with pytest.raises((KeyboardInterrupt, StorageFailed)):
        write(failing(small_image("after"), error), to)
    assert not [name for name in names(Path("out")) if name.startswith(".")]
    after = Path("out/lay/index.json" if to.startswith("oci:") else "out/image.tar").read_bytes()
    assert before == after


@pytest.mark.parametrize("to", ["oci:lay", "image.tar"])
def test_what_a_killed_build_left_is_swept(to: str) -> None:
    code = (
        "import os, signal, sys\n"
        "from pack.images.oci import outputs\n"
        "from pack.images.oci.blobs import Blob\n"
        "def chunks():\n"
        "    yield b'x'\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "with outputs.open_output(sys.argv[1], time=0) as output:\n"
        "    output.put(Blob('x', 'sha256:' + '0' * 64, 9, chunks))\n"
    )
    subprocess.run([sys.executable, "-c", code, to], check=False)
    place = Path("lay") if to.startswith("oci:") else Path()
    assert [name for name in names(place) if name.startswith(".")]
    assert not Path("lay/index.json").exists()
    write(small_image(), to)
    assert not [name for name in names(place) if name.startswith(".")]


def test_a_blob_that_changes_on_the_way_is_no_image() -> None:
    image = small_image()
    last = image.layers[-1]
    wrong = replace(
        image, layers=(image.layers[0], Blob(last.media_type, last.digest, last.size, lambda: iter((b"x",))))
    )
    for to in ("oci:lay", "image.tar"):
        with pytest.raises(Damaged):
            write(wrong, to)
    assert not Path("lay/index.json").exists()
    assert not Path("image.tar").exists()


def test_a_folder_or_a_file_of_something_else_is_left_alone() -> None:
    Path("full").mkdir()
    Path("full/letter.txt").write_text("dear", encoding="utf-8")
    Path("a.tar").mkdir()
    for to in ("oci:full", "oci:full/letter.txt", "a.tar"):
        with pytest.raises(InvalidState):
            write(small_image(), to)
    assert names(Path("full")) == {"letter.txt"}


@pytest.mark.parametrize(
    "to",
    [
        "churn",
        "me/churn",
        "-t",
        "",
        "x; id",
        "UPPER/x:1",
        "host.example/a@sha256:" + "0" * 64,
        "host.example/" + "a" * 600,
    ],
)
def test_an_output_that_may_mean_something_else_is_refused(to: str) -> None:
    with pytest.raises(InvalidValue):
        write(small_image(), to)


def test_a_hostile_index_in_the_folder_removes_nothing() -> None:
    Path("keep").write_text("k", encoding="utf-8")
    write(small_image(), "oci:lay")
    index = json.loads(Path("lay/index.json").read_bytes())
    index["manifests"][0]["digest"] = "sha256:../../../keep"
    Path("lay/index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(InvalidValue):
        write(small_image("other"), "oci:lay")
    assert Path("keep").exists()


def test_a_layer_larger_than_the_memory_it_may_take_is_written_piece_by_piece() -> None:
    code = (
        "import hashlib\n"
        "from pathlib import Path\n"
        "from pack.images.oci import blobs, outputs, tars\n"
        "with open('weights', 'wb') as file: file.truncate(600 << 20)\n"
        "made = lambda: tars.tar([tars.Entry('w', Path('weights'))], time=0)\n"
        "digest, size = blobs.measured(made())\n"
        "with outputs.open_output('image.tar', time=0) as output:\n"
        "    output.put(blobs.Blob(blobs.TAR, digest, size, made))\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )  # of this process alone: ru_maxrss also counts what its parent had, before it became another program
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 150_000


def test_the_documents_lay_ours_over_those_of_the_base() -> None:
    base = bases.open_base(
        str(root_file_system(Path("root.tar"))), platform="linux/amd64", python="3.11", kept=Shelf(Path("k"))
    )
    below = {
        "Env": ["LANG=C", "PATH=/bin"],
        "Cmd": ["sh"],
        "Entrypoint": ["x"],
        "Labels": {"a": "b"},
        "Volumes": {"/v": {}},
    }
    base = replace(base, config={**base.config, "config": below})
    config = documents.configuration(base, [], RUNNING, time=0).document()
    assert config["config"]["Env"] == ["LANG=C", "PATH=/opt/pack/bin:/usr/bin"]
    assert config["config"]["Labels"] == {"a": "b", "io.pack.model.name": "churn"}
    assert "Cmd" not in config["config"]
    assert config["config"]["Volumes"] == {"/v": {}}
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == 1


def test_blobs_put_by_others_stay() -> None:
    write(small_image(), "oci:lay")
    mine = put_blob(Path("lay"), b"mine", "x")
    write(small_image("other"), "oci:lay")
    assert blob_path(Path("lay"), mine["digest"]).exists()
