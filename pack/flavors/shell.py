"""The save shell: what every flavor's save has in common, from the signature to the atomic finish."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack import envs, settings
from pack.envs.files import BLOCK
from pack.errors import AlreadyExists, InvalidValue, ModelFailed, PackError, StorageFailed
from pack.flavors.base import Config, Flavor
from pack.mlmodel import code, digests, examples
from pack.mlmodel.frames import as_frame
from pack.mlmodel.infer import infer_schema
from pack.mlmodel.model import MLMODEL, Model
from pack.mlmodel.params import infer_params
from pack.mlmodel.plan import compile_plan
from pack.mlmodel.signature import ModelSignature
from pack.trust import records
from pack.version import __version__

FORMAT = 1
_STORAGE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO,
    errno.EFBIG,
}  # fmt: skip


@dataclass(frozen=True)
class Extras:
    """What goes into a model directory beside the model itself. `signature=False` means: none, on purpose."""

    signature: ModelSignature | bool | None = None
    input_example: Any = None
    pip_requirements: str | Path | Sequence[str] | None = None
    extra_pip_requirements: str | Path | Sequence[str] | None = None
    conda_env: Mapping[str, Any] | str | Path | None = None
    code_paths: Sequence[str | Path] | None = None
    extra_files: Sequence[str | Path] | None = None
    metadata: Mapping[str, Any] | None = None
    resources: Mapping[str, Any] | None = None
    run_id: str | None = None
    model_id: str | None = None
    artifact_path: str | None = None


def save(model: Any, path: Path, *, flavor: Flavor, extras: Extras) -> Model:
    """Write a model directory at `path`, whole or not at all, and record it as this user's.

    Raises `AlreadyExists` where something is there, `CannotInfer` where the example has no signature, `ModelFailed`
    where the model raises on its own example, `StorageFailed` where the disk refuses.
    """
    _check_environment(extras)
    with _landing(path) as home:
        config = flavor.write(model, home)
        block = _python_function(flavor, config)
        signature, by_hint = _signature(model, flavor, extras, home, config)
        info = None if extras.input_example is None else examples.save_example(extras.input_example, home)
        bundled = code.copy_code(extras.code_paths, home) if extras.code_paths else None
        extra_files = code.copy_extra_files(extras.extra_files, home) if extras.extra_files else None
        if block is not None:
            _environment(model, flavor, config, extras, home)
            block |= {"code": bundled, "env": dict(BLOCK), "python_version": platform.python_version()}
        described = Model(
            artifact_path=extras.artifact_path,
            run_id=extras.run_id,
            flavors=_flavors(flavor, {**config, "code": bundled}, block, extra_files),
            model_id=extras.model_id,
            signature=signature,
            is_signature_from_type_hint=by_hint,
            saved_input_example_info=info,
            metadata=dict(extras.metadata) if extras.metadata else None,
            resources=dict(extras.resources) if extras.resources else None,
        )
        if extras.model_id:
            described = described.replace(model_uuid=extras.model_id)
        described, digest = _write_mlmodel(described, home)
    records.remember(digest, path.absolute())
    return described


def _check_environment(extras: Extras) -> None:
    given = [
        name
        for name in ("pip_requirements", "extra_pip_requirements", "conda_env")
        if getattr(extras, name) is not None
    ]
    if len(given) > 1:
        raise InvalidValue(f"{' and '.join(given)} were given together", hint="give one of them")


@contextmanager
def _landing(path: Path) -> Iterator[Path]:
    """A folder to write in that becomes `path` at the end; if anything fails, nothing is left."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise AlreadyExists(f"{path} exists already and is not an empty folder", hint="give another path, or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.new-", dir=path.parent))
    except OSError as error:
        raise _refused(path, error) from error
    try:
        yield home
        _flush(home)
        home.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        shutil.rmtree(home, ignore_errors=True)
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise AlreadyExists(f"{path} was made by someone else meanwhile", hint="give another path") from error
        if error.errno in _STORAGE:
            raise _refused(path, error) from error
        raise
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _python_function(flavor: Flavor, config: Config) -> Config | None:
    if flavor.name == "python_function":
        return dict(config)
    block = flavor.python_function(config)
    return None if block is None else dict(block)


