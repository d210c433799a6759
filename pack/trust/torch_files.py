"""PyTorch's files: exported programs, weights, and modules that are pickles.

`pack.trust.payloads` is the door to this; nothing else opens a file of PyTorch's.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pack.errors import InvalidValue, MissingPackage
from pack.trust import pt2_files
from pack.trust.admission import Admission, read_bytes, verified_path

# A larger file is read where it lies, so that a model is not held twice.
_LARGE = 64 * 2**20
_AGAIN = "save the model again, or install the version of PyTorch that saved it"
_FAILS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, AssertionError, IndexError)


def opened(path: Path) -> Any:
    """A file of the model as one stream, for judging and reading: bytes as verified, or a large file where it lies."""
    return verified_path(path).open("rb") if _is_large(path) else io.BytesIO(read_bytes(path))


def why_program_runs_code(source: Any, path: Path) -> str | None:
    """Why reading an archive of `torch.export` could run code; None where it cannot."""
    try:
        records = _records(source)
    except RuntimeError as error:
        raise InvalidValue(f"{path.name!a} is no archive of torch.export", hint=_AGAIN) from error
    return pt2_files.why_it_runs_code(records) or _why_samples_run_code(records)


def load_program(source: Any, path: Path, *, judged: bool) -> Any:
    """The program of an archive; one that was not judged to be plain may be of an older format, too."""
    torch = _torch()
    source.seek(0)
    try:
        if not judged:
            return torch.export.load(source)
        from torch.export.pt2_archive._package import load_pt2

        return load_pt2(source).exported_programs["model"]
    except Exception as error:
        raise InvalidValue(
            f"PyTorch {torch.__version__} does not read {path.name!a}: {type(error).__name__}: {error!s:.300}",
            hint=_AGAIN,
        ) from error


def load_weights(path: Path) -> dict[str, Any]:
    """A dict of tensors by their names, on the CPU; raises `InvalidValue` for a file that holds anything else."""
    torch = _torch()
    try:
        found = torch.load(**_mapped(path), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, *_FAILS) as error:
        raise InvalidValue(f"{path.name!a} holds more than weights, or is damaged", hint=_AGAIN) from error
    if not isinstance(found, dict) or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise InvalidValue(f"{path.name!a} holds more than weights", hint=_AGAIN)
    return found


def dump_weights(weights: dict[str, Any], path: Path) -> None:
    """Write a dict of tensors; raises `InvalidValue` naming what is none."""
    torch = _torch()
    others = [name for name, one in weights.items() if not isinstance(one, torch.Tensor)]
    if others:
        raise InvalidValue(
            f"the state of the model holds more than tensors: {', '.join(others[:5])}",
            hint="give an input_example, so that the model is exported; or pass serialization_format='pickle'",
        )
    torch.save(dict(weights), path)


def load_module(path: Path, admission: Admission, unpickler: type[Any]) -> Any:
    """A module that was pickled or scripted, on the CPU; `admission` has let it run code."""
    torch = _torch()
    if is_script(path):
        return torch.jit.load(str(verified_path(path)), map_location="cpu")

    class Unpickler(unpickler):  # type: ignore[misc]
        """The one unpickler of pack, made as PyTorch makes one."""

        def __init__(self, file: Any, **_: Any) -> None:
            super().__init__(file, admission.bundle())

    def load(file: Any, **_: Any) -> Any:
        return Unpickler(file).load()

    ours = SimpleNamespace(Unpickler=Unpickler, load=load, __name__="pack")
    try:
        with opened(path) as source:
            return torch.load(source, map_location="cpu", weights_only=False, pickle_module=ours)
    except (pickle.UnpicklingError, ImportError, *_FAILS) as error:
        raise InvalidValue(
            f"{path.name!a} cannot be opened: {type(error).__name__}: {error!s:.300}",
            hint="install what the model needs (its requirements.txt), or bring its code along with code_paths",
        ) from error


def dump_module(model: Any, path: Path) -> None:
    """Write a module as a pickle, a scripted one in TorchScript's form."""
    import cloudpickle

    torch = _torch()
    if isinstance(model, torch.jit.ScriptModule):
        torch.jit.save(model, str(path))
        return
    try:
        torch.save(model, path, pickle_module=cloudpickle)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        raise InvalidValue(
            f"{type(model).__name__} cannot be pickled: {error}",
            hint="give an input_example and leave serialization_format out, so that the model is exported",
        ) from error


def is_script(path: Path) -> bool:
    """Whether a file holds TorchScript, by the names in its archive."""
    try:
        names = _records(str(path)).get_all_records()
    except RuntimeError:
        return False
    return "constants.pkl" in names


def names_of(path: Path) -> set[str]:
    """The top-level modules that a pickled module names; nothing runs."""
    from pack.trust.payloads import pickle_modules

    return pickle_modules(_records(str(path)).get_record("data.pkl"))


def _why_samples_run_code(records: Any) -> str | None:
    """The example inputs of an archive must be tensors: what is not, PyTorch reads as a pickle like any other."""
    torch = _torch()
    data = records.get_record(pt2_files.SAMPLES)
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True) if data else None
    except (pickle.UnpicklingError, *_FAILS):
        return "its example inputs are a pickle of more than tensors"
    return None


def _mapped(path: Path) -> dict[str, Any]:
    """What weights are read from, which are then copied into a module: a large file needs no memory of its own."""
    return {"f": str(verified_path(path)), "mmap": True} if _is_large(path) else {"f": io.BytesIO(read_bytes(path))}


def _records(source: Any) -> Any:
    """PyTorch's own reader of archives, so that what is judged is what it reads."""
    return _torch()._C.PyTorchFileReader(source)  # noqa: SLF001 - there is no public one


def _is_large(path: Path) -> bool:
    return not path.is_symlink() and path.is_file() and path.stat().st_size > _LARGE


def _torch() -> Any:
    import torch
    from packaging.version import Version

    if Version(Version(torch.__version__).base_version) < Version("2.10"):
        raise MissingPackage(
            f"PyTorch {torch.__version__} does not open weights safely", hint="pip install 'torch>=2.10'"
        )
    return torch
