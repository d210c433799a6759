"""An image of a model without a daemon: what is in it, the same digests each time, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.errors import Damaged, InvalidState, InvalidValue, MissingPackage
from pack.images.oci.bases import open_base
from pack.images.oci.blobs import as_object
from pack.images.oci.kept import Shelf
from pack.images.oci.verb import Built, build_image
from pack.mlmodel import digests
from tests import models
from tests.images.bases import ARM64, blob_path, digest_of, layout, root_file_system, root_files, tar_of
from tests.images.plans import small_plan
from tests.images.test_oci_layers import opened
from tests.images.wheels import lock_of, wheel

SITE = "opt/pack/lib/python3.11/site-packages"


def build(output: str = "oci:lay", *, name: str = "churn:3", **changes: Any) -> Built:
    return build_image(small_plan(**changes), output, name=name)


def document(built: Built, digest: str) -> dict[str, Any]:
    return as_object(blob_path(Path("lay"), digest).read_bytes(), digest)


def files_of(place: str) -> dict[str, str]:
    """Every file that the layers of ours hold: its mode and the digest of its bytes."""
    base = open_base(place, platform="linux/amd64", python="3.11", kept=Shelf(Path("kept")))
    found = {}
    for layer in base.layers[1:]:
        archive = opened(layer)
        for member in archive:
            data = archive.extractfile(member) if member.isreg() else None
            found[member.name] = f"{member.mode:o} {digest_of(data.read()) if data else member.linkname}"
    return found


def test_an_image_holds_the_packages_pack_and_the_model() -> None:
    build()
    files = files_of("oci:lay")
    assert {f"{SITE}/tiny/__init__.py", f"{SITE}/pack/__init__.py", "opt/pack/bom.json"} <= files.keys()
    for name, digest in digests.check(Path("model")).files.items():
        assert files[f"opt/ml/model/{name}"] == f"644 sha256:{digest}"
    assert not [name for name in files if name.endswith(".wh.")]


def test_the_layers_stand_in_the_order_in_which_they_change() -> None:
    built = build()
    assert [part.what for part in built.layers] == ["dependencies", "pack", "weights", "model", "bill of materials"]
    manifest = document(built, built.digest)
    assert [layer["annotations"]["io.pack.layer"] for layer in manifest["layers"][1:]] == [
        part.what for part in built.layers
    ]
    assert [layer["digest"] for layer in manifest["layers"][1:]] == [part.digest for part in built.layers]


def test_the_configuration_says_how_a_container_runs() -> None:
    built = build()
    config = document(built, built.image_id)["config"]
    assert config["Entrypoint"] == ["/opt/pack/bin/python", "-m", "pack", "container"]
    assert config["User"] == "10001:10001"
    assert "PATH=/opt/pack/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in config["Env"]
    assert config["Labels"]["io.pack.model.digest"] == f"sha256:{digests.check(Path('model')).digest}"
    assert config["Labels"]["org.opencontainers.image.base.name"] == "root.tar"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "/opt/pack/bin/python"]
    assert config["ExposedPorts"] == {"8080/tcp": {}}


def test_two_builds_give_the_same_digests_in_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build("oci:lay")
    monkeypatch.setenv("PACK_CACHE_DIR", str(Path("another").absolute()))
    shutil.copytree("model", "elsewhere/model")
    shutil.rmtree("model")
    shutil.copytree("elsewhere/model", "model")
    second, third = build("oci:other"), build("image.tar")
    assert first.digest == second.digest == third.digest
    assert Path("lay/index.json").read_bytes() == Path("other/index.json").read_bytes()
    build("again.tar")
    assert Path("image.tar").read_bytes() == Path("again.tar").read_bytes()


def test_nothing_says_where_the_image_was_made() -> None:
    build()
    config = next(path for path in Path("lay/blobs/sha256").iterdir() if b"Entrypoint" in path.read_bytes())
    assert str(Path.cwd()).encode() not in config.read_bytes()
    assert str(Path.cwd()).encode() not in Path("lay/index.json").read_bytes()


def test_new_weights_leave_every_other_layer() -> None:
    before = build()
    shutil.rmtree("model")
    pack.save_model(models.wide_pipeline(), "model")
    after = build()
    same = {part.what for part in before.layers} & {
        one.what for one, other in zip(before.layers, after.layers, strict=True) if one.digest == other.digest
    }
    assert same == {"dependencies", "pack", "bill of materials"}
    assert [part.kept for part in after.layers[:2]] == [True, True]


def test_the_time_of_making_can_be_given_and_changes_no_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    after = build()
    assert [part.digest for part in before.layers] == [part.digest for part in after.layers]
    assert document(after, after.image_id)["created"] == "2023-11-14T22:13:20Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidValue, match="SOURCE_DATE_EPOCH"):
        build()


def test_an_image_for_another_machine_is_made_on_this_one() -> None:
    root_file_system(Path("arm.tar"), machine=ARM64)
    pin = wheel(Path("wheels"), tag="cp311-cp311-manylinux_2_17_aarch64")
    lock = lock_of(pin, platform="linux/arm64")
    built = build(base="arm.tar", lock=lock, target=lock.target)
    assert built.platform == "linux/arm64"
    (top,) = json.loads(Path("lay/index.json").read_bytes())["manifests"]
    assert top["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v8"}


def test_a_base_that_is_an_image_keeps_what_it_says() -> None:
    layout(Path("base"), tar_of(root_files()), Env=["PATH=/opt/x:/usr/bin", "LANG=C.UTF-8"], Cmd=["bash"])
    built = build(base="oci:base")
    config = document(built, built.image_id)["config"]
    assert config["Env"][:2] == ["PATH=/opt/pack/bin:/opt/x:/usr/bin", "LANG=C.UTF-8"]
    assert "Cmd" not in config


def test_a_pinned_base_that_was_changed_is_refused() -> None:
    with pytest.raises(Damaged, match="0000"):
        build(base=f"root.tar@sha256:{'0' * 64}")
    with pytest.raises(Damaged, match="0000"):
        build(base="root.tar", base_digest=f"sha256:{'0' * 64}")
    assert not Path("lay/index.json").exists()


def test_packages_of_the_system_need_another_way() -> None:
    with pytest.raises(InvalidState, match="libgomp1") as caught:
        build(system_packages=("libgomp1",))
    assert "pack build-docker" in str(caught.value)


@pytest.mark.parametrize("name", ["curl; id", "-o x", "libgomp*", "libgomp1=1.0", "$(id)", "", "A"])
def test_a_system_package_is_a_plain_name(name: str) -> None:
    with pytest.raises(InvalidValue, match="system package"):
        small_plan(system_packages=(name,))


def test_a_model_that_changes_after_it_was_verified_is_refused() -> None:
    plan = small_plan()
    weights = next(iter(plan.weights.values()))
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(Damaged, match="changed between being verified"):
        build_image(plan, "oci:lay", name="churn:3")


def test_without_uv_the_install_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(MissingPackage) as caught:
        build()
    assert "pip install" in str(caught.value)
    assert not Path("lay/index.json").exists()


@pytest.mark.parametrize("name", ["x; id", "-t", "--build-arg=a", "UPPER", "a" * 600, "", "a b", "a\nb", "a:b:c"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        build(name=name)
    assert not Path("lay").exists()


def test_builds_at_once_into_one_layout_are_all_in_it() -> None:
    plan = small_plan()
    failed: list[BaseException] = []

    def one(tag: str) -> None:
        try:
            build_image(plan, "oci:lay", name=f"churn:{tag}")
        except BaseException as error:  # noqa: BLE001 - said by the test
            failed.append(error)

    threads = [threading.Thread(target=one, args=(tag,)) for tag in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    tops = json.loads(Path("lay/index.json").read_bytes())["manifests"]
    assert {top["annotations"]["org.opencontainers.image.ref.name"] for top in tops} == set("abcd")


@pytest.mark.parametrize("place", ["oci:lay:3", "oci-archive:image.tar:3", "docker-archive:image.tar"])
def test_skopeo_reads_and_copies_what_was_made(place: str) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("no skopeo here: apt-get install skopeo")
    built = build("oci:lay" if place.startswith("oci:") else "image.tar")
    run = ["skopeo", "inspect", "--config", place]
    config = json.loads(subprocess.run(run, check=True, capture_output=True).stdout)
    assert config["config"]["Entrypoint"] == ["/opt/pack/bin/python", "-m", "pack", "container"]
    subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", place, "dir:copy"], check=True)
    for part in built.layers:
        assert {part.digest[7:], part.diff_id[7:]} & {path.name for path in Path("copy").iterdir()}


def test_umoci_unpacks_what_was_made() -> None:
    if shutil.which("umoci") is None:
        pytest.skip("no umoci here: apt-get install umoci")
    build()
    subprocess.run(["umoci", "unpack", "--rootless", "--image", "lay:3", "bundle"], check=True, capture_output=True)
    root = Path("bundle/rootfs")
    for name, digest in digests.check(Path("model")).files.items():
        assert digest_of((root / "opt/ml/model" / name).read_bytes()) == f"sha256:{digest}"
    assert (root / "opt/pack/bin/python").readlink() == Path("/usr/bin/python3.11")
