"""Model directories that strangers wrote: nothing of them runs, and nothing outside them is read."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import pack
from pack.errors import InvalidValue, NotFound, PackError, Untrusted
from pack.mlmodel import Model
from pack.trust import Policy, admit, payloads
from tests import models

CANARY = "canary-was-here"
GADGETS = [
    "builtins eval", "builtins exec", "builtins getattr", "builtins __import__", "builtins open", "builtins compile",
    "__builtin__ eval", "os system", "os popen", "os execv", "os spawnl", "os remove", "posix system", "posix popen",
    "nt system", "subprocess Popen", "subprocess run", "subprocess call", "subprocess check_output",
    "subprocess getoutput", "runpy run_path", "runpy _run_code", "pty spawn", "pip main", "pip._internal main",
    "operator methodcaller", "operator attrgetter", "operator itemgetter", "_operator methodcaller",
    "functools partial", "functools reduce", "pkgutil resolve_name", "pkgutil get_data", "importlib import_module",
    "importlib.util spec_from_file_location", "ctypes CDLL", "ctypes.util find_library", "cProfile run",
    "profile run", "timeit timeit", "timeit main", "pdb run", "pdb runeval", "bdb Bdb", "doctest debug_script",
    "code InteractiveInterpreter", "codeop compile_command", "uuid _get_command_stdout",
    "_osx_support _find_build_tool",
    "_pyrepl.pager pipe_pager", "pydoc pipepager", "imaplib IMAP4_stream", "numpy.f2py.crackfortran getlincoef",
    "numpy.f2py.diagnose run_command", "numpy.testing._private.utils runstring",
    "numpy.distutils.exec_command exec_command",
    "torch.utils.collect_env run", "torch.jit.unsupported_tensor_ops execWrapper", "torch.serialization load",
    "torch.hub load", "cloudpickle.cloudpickle _make_function", "types CodeType", "types FunctionType",
    "logging FileHandler", "logging.config dictConfig", "_io FileIO", "io open", "linecache getlines",
    "ssl get_server_certificate", "webbrowser open", "asyncio.unix_events _UnixSubprocessTransport",
    "aiohttp ClientSession", "urllib.request urlopen", "socket create_connection", "shutil rmtree", "tempfile mkstemp",
    "pickle loads", "_pickle loads", "marshal loads", "dill loads", "joblib load", "site main", "venv create",
    "ensurepip bootstrap", "distutils.file_util write_file", "setuptools.sandbox run_setup",
    "multiprocessing.util spawnv_passfds",
    "concurrent.futures.process ProcessPoolExecutor", "sys setprofile", "threading Thread", "atexit register",
    "bokeh.command.bootstrap main", "IPython.utils.py3compat execfile", "pandas.io.pickle read_pickle",
    "sklearn.externals.joblib load", "lib2to3.pgen2.pgen ParserGenerator", "idlelib.run Executive", "trace Trace",
]  # fmt: skip


class Boom:
    """Touches a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {CANARY}",)


def hostile(home: Path, payload: bytes, **changes: Any) -> Path:
    """A model directory as a stranger would write it: a pickle, and whatever the MLmodel file claims."""
    home.mkdir()
    (home / "model.pkl").write_bytes(payload)
    flavors = {
        "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", "python_version": "3.11.0"},
        "sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "sklearn_version": "1.9.1"},
    }
    model: dict[str, Any] = {"flavors": flavors, "utc_time_created": "2026-01-01 00:00:00", **changes}
    (home / "MLmodel").write_text(yaml.safe_dump(model), encoding="utf-8")
    return home


def refused(home: Path, *, load: Callable[..., Any] | None = None) -> PackError:
    """The refusal of a load, after which no canary exists."""
    with pytest.raises(PackError) as error:
        (load or pack.pyfunc.load_model)(home)
    assert not Path(CANARY).exists()
    return error.value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("load", [pack.pyfunc.load_model, pack.load_model, pack.sklearn.load_model])
def test_a_pickle_of_a_stranger_is_refused_before_its_first_opcode(tmp_path: Path, protocol: int, load: Any) -> None:
    home = hostile(tmp_path / "model", pickle.dumps(Boom(), protocol))
    assert isinstance(refused(home, load=load), Untrusted)


@pytest.mark.parametrize("gadget", GADGETS)
def test_no_gadget_runs(tmp_path: Path, gadget: str) -> None:
    module, name = gadget.split()
    call = f"c{module}\n{name}\n(S'touch {CANARY}'\ntR.".encode()
    frame = b"\x80\x04" + b"".join(b"\x8c" + struct.pack("B", len(text)) + text.encode() for text in (module, name))
    stacked = (
        frame + b"\x93(" + b"\x8c" + struct.pack("B", len(f"touch {CANARY}")) + f"touch {CANARY}".encode() + b"tR."
    )
    instance = f"(S'touch {CANARY}'\ni{module}\n{name}\n.".encode()
    for number, payload in enumerate((call, stacked, instance)):
        assert isinstance(refused(hostile(tmp_path / f"model{number}", payload)), Untrusted)
        assert (module, name) in payloads.pickle_names(payload)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda evil: b"\x80\x05" + evil,
        lambda evil: evil + evil,
        lambda evil: pickle.dumps(1) + evil,
        lambda evil: evil[:-1],
        lambda evil: evil + b"\xff" * 100,
        lambda evil: b"PK\x07\x08" + evil,
        lambda evil: b"",
    ],
)
def test_a_disguised_pickle_is_refused_too(tmp_path: Path, disguise: Callable[[bytes], bytes]) -> None:
    assert isinstance(refused(hostile(tmp_path / "model", disguise(pickle.dumps(Boom(), 0)))), Untrusted)


