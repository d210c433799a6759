"""The save shell: what every flavor's save has in common, from the signature to the atomic finish."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pack import envs, settings
from pack.envs.files import BLOCK
from pack.envs.targets import Target
from pack.errors import InvalidValue, ModelFailed, PackError
from pack.flavors.base import Config, Conventions, Flavor
from pack.flavors.landing import landing
from pack.mlmodel import code, digests, examples
from pack.mlmodel.frames import as_frame
from pack.mlmodel.infer import infer_schema
from pack.mlmodel.model import MLMODEL, Model
from pack.mlmodel.params import infer_params
from pack.mlmodel.plan import compile_plan
from pack.mlmodel.signature import ModelSignature, takes_frames
from pack.trust import records
from pack.version import __version__

FORMAT = 1


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
    auth_policy: Mapping[str, Any] | None = None
    prompts: Sequence[str] | None = None
    lock: bool = False
    run_id: str | None = None
    model_id: str | None = None
    artifact_path: str | None = None


def save(model: Any, path: Path, *, flavor: Flavor, extras: Extras) -> Model:
    """Write a model directory at `path`, whole or not at all, and record it as this user's.

    Raises `AlreadyExists` where something is there, `CannotInfer` where the example has no signature, `ModelFailed`
    where the model raises on its own example, `StorageFailed` where the disk refuses.
    """
    _check(extras)
    with landing(path) as home:
        # Code comes first: a flavor may have to import it to know its model.
        bundled = code.copy_code(extras.code_paths, home) if extras.code_paths else None
        flavor.look_at(_data_of(extras.input_example), _given(extras.signature))
        config = flavor.write(model, home)
        extras = _conventional(extras, flavor.conventions(model))
        block = _python_function(flavor, config)
        written = _Written(model, flavor, home, config, predicts=block is not None)
        signature, by_hint = _signature(written, extras)
        info = None if extras.input_example is None else examples.save_example(extras.input_example, home)
        extra_files = code.copy_extra_files(extras.extra_files, home) if extras.extra_files else None
        if block is not None:
            _environment(written, extras, signature)
            if extras.lock:
                _lock(home, signature)
            block |= {"code": bundled, "env": dict(BLOCK), "python_version": platform.python_version()}
        described = _described(
            extras,
            flavors=_flavors(flavor, {**config, "code": bundled}, block, extra_files),
            signature=signature,
            is_signature_from_type_hint=by_hint,
            saved_input_example_info=info,
        )
        described, digest = _write_mlmodel(described, home)
    records.remember(digest, path.absolute())
    return described


def _check(extras: Extras) -> None:
    """Raise `InvalidValue` for extras that contradict each other."""
    environment = ("pip_requirements", "extra_pip_requirements", "conda_env")
    for names in (environment, ("resources", "auth_policy")):
        given = [name for name in names if getattr(extras, name) is not None]
        if len(given) > 1:
            raise InvalidValue(f"{' and '.join(given)} were given together", hint="give one of them")
    for name in ("metadata", "resources", "auth_policy"):
        value = getattr(extras, name)
        if value is not None and not isinstance(value, Mapping):
            raise InvalidValue(f"{name} must be a dict, not {type(value).__name__}")
    if not isinstance(extras.signature, (ModelSignature, bool, type(None))):
        raise InvalidValue(
            f"signature must be a ModelSignature, not {type(extras.signature).__name__}",
            hint="make one with pack.infer_signature(inputs, outputs)",
        )


def _conventional(extras: Extras, conventions: Conventions | None) -> Extras:
    """What was given, and what every model of this kind has; a signature of its own is `InvalidValue`."""
    if conventions is None:
        return extras
    if extras.signature is not None:
        raise InvalidValue(f"{conventions.kind} has a signature of its own", hint="leave signature out")
    example, read = extras.input_example, conventions.read_example
    return replace(
        extras,
        signature=conventions.signature,
        input_example=conventions.example if example is None else read(example),
        metadata={**conventions.metadata, **(extras.metadata or {})},
    )


def _described(extras: Extras, **facts: Any) -> Model:
    described = Model(
        artifact_path=extras.artifact_path,
        run_id=extras.run_id,
        model_id=extras.model_id,
        metadata=dict(extras.metadata) if extras.metadata else None,
        resources=dict(extras.resources) if extras.resources else None,
        auth_policy=dict(extras.auth_policy) if extras.auth_policy else None,
        prompts=list(extras.prompts) if extras.prompts else None,
        **facts,
    )
    return described.replace(model_uuid=extras.model_id) if extras.model_id else described


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


@dataclass(frozen=True)
class _Written:
    """A model that its flavor has written, and can score with."""

    model: Any
    flavor: Flavor
    home: Path
    config: Config
    predicts: bool

    def predict(self, rows: Any, params: Config) -> Any:
        """What the model answers, as it will once it is loaded; raises `ModelFailed` where it raises."""
        try:
            return self.flavor.predict(self.flavor.ready(self.model, self.home, self.config), rows, params)
        except PackError:
            raise
        except Exception as error:
            raise ModelFailed(
                f"the model failed on its input example: {type(error).__name__}: {error}",
                hint="give an example that the model can score, or a signature and no example",
            ) from error


def _signature(written: _Written, extras: Extras) -> tuple[ModelSignature | None, bool]:
    """The signature, and whether the model's type hints gave it."""
    if extras.signature is False:
        return None, False
    if isinstance(extras.signature, ModelSignature):
        _check_example(extras.signature, extras.input_example)
        return extras.signature, False
    known = written.flavor.signature(written.model)
    # What a python model's type hints say is checked by the hints themselves, and marked so.
    by_hint = known is not None and written.flavor.name == "python_function"
    if extras.input_example is None:
        return known, by_hint
    if known is None:
        return _inferred(written, extras.input_example), False
    return _tried(known, written, extras, by_hint=by_hint), by_hint


