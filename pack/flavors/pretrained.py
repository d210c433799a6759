"""Folders that Hugging Face's libraries read by themselves: what in them can run code, found before they do.

Weights are read from safetensors alone; JSON files are looked through for what makes a library import code that the
folder brings, fetch something from elsewhere, or open a pickle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue, PackError, Untrusted
from pack.trust.admission import WAYS_FORWARD, active, read_bytes

_PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
_CODE = {".dll", ".py", ".pyc", ".so"}
_WEIGHTS = re.compile(r"[\w.-]+\.safetensors(\.index\.json)?")
# Vocabularies: large, and with no say in what is imported.
_TEXTS = {"tokenizer.json", "vocab.json", "added_tokens.json"}
_LARGE = 32 * 2**20
_DEEP = 200


def require_plain(folder: Path) -> bool:
    """Whether the folder is only data; where it is not, the load policy must let the model run code.

    Raises `Untrusted` naming the reason, `InvalidValue` for weights outside of the folder.
    """
    reason = why_code(folder)
    if reason is None:
        return True
    admission = active()
    if admission is None:
        raise Untrusted(f"{folder.name!a} was not opened: {reason}", hint=WAYS_FORWARD)
    admission.require_code(repr(folder.name), reason)
    return False


@contextmanager
def reading(folder: Path, library: str) -> Iterator[None]:
    """What a library raises as it reads this folder becomes `InvalidValue`, without the place of the folder."""
    try:
        yield
    except PackError:
        raise
    except Exception as error:
        # The readers of safetensors, of tokenizers and of configs raise errors of their own, without a common base.
        said = str(error).replace(str(folder), folder.name)
        raise InvalidValue(
            f"{library} does not read {folder.name!a}: {said:.300}",
            hint="install the version that the model was saved with, or save it again",
        ) from error


def why_code(folder: Path) -> str | None:
    """Why a library that reads this folder could run code; None where it cannot."""
    return next(_reasons(folder), None)


def _reasons(folder: Path) -> Iterator[str]:
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    with_weights = {path.parent for path in files if path.name.endswith((".safetensors", ".safetensors.index.json"))}
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.name == "adapter_config.json":
            raise InvalidValue(
                f"{name!a}: adapters are not loaded, as their base model lies elsewhere",
                hint="merge the adapter into its model (merge_and_unload) and save that",
            )
        if path.suffix.lower() in _CODE:
            yield f"it brings Python code, {name!a}"
        if path.suffix.lower() in _PICKLES and path.parent not in with_weights:
            yield f"{name!a} is a pickle, which runs code when it is opened"
        if path.name == ".metadata" or path.suffix == ".distcp":
            yield f"{name!a} is part of a distributed checkpoint, whose index is a pickle"
        if path.suffix == ".json" and path.name not in _TEXTS:
            yield from _reasons_in(path, name)


def _reasons_in(path: Path, name: str) -> Iterator[str]:
    content = _parsed(path, name)
    if name.endswith(".safetensors.index.json"):
        _check_index(content, name)
        return
    if path.name == "modules.json":
        yield from _modules(content, name)
    if path.name == "router_config.json":
        yield from _router(content, name)
    for key, value in _members(content, name):
        yield from _reasons_of(key, value, name)


def _parsed(path: Path, name: str) -> Any:
    data = read_bytes(path)
    if len(data) > _LARGE:
        raise InvalidValue(f"{name!a} is larger than {_LARGE:,} bytes", hint="no configuration is that large")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{name!a} is no JSON", hint="save the model again") from error


def _check_index(content: Any, name: str) -> None:
    """The shards of sharded weights are safetensors in the same folder."""
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict):
        raise InvalidValue(f"{name!a} is no index of weights", hint="save the model again")
    for shard in shards.values():
        if not (isinstance(shard, str) and _WEIGHTS.fullmatch(shard) and shard.endswith(".safetensors")):
            raise InvalidValue(f"{name!a} looks for weights at {shard!a:.100}, outside the model")


def _members(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All keys of all objects in a JSON value, with what they hold."""
    left: list[tuple[Any, int]] = [(content, 0)]
    while left:
        value, depth = left.pop()
        if depth > _DEEP:
            raise InvalidValue(f"{name!a} is nested deeper than {_DEEP} levels", hint="no configuration is that deep")
        if isinstance(value, dict):
            yield from value.items()
        if isinstance(value, (dict, list)):
            inner = value.values() if isinstance(value, dict) else value
            left.extend((one, depth + 1) for one in inner)