@pytest.mark.parametrize("claim", ["trusted_types", "allow_pickle", "weights_only", "trust_remote_code", "trust"])
def test_a_model_never_carries_its_own_permissions(tmp_path: Path, claim: str) -> None:
    home = hostile(tmp_path / "model", pickle.dumps(Boom()), **{claim: True})
    data = yaml.safe_load((home / "MLmodel").read_text(encoding="utf-8"))
    for block in data["flavors"].values():
        block |= {claim: True, "skops_trusted_types": ["posix.system"], "policy": "trusted"}
    (home / "MLmodel").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert isinstance(refused(home), Untrusted)


@pytest.mark.parametrize(
    "loader", ["os", "subprocess", "../evil", "evil", "not.there.at.all", "x" * 10_000, "mlflow.evil"]
)
def test_a_loader_module_of_a_stranger_is_not_imported(tmp_path: Path, loader: str) -> None:
    home = hostile(tmp_path / "model", b"")
    (home / "code").mkdir()
    (home / "code" / "evil.py").write_text(f"open({str(tmp_path / CANARY)!r}, 'w')", encoding="utf-8")
    block = {"loader_module": loader, "code": "code"}
    (home / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": block}}), encoding="utf-8")
    refused(home)
    assert not (tmp_path / CANARY).exists()


def test_a_script_of_a_stranger_is_run_by_nothing(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from pack.cli import main

    home = tmp_path / "model"
    home.mkdir()
    (home / "model.py").write_text(f"open({str(tmp_path / CANARY)!r}, 'w')", encoding="utf-8")
    block = {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": "/elsewhere/model.py"}
    (home / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": block}}), encoding="utf-8")
    assert isinstance(refused(home), Untrusted)
    for command in ("inspect", "verify"):
        for arguments in ([], ["--json"]):
            CliRunner().invoke(main, [command, "-m", str(home), *arguments], env={"PACK_TRUST": "all"})
    assert not (tmp_path / CANARY).exists()


@pytest.mark.parametrize("key", ["model_path", "pickled_model"])
@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "file:///etc/passwd", "a/../../secret", "link", ".."])
def test_a_path_that_leaves_the_model_is_refused_in_every_mode(tmp_path: Path, key: str, path: str) -> None:
    (tmp_path / "secret").write_bytes(pickle.dumps("the secret"))
    home = hostile(tmp_path / "model", pickle.dumps(1))
    data = yaml.safe_load((home / "MLmodel").read_text(encoding="utf-8"))
    data["flavors"]["sklearn"]["pickled_model"] = path
    data["flavors"]["python_function"][key] = path
    (home / "MLmodel").write_text(yaml.safe_dump(data), encoding="utf-8")
    if path == "link":
        (home / "link").symlink_to(tmp_path / "secret")
    refused(home, load=lambda home: pack.pyfunc.load_model(home, trust=True))


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret", "%2e%2e/secret"])
def test_an_artifact_path_that_leaves_the_model_is_refused_in_every_mode(tmp_path: Path, path: str) -> None:
    pack.pyfunc.save_model(tmp_path / "model", python_model=lambda model_input: model_input)
    model = Model.load(tmp_path / "model")
    block = {**model.flavors["python_function"], "artifacts": {"x": {"path": path, "uri": "x"}}}
    changed = model.replace(flavors={"python_function": block}, pack=None)
    (tmp_path / "model" / "MLmodel").write_text(changed.to_yaml(), encoding="utf-8")
    with pytest.raises((InvalidValue, NotFound)):
        pack.pyfunc.load_model(tmp_path / "model", trust=True)


@pytest.mark.parametrize("text", ["{{7*7}}", "$(id)", "%(x)s", "`id`", "!include x"])
def test_values_that_look_like_templates_stay_what_they_are(tmp_path: Path, text: str) -> None:
    pack.save_model(models.classifier(), tmp_path / "model", metadata={"note": text})
    assert pack.pyfunc.load_model(tmp_path / "model").metadata.metadata == {"note": text}


def test_an_unknown_flavor_is_a_clear_error(tmp_path: Path) -> None:
    home = tmp_path / "model"
    home.mkdir()
    (home / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.paddle}}", encoding="utf-8")
    assert "no flavor here reads" in refused(home).message
    (home / "MLmodel").write_text("flavors: {crate: {version: 1}}", encoding="utf-8")
    assert "'python_function'" in refused(home).message


def test_a_signature_of_a_million_columns_is_a_bounded_error(tmp_path: Path) -> None:
    home = hostile(tmp_path / "model", b"")
    columns = "[" + ", ".join(['{"type": "long", "name": "a"}'] * 1_000_000) + "]"
    (home / "MLmodel").write_text(f"flavors: {{}}\nsignature: {{inputs: '{columns}'}}", encoding="utf-8")
    refused(home)


def skops_file(schema: dict[str, Any], **members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", json.dumps({"protocol": 2, "_skops_version": "0.16.0", **schema}))
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


NODES: dict[str, dict[str, Any]] = {
    "a function": {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode", "content": "system"},
    "an operator": {
        "__class__": "methodcaller", "__module__": "operator", "__loader__": "OperatorFuncNode",
        "attrs": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []},
    },
    "a method": {
        "__class__": "method", "__module__": "builtins", "__loader__": "MethodNode",
        "content": {"func": "system", "obj": {"__class__": "x", "__module__": "os", "__loader__": "ObjectNode"}},
    },
    "a reduce": {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ConstructorFromReduceNode"},
    "a partial": {"__class__": "partial", "__module__": "functools", "__loader__": "PartialNode"},
    "an object": {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": None},
    "an unknown loader": {"__class__": "dict", "__module__": "builtins", "__loader__": "EvilNode"},
    "a type": {"__class__": "Popen", "__module__": "subprocess", "__loader__": "TypeNode", "content": "Popen"},
    "an eval": {"__class__": "eval", "__module__": "builtins", "__loader__": "FunctionNode", "content": "eval"},
    "a loader": {"__class__": "load", "__module__": "joblib", "__loader__": "FunctionNode", "content": "load"},
    "a numpy loader": {"__class__": "load", "__module__": "numpy", "__loader__": "FunctionNode", "content": "load"},
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(NODES))
def test_a_skops_file_with_anything_but_data_and_estimators_is_refused(tmp_path: Path, kind: str) -> None:
    home = hostile(tmp_path / "model", skops_file(NODES[kind]))
    data = yaml.safe_load((home / "MLmodel").read_text(encoding="utf-8"))
    data["flavors"]["sklearn"] |= {"serialization_format": "skops", "skops_trusted_types": ["posix.system"]}
    (home / "MLmodel").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert isinstance(refused(home), Untrusted)


@pytest.mark.parametrize(
    "payload",
    [
        b"not a zip",
        skops_file({"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode"}, bomb=b"\0" * 200_000_000),
        skops_file({})[:-30],
        b"PK\x05\x06" + b"\0" * 18,
    ],
    ids=["no zip", "bomb", "cut", "empty"],
)
def test_a_broken_or_bombed_skops_file_is_a_clear_error(tmp_path: Path, payload: bytes) -> None:
    home = hostile(tmp_path / "model", payload)
    data = yaml.safe_load((home / "MLmodel").read_text(encoding="utf-8"))
    data["flavors"]["sklearn"]["serialization_format"] = "skops"
    (home / "MLmodel").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert isinstance(refused(home), InvalidValue)


def test_an_array_file_of_objects_is_refused(tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "evil.npy", np.array([Boom()], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidValue):
        payloads.load_array(tmp_path / "evil.npy")
    assert not Path(CANARY).exists()


def test_without_an_admission_no_pickle_is_opened(tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Boom()))
    with pytest.raises(Untrusted):
        payloads.load_pickle(tmp_path / "evil.pkl")
    with pytest.raises(Untrusted):
        payloads.load_joblib(tmp_path / "evil.pkl")
    assert not Path(CANARY).exists()


def test_bundled_code_is_not_importable_in_safe_mode(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("X = 1", encoding="utf-8")
    pack.save_model(models.classifier(), tmp_path / "model", code_paths=[tmp_path / "helpers.py"])
    admission = admit(tmp_path / "model", Policy("safe"))
    assert not admission.bundle().has("helpers")
    assert admit(tmp_path / "model", Policy("trusted")).bundle().has("helpers")


def test_a_device_or_pipe_in_a_model_is_refused(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "model")
    os.mkfifo(tmp_path / "model" / "pipe")
    with pytest.raises(InvalidValue, match="links nor devices"):
        pack.pyfunc.load_model(tmp_path / "model")


def test_a_copied_model_keeps_its_trust_and_a_forged_one_gains_none(tmp_path: Path) -> None:
    pack.sklearn.save_model(models.classifier(), tmp_path / "mine", serialization_format="pickle")
    shutil.copytree(tmp_path / "mine", tmp_path / "copy")
    assert pack.pyfunc.load_model(tmp_path / "copy").flavor == "sklearn"
    (tmp_path / "copy" / "model.pkl").write_bytes(pickle.dumps(Boom()))
    refused(tmp_path / "copy")