def _given(signature: ModelSignature | bool | None) -> ModelSignature | None:
    return signature if isinstance(signature, ModelSignature) else None


def _data_of(example: Any) -> Any:
    return None if example is None else examples.split_params(example)[0]


def _check_example(signature: ModelSignature, example: Any) -> None:
    """An example that the given signature refuses would be a lie in the model directory."""
    if example is None:
        return
    data, params = examples.split_params(example)
    plan = compile_plan(signature)
    plan.data(data)
    plan.params(params)


def _inferred(written: _Written, example: Any) -> ModelSignature:
    data, params = examples.split_params(example)
    inputs = infer_schema(as_frame(data))
    described = infer_params(params) if params else None
    if not written.predicts:
        return ModelSignature(inputs=inputs, params=described)
    answer = written.predict(compile_plan(ModelSignature(inputs=inputs)).data(data), params or {})
    outputs = None if answer is None else infer_schema(answer, what="output")
    return ModelSignature(inputs=inputs, outputs=outputs, params=described)


def _tried(known: ModelSignature, written: _Written, extras: Extras, *, by_hint: bool) -> ModelSignature:
    """The signature that the model knows, tried on the example, which tells what is still unknown."""
    data, params = examples.split_params(extras.input_example)
    data = data if by_hint else compile_plan(known).data(data)
    answer = written.predict(data, params or {})
    outputs = infer_schema(answer, what="output") if known.outputs is None and answer is not None else known.outputs
    described = infer_params(params) if known.params is None and params else known.params
    return ModelSignature(inputs=known.inputs, outputs=outputs, params=described)


def _environment(written: _Written, extras: Extras, signature: ModelSignature | None) -> None:
    if extras.conda_env is not None:
        envs.write_environment(written.home, [], conda_env=extras.conda_env)
        return
    constraints: list[str] = []
    if extras.pip_requirements is not None:
        requirements, constraints = envs.requirements.parse_lines(extras.pip_requirements)
    else:
        requirements = _inferred_requirements(written, extras, signature)
    if extras.extra_pip_requirements is not None:
        more, constraints = envs.requirements.parse_lines(extras.extra_pip_requirements)
        named = {envs.requirements.name_of(line) for line in more} - {None}
        requirements = [line for line in requirements if envs.requirements.name_of(line) not in named] + more
    envs.write_environment(written.home, requirements, constraints=constraints)


def _lock(home: Path, signature: ModelSignature | None) -> None:
    """Pin what serving the model needs, by hash, for this platform and Python."""
    from pack.envs.locking import FOLDER
    from pack.envs.serving import lock_for

    found = lock_for(home, Target.of(), frames=takes_frames(signature))
    path = home / FOLDER / f"{found.target.name}.txt"
    path.parent.mkdir()
    path.write_text(found.text, encoding="utf-8", newline="\n")


def _inferred_requirements(written: _Written, extras: Extras, signature: ModelSignature | None) -> list[str]:
    if settings.detect_lock():
        locked = envs.locked_requirements(Path.cwd())
        if locked is not None:
            return locked
    flavor = written.flavor
    # A guest's own package reads the model; ours needs no line.
    modules = {type(flavor).__module__, *flavor.packages}
    modules |= flavor.modules(written.model, written.home, written.config)
    return envs.infer_requirements(modules | _modules_of(extras, signature))


def _modules_of(extras: Extras, signature: ModelSignature | None) -> set[str]:
    """What bundled code imports, what the example is made of, and pandas where rows have columns."""
    modules = envs.modules_of_code(extras.code_paths) if extras.code_paths else set()
    data, _ = examples.split_params(extras.input_example)
    modules |= {type(data).__module__.partition(".")[0]} & {"pandas", "numpy", "scipy"}
    schema = signature.inputs if signature else None
    return modules if schema is None or schema.is_tensor_spec() else modules | {"pandas"}


def _write_mlmodel(described: Model, home: Path) -> tuple[Model, str]:
    """Write the MLmodel file, the last of all, with the digest of every other; answer it and the directory's digest."""
    files = digests.manifest(home)
    size = sum((home / name).stat().st_size for name in files)
    facts = {"format": FORMAT, "version": __version__, "files": files, "self": digests.ZEROS}
    text = digests.seal(described.replace(model_size_bytes=size, pack=facts).to_yaml())
    (home / MLMODEL).write_text(text, encoding="utf-8", newline="\n")
    return Model.parse(text), digests.tree_digest({**files, MLMODEL: digests.text_digest(text)})