def _reasons_of(key: str, value: Any, name: str) -> Iterator[str]:
    """Why one key of a JSON file can have code run."""
    if not value:
        return
    if key in _ASKS:
        yield f"{name!a} {_ASKS[key]} ({key})"
    elif key.endswith(("attn_implementation", "experts_implementation", "_implementation_internal")):
        found = value.values() if isinstance(value, dict) else [value]
        if any("/" in str(one) or ":" in str(one) for one in found):
            yield f"{name!a} wants compiled code from elsewhere ({key})"
    elif key in _ARGUMENTS:
        odd = sorted(str(one) for one in value.keys() - _HARMLESS) if isinstance(value, dict) else [str(value)]
        if odd:
            yield f"{name!a} tells the library how to load ({key}: {', '.join(odd)[:100]!a})"
    elif key.endswith("_file") and re.search(r"[/\\]|\.\.", str(value)):
        yield f"{name!a} names a file elsewhere ({key})"
    elif key in _NAMED and not _NAMED[key].fullmatch(str(value)):
        yield f"{name!a} names what is not the library's own ({key})"


# What a folder may say of itself and change only numbers: see the sentence_transformers flavor.
_HARMLESS = {
    "attn_implementation", "do_lower_case", "dtype", "max_length", "model_max_length", "padding_side", "torch_dtype",
    "truncation_side",
}  # fmt: skip
_ASKS = {
    "allow_all_kernels": "wants compiled code from elsewhere",
    "auto_map": "names Python code of its own",
    "custom_pipelines": "names Python code of its own",
    "gguf_file": "has other code than transformers' own read the weights",
    "kernel_config": "wants compiled code from elsewhere",
    "quantization_config": "has other code than transformers' own read the weights",
    # Nobody's word counts for itself: the libraries drop it where they look for it, and it is refused everywhere.
    "trust_remote_code": "asks to be trusted",
    "use_kernels": "wants compiled code from elsewhere",
}
_ARGUMENTS = {"config_args", "config_kwargs", "model_args", "model_kwargs", "processor_kwargs", "tokenizer_args"}
# Names that the libraries import, and which of them are their own; a word alone is none of a module.
_NAMED = {
    "activation_function": re.compile(r"torch\.nn\.modules\.(activation|linear)\.[A-Z]\w*|\w+"),
    "tokenizer_class": re.compile(r"sentence_transformers\.[\w.]+|\w+"),
    "transformers_weights": _WEIGHTS,
}
_MODULES = {
    "Asym", "BoW", "CLIPModel", "CNN", "Dense", "Dropout", "LSTM", "LayerNorm", "Normalize", "Pooling", "Router",
    "StaticEmbedding", "Transformer", "WeightedLayerPooling", "WordEmbeddings", "WordWeights",
}  # fmt: skip
_MODULE = re.compile(rf"sentence_transformers\.(models|[a-z_.]*modules[a-z_.]*)\.({'|'.join(sorted(_MODULES))})")


def _modules(content: Any, name: str) -> Iterator[str]:
    """The parts of a model of sentence_transformers, each a class by its name."""
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise InvalidValue(f"{name!a} lists no modules", hint="save the model again")
    for one in content:
        place = str(one.get("path", ""))
        if place.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", place) or ":" in place:
            raise InvalidValue(f"{name!a} looks for a module at {place!a:.100}, outside the model")
        yield from _class_named(one.get("type"), name)


def _router(content: Any, name: str) -> Iterator[str]:
    types = content.get("types") if isinstance(content, dict) else None
    if not isinstance(types, dict):
        raise InvalidValue(f"{name!a} lists no modules", hint="save the model again")
    for place, kind in types.items():
        if ".." in re.split(r"[/\\]", place) or place.startswith(("/", "\\")) or ":" in place:
            raise InvalidValue(f"{name!a} looks for a module at {place!a:.100}, outside the model")
        yield from _class_named(kind, name)


def _class_named(kind: Any, name: str) -> Iterator[str]:
    if not (isinstance(kind, str) and _MODULE.fullmatch(kind)):
        yield f"{name!a} names a class that is not one of sentence_transformers' modules: {kind!a:.100}"
