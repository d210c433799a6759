"""What there is to know of each flavor without importing its framework: formats, what runs code, what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pack.envs.installed import version_of
from pack.errors import PackError
from pack.flavors import FLAVORS


@dataclass(frozen=True)
class Facts:
    """What a flavor writes, the default first: formats that are only data, and formats that can run code when read."""

    distributions: tuple[str, ...]
    data: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """One flavor as it is here; `version` is None where its framework is not installed, then `install` says how.

    `formats` and `code` are None where the flavor, a guest, does not say.
    """

    name: str
    version: str | None
    formats: tuple[str, ...] | None
    code: tuple[str, ...] | None
    install: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


FACTS = {
    "catboost": Facts(("catboost",), data=("cbm",)),
    "h2o": Facts(("h2o",), code=("binary",)),
    "keras": Facts(("keras",), data=("keras",), code=("savedmodel",)),
    "lightgbm": Facts(("lightgbm",), data=("text", "skops"), code=("cloudpickle",)),
    "onnx": Facts(("onnx", "onnxruntime"), data=("onnx",)),
    "pmdarima": Facts(("pmdarima",), code=("pickle",)),
    "prophet": Facts(("prophet",), data=("json",)),
    "python_function": Facts((), code=("cloudpickle", "source")),
    "sentence_transformers": Facts(("sentence-transformers",), data=("safetensors",)),
    "pytorch": Facts(("torch",), data=("pt2",), code=("state_dict", "pickle")),
    "sklearn": Facts(("scikit-learn", "skops"), data=("skops",), code=("cloudpickle", "pickle")),
    "spacy": Facts(("spacy",), data=("folder",)),
    "spark": Facts(("pyspark",), data=("folder",)),
    "statsmodels": Facts(("statsmodels",), code=("pickle",)),
    "tensorflow": Facts(("tensorflow",), data=("keras", "h5"), code=("savedmodel",)),
    "transformers": Facts(("transformers", "torch"), data=("safetensors",)),
    "xgboost": Facts(("xgboost",), data=("ubj", "json")),
}


def listed() -> Iterator[Listed]:
    """Every flavor, guests too, by name."""
    for name in sorted(FLAVORS):
        facts = FACTS.get(name) or _guest_facts(name)
        versions = [version_of(one) for one in facts.distributions]
        here = None if None in versions else versions[0] if versions else ""
        install = f"pip install {FLAVORS[name].needs}" if here is None and FLAVORS[name].needs else None
        formats = (*facts.data, *facts.code)
        yield Listed(name, here, formats or None, facts.code if formats else None, install)


def _guest_facts(name: str) -> Facts:
    """What a guest's class says of itself; nothing where it cannot be imported, which was warned of."""
    row = FLAVORS[name]
    distributions = (row.guest,) if row.guest else ()
    try:
        flavor = row.load()
    except PackError:
        return Facts(distributions)
    formats = {one: tuple(getattr(flavor, f"{one}_formats", ())) for one in ("data", "code")}
    return Facts(distributions, **formats)
