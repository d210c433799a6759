"""Bases of images: every kind of place, every digest compared, the Python found without unpacking anything."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pack.errors import Damaged, InvalidState, InvalidValue, NotFound, PackError
from pack.images.oci.bases import Base, open_base
from pack.images.oci.kept import Shelf
from tests.images.bases import (
    ARM64,
    archive_of,
    blob,
    blob_path,
    digest_of,
    layout,
    program,
    root_file_system,
    root_files,
    saved,
    tar_of,
)

ROOT = tar_of(root_files())


def opened(text: str | Path, *, platform: str = "linux/amd64", python: str = "3.11") -> Base:
    return open_base(str(text), platform=platform, python=python, kept=Shelf(Path("kept")))


def test_a_root_file_system_is_a_base_of_one_layer() -> None:
    base = opened(root_file_system(Path("root.tar")))
    assert base.python.path == "/usr/bin/python3.11"
    assert [layer.diff_id for layer in base.layers] == [digest_of(ROOT)]
    assert base.config["architecture"] == "amd64"


def test_a_zipped_root_file_system_stays_as_it_is() -> None:
    Path("root.tar.gz").write_bytes(gzip.compress(ROOT, mtime=0))
    (layer,) = opened("root.tar.gz").layers
    assert (layer.blob.digest, layer.diff_id) == (digest_of(gzip.compress(ROOT, mtime=0)), digest_of(ROOT))


@pytest.mark.parametrize(
    ("path", "compiles"),
    [
        ("usr/bin/x86_64-linux-gnu-gcc-12", True),
        ("usr/bin/cc", True),
        ("usr/bin/clang-16", True),
        ("usr/bin/gcc-ar", False),
        ("usr/bin/acc", False),
        ("usr/share/cc", False),
    ],
)
def test_a_compiler_is_noticed_and_that_it_is_gone(path: str, compiles: bool) -> None:
    layout(Path("lay"), ROOT, tar_of({path: b""}))
    assert opened("oci:lay").python.compiler is compiles
    folder, _, name = path.rpartition("/")
    layout(Path("without"), ROOT, tar_of({path: b""}), tar_of({f"{folder}/.wh.{name}": b""}))
    assert not opened("oci:without").python.compiler


@pytest.mark.parametrize("zipped", [True, False])
def test_a_layout_is_a_base_in_a_folder_and_in_an_archive(zipped: bool) -> None:
    digest = layout(Path("lay"), ROOT, zipped=zipped)
    archive_of(Path("lay"), Path("lay.tar"))
    for place in ("oci:lay", "lay.tar", f"oci:lay@{digest}", f"lay.tar@{digest}"):
        base = opened(place)
        assert (base.digest, base.python.path) == (digest, "/usr/bin/python3.11")
        assert b"".join(base.layers[0].blob.checked())


def test_what_docker_save_writes_is_a_base_and_its_digest_the_image_id() -> None:
    image_id = saved(Path("saved.tar"), ROOT, tar_of({"etc/more": b"1"}))
    base = opened(f"saved.tar@{image_id}")
    assert len(base.layers) == 2
    assert b"".join(base.layers[0].blob.checked()) == ROOT


def test_of_an_index_the_image_of_the_platform_is_taken() -> None:
    home = Path("lay")
    layout(home, tar_of(root_files(ARM64)), machine="arm64")
    arm = json.loads((home / "index.json").read_bytes())["manifests"]
    layout(home, ROOT)
    amd = json.loads((home / "index.json").read_bytes())["manifests"]
    both = [
        {**arm[0], "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {**amd[0], "platform": {"os": "linux", "architecture": "amd64"}},
        {**amd[0], "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": both}).encode()
    top = blob(home, index, "application/vnd.oci.image.index.v1+json")
    (home / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}), encoding="utf-8")
    assert opened("oci:lay", platform="linux/arm64").digest == arm[0]["digest"]
    assert opened(f"oci:lay@{top['digest']}").digest == amd[0]["digest"]


def test_a_layer_above_hides_what_lies_below() -> None:
    gone = tar_of({"usr/bin/.wh.python3.11": b""})
    layout(Path("lay"), ROOT, gone, tar_of({"opt/py/bin/python3.11": program()}), Env=["PATH=/usr/bin:/opt/py/bin"])
    assert opened("oci:lay").python.path == "/opt/py/bin/python3.11"
    layout(Path("bare"), ROOT, tar_of({"usr/.wh..wh..opq": b""}))
    with pytest.raises(InvalidState, match=r"no Python 3\.11: it has none"):
        opened("oci:bare")


def test_links_that_lead_in_a_circle_lead_nowhere() -> None:
    layout(Path("lay"), tar_of({"usr/bin/python3": "python3.11", "usr/bin/python3.11": "../bin/python3"}))
    with pytest.raises(InvalidState, match="it has none"):
        opened("oci:lay")


def test_another_version_of_python_is_named() -> None:
    root_file_system(Path("root.tar"), python="3.12")
    with pytest.raises(InvalidState, match=r"no Python 3\.11: it has /usr/bin/python3\.12"):
        opened("root.tar")


def test_a_base_for_another_machine_is_refused() -> None:
    root_file_system(Path("root.tar"), machine=ARM64)
    with pytest.raises(InvalidState, match="is for arm64, and the image for amd64"):
        opened("root.tar")
    layout(Path("lay"), ROOT, machine="arm64")
    with pytest.raises(InvalidState, match="'linux/arm64', and the image for linux/amd64"):
        opened("oci:lay")


@pytest.mark.parametrize("which", ["config", "layers"])
def test_a_blob_with_other_bytes_than_its_digest_is_refused(which: str) -> None:
    home = Path("lay")
    manifest = json.loads(blob_path(home, layout(home, ROOT, zipped=False)).read_bytes())
    found = manifest[which] if which == "config" else manifest[which][0]
    path = blob_path(home, found["digest"])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Damaged, match=found["digest"]):
        opened("oci:lay")


def test_a_layer_that_unpacks_to_something_else_is_refused() -> None:
    home = Path("lay")
    manifest = json.loads(blob_path(home, layout(home, ROOT)).read_bytes())
    manifest["layers"] = [
        blob(home, gzip.compress(tar_of(root_files() | {"x": b""})), manifest["layers"][0]["mediaType"])
    ]
    top = blob(home, json.dumps(manifest).encode(), manifest["mediaType"])
    (home / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}), encoding="utf-8")
    with pytest.raises(Damaged, match="unpacks to other bytes"):
        opened("oci:lay")


@pytest.mark.parametrize("place", ["oci:lay", "lay.tar", "saved.tar", "root.tar"])
def test_a_base_that_is_not_the_pinned_one_is_refused(place: str) -> None:
    layout(Path("lay"), ROOT)
    archive_of(Path("lay"), Path("lay.tar"))
    saved(Path("saved.tar"), ROOT)
    root_file_system(Path("root.tar"))
    with pytest.raises(Damaged, match="0000"):
        opened(f"{place}@sha256:{'0' * 64}")


HOSTILE: dict[str, Any] = {
    "a digest that is a path": {"digest": "sha256:../../secret", "size": 1, "mediaType": "x"},
    "no digest": {"size": 1, "mediaType": "x"},
    "a size below nothing": {"digest": f"sha256:{'0' * 64}", "size": -1, "mediaType": "x"},
    "a layer elsewhere": {"digest": f"sha256:{'0' * 64}", "size": 1, "mediaType": "application/x-foreign"},
    "a text": "x",
}


@pytest.mark.parametrize("layer", HOSTILE.values(), ids=HOSTILE)
def test_a_manifest_that_is_none_is_refused(layer: Any) -> None:
    home = Path("lay")
    manifest = json.loads(blob_path(home, layout(home, ROOT)).read_bytes())
    top = blob(home, json.dumps({**manifest, "layers": [layer]}).encode(), manifest["mediaType"])
    (home / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}), encoding="utf-8")
    Path("secret").write_text("s", encoding="utf-8")
    with pytest.raises(PackError) as caught:
        opened("oci:lay")
    assert isinstance(caught.value, (InvalidValue, NotFound))


@pytest.mark.parametrize("text", ["[]", "{", '{"manifests": 1}', "[" * 100_000])
def test_an_index_that_is_none_is_refused(text: str) -> None:
    layout(Path("lay"), ROOT)
    Path("lay/index.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidValue):
        opened("oci:lay")


def test_names_in_an_archive_never_lead_out_of_it() -> None:
    Path("secret").write_bytes(ROOT)
    listed = [{"Config": "../secret", "Layers": ["../secret"]}]
    link: dict[str, bytes | str] = {"c.json": "../../etc/passwd"}
    link |= {"manifest.json": json.dumps([{"Config": "c.json", "Layers": []}]).encode()}
    Path("a.tar").write_bytes(tar_of({"manifest.json": json.dumps(listed).encode()}))
    Path("b.tar").write_bytes(tar_of(link))
    for place in ("a.tar", "b.tar"):
        with pytest.raises(NotFound, match="has no file"):
            opened(place)


@pytest.mark.parametrize("place", ["oci:none", "none.tar", "oci:", "@", "UPPER/x", "-t", "a b", "x\ny"])
def test_a_place_where_nothing_is_says_what_a_base_can_be(place: str) -> None:
    with pytest.raises(PackError) as caught:
        opened(place)
    assert caught.value.hint
