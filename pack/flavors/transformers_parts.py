"""The parts of a pipeline: read from a model's folders as transformers' own classes, and put together.

A class is found by its name among those that transformers has; one that a model brings loads only where the load policy
lets its code run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers

from pack.errors import InvalidValue
from pack.flavors.base import Config
from pack.flavors.pretrained import reading, require_plain
from pack.trust.admission import read_bytes, verified_path

BASES: dict[str, tuple[str, ...]] = {
    "model": ("PreTrainedModel",),
    "tokenizer": ("PreTrainedTokenizerBase",),
    "feature_extractor": ("FeatureExtractionMixin", "ImageProcessingMixin"),
    "image_processor": ("ImageProcessingMixin",),
    "processor": ("ProcessorMixin",),
}
_AUTO = {
    "tokenizer": "AutoTokenizer",
    "feature_extractor": "AutoFeatureExtractor",
    "image_processor": "AutoImageProcessor",
    "processor": "AutoProcessor",
}
DTYPES = {"torch.bfloat16", "torch.float16", "torch.float32", "torch.float64"}


def read_parts(home: Path, config: Config) -> dict[str, Any]:
    """The model, its tokenizer and whatever else there is, by their names."""
    if "model_binary" not in config:
        raise InvalidValue(
            "the model was saved without its weights", hint="save it again, with save_pretrained and without an adapter"
        )
    if config.get("peft_adaptor"):
        raise InvalidValue("the model is an adapter and its base model", hint="merge_and_unload() it and save it again")
    with quiet():
        parts = {"model": _read_model(home / str(config["model_binary"]), config)}
        for name in sorted(names_in(config)):
            parts[name] = _read_part(home / "components" / name, name, str(config[f"{name}_type"]))
    return parts


def _read_model(folder: Path, config: Config) -> Any:
    plain = require_plain(folder)
    kind = own_class(str(config["pipeline_model_type"]), BASES["model"])
    options: Config = {"dtype": _dtype(config.get("torch_dtype")), "output_loading_info": True}
    if kind is None:
        kind, options["trust_remote_code"] = _auto_model(folder, str(config["pipeline_model_type"])), True
    if plain or any(folder.glob("*.safetensors")):
        options["use_safetensors"] = True
    model, info = _from_folder(kind, folder, options)
    missing = sorted(info["missing_keys"])
    if missing:
        raise InvalidValue(
            f"{len(missing)} weights of {type(model).__name__} are not in the model: {', '.join(missing[:5])!a:.200}",
            hint="its MLmodel file names another class than the one that was saved; save it again",
        )
    return model


def _read_part(folder: Path, name: str, kind: str) -> Any:
    require_plain(folder)
    cls = own_class(kind, BASES[name])
    if cls is None:
        return _from_folder(getattr(transformers, _AUTO[name]), folder, {"trust_remote_code": True})
    return _from_folder(cls, folder, {})


def _from_folder(cls: Any, folder: Path, options: Config) -> Any:
    """What `cls` reads from a folder of the model, and from nowhere else."""
    path = str(verified_path(folder))
    with reading(folder, f"transformers {transformers.__version__}"):
        return cls.from_pretrained(path, local_files_only=True, **options)


def own_class(name: str, bases: tuple[str, ...]) -> Any:
    """transformers' own class of this name, if it is of the kind; no module is imported for a model's sake."""
    if not re.fullmatch(r"[A-Z]\w{0,100}", name):
        return None
    found = getattr(transformers, name, None)
    kinds = tuple(getattr(transformers, base) for base in bases)
    return found if isinstance(found, type) and issubclass(found, kinds) else None


def _auto_model(folder: Path, name: str) -> Any:
    """transformers' loader for a class of the model's own; asked once the policy has agreed."""
    content = json.loads(read_bytes(folder / "config.json"))
    named = content.get("auto_map") if isinstance(content, dict) else None
    for auto, where in named.items() if isinstance(named, dict) else ():
        is_loader = re.fullmatch(r"AutoModel\w*", auto) and hasattr(transformers, auto)
        if is_loader and str(where).rpartition(".")[2] == name:
            return getattr(transformers, auto)
    raise InvalidValue(
        f"{name!a:.100} is not a class of transformers, and its code is not in the model",
        hint="register the class for saving (register_for_auto_class) and save it again",
    )


def pipeline_of(task: str, parts: Mapping[str, Any], device: Any) -> Any:
    """A pipeline of transformers' own kind for this task."""
    try:
        transformers.pipelines.check_task(task)
    except KeyError as error:
        raise InvalidValue(
            f"transformers {transformers.__version__} has no pipeline for {task!a:.60}",
            hint="install transformers<5 for summarization, translation, question-answering and text2text-generation; "
            'or load its parts: pack.transformers.load_model(uri, return_type="components")',
        ) from error
    more = {} if device is None else {"device": device}
    try:
        return transformers.pipeline(task, trust_remote_code=False, **parts, **more)
    except Exception as error:
        # A part that is missing is a bare Exception there.
        raise InvalidValue(
            f"these parts make no {task} pipeline: {error!s:.300}", hint="give its tokenizer or processor along"
        ) from error


def kinds_in(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The keys of a block that name a class, with the kinds that it may be of."""
    yield "pipeline_model_type", BASES["model"]
    for name in sorted(names_in(config)):
        yield f"{name}_type", BASES[name]


def names_in(config: Config) -> set[str]:
    """The parts beside the model."""
    listed = config.get("components") or []
    found = {str(one) for one in listed} if isinstance(listed, list) else {str(listed)}
    found |= {"processor"} if "processor_type" in config else set()
    unknown = sorted(found - _AUTO.keys())
    if unknown:
        raise InvalidValue(f"the model has parts that are not known: {', '.join(unknown)!a:.100}")
    return found


def _dtype(name: Any) -> Any:
    return getattr(torch, str(name).partition(".")[2]) if str(name) in DTYPES else "auto"


@contextmanager
def quiet() -> Iterator[None]:
    """Without bars of progress."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()