def _flavors(
    flavor: Flavor, config: Config, block: Config | None, extra_files: list[dict[str, Any]] | None
) -> dict[str, Config]:
    if extra_files:
        config = {**config, "extra_files": extra_files}
    if flavor.name == "python_function":
        return {"python_function": {**(block or {}), **({"extra_files": extra_files} if extra_files else {})}}
    return {flavor.name: config, **({} if block is None else {"python_function": block})}


def _signature(
    model: Any, flavor: Flavor, extras: Extras, home: Path, config: Config
) -> tuple[ModelSignature | None, bool]:
    """The signature, and whether the model's type hints gave it."""
    if extras.signature is False:
        return None, False
    known = flavor.signature(model)
    if isinstance(extras.signature, ModelSignature):
        _check_example(extras.signature, extras.input_example, by_hint=known is not None)
        return extras.signature, False
    if known is not None:
        return known, True
    if extras.input_example is None:
        return None, False
    return _inferred(model, flavor, extras.input_example, home, config), False


def _check_example(signature: ModelSignature, example: Any, *, by_hint: bool) -> None:
    """An example that the given signature refuses would be a lie in the model directory."""
    if example is None or by_hint:
        return
    data, params = examples.split_params(example)
    plan = compile_plan(signature)
    plan.data(data)
    plan.params(params)


def _inferred(model: Any, flavor: Flavor, example: Any, home: Path, config: Config) -> ModelSignature:
    data, params = examples.split_params(example)
    inputs = infer_schema(as_frame(data))
    rows = compile_plan(ModelSignature(inputs=inputs)).data(data)
    try:
        answer = flavor.predict(flavor.ready(model, home, config), rows, params or {})
    except PackError:
        raise
    except Exception as error:
        raise ModelFailed(
            f"the model failed on its input example: {type(error).__name__}: {error}",
            hint="give an example that the model can score, or a signature and no example",
        ) from error
    outputs = None if answer is None else infer_schema(answer, what="output")
    return ModelSignature(inputs=inputs, outputs=outputs, params=infer_params(params) if params else None)


def _environment(model: Any, flavor: Flavor, config: Config, extras: Extras, home: Path) -> None:
    if extras.conda_env is not None:
        envs.write_environment(home, [], conda_env=extras.conda_env)
        return
    if extras.pip_requirements is not None:
        requirements, constraints = envs.requirements.parse_lines(extras.pip_requirements)
    else:
        requirements, constraints = _inferred_requirements(model, flavor, config, extras, home), []
    if extras.extra_pip_requirements is not None:
        more, pinned = envs.requirements.parse_lines(extras.extra_pip_requirements)
        named = {envs.requirements.name_of(line) for line in more}
        requirements = [line for line in requirements if envs.requirements.name_of(line) not in named] + more
        constraints = constraints + pinned
    envs.write_environment(home, requirements, constraints=constraints)


def _inferred_requirements(model: Any, flavor: Flavor, config: Config, extras: Extras, home: Path) -> list[str]:
    if settings.detect_lock():
        locked = envs.locked_requirements(Path.cwd())
        if locked is not None:
            return locked
    modules = {*flavor.packages, *flavor.modules(model, home, config), *_modules_of(extras)}
    return envs.infer_requirements(modules)


def _modules_of(extras: Extras) -> set[str]:
    """What bundled code imports, and pandas where the example is a frame."""
    modules = envs.modules_of_code(extras.code_paths) if extras.code_paths else set()
    data, _ = examples.split_params(extras.input_example)
    library = type(data).__module__.partition(".")[0]
    return modules | ({library} if library in {"pandas", "numpy", "scipy"} else set())


def _write_mlmodel(described: Model, home: Path) -> tuple[Model, str]:
    """Write the MLmodel file, the last of all, with the digest of every other; answer it and the directory's digest."""
    files = digests.manifest(home)
    size = sum((home / name).stat().st_size for name in files)
    facts = {"format": FORMAT, "version": __version__, "files": files, "self": digests.ZEROS}
    text = digests.seal(described.replace(model_size_bytes=size, pack=facts).to_yaml())
    (home / MLMODEL).write_text(text, encoding="utf-8", newline="\n")
    return Model.parse(text), digests.tree_digest({**files, MLMODEL: digests.text_digest(text)})


def _flush(home: Path) -> None:
    """Put every file on the disk before the name appears."""
    for folder, _, names in os.walk(home):
        for name in names:
            handle = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        _flush_folder(Path(folder))


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"the model could not be written to {path}: {error.strerror}",
        hint="free some space, or choose a folder that you can write; nothing was left behind",
    )
