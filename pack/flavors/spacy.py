"""spaCy pipelines, kept as the folder that spaCy writes.

Keys are MLflow's (interoperability facts, flavors, section 10). The pipeline's `config.cfg` names the functions that
build it. What is on the list below is spaCy's own, reads nothing but the pipeline's folder and runs no code of the
model's; whatever else is named needs a model that may run code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import spacy
from spacy import util
from spacy.language import Language
from spacy.pipeline import TextCategorizer

from pack.errors import InvalidValue, SchemaMismatch, Untrusted
from pack.flavors.base import Config, Flavor
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import Object, Property
from pack.trust.admission import WAYS_FORWARD, active, read_bytes, verified_path

_OWN = re.compile(r"spacy(-legacy)?\.[A-Za-z0-9_.]+")
_REGISTRIES = {"architectures", "layers", "misc", "scorers", "tokenizers", "vectors"}
# spaCy's own, but not harmless: they open other folders, import packages, or read what torch or a segmenter pickled.
_NOT_HARMLESS = {
    "spacy.KBFromFile.v1",
    "spacy.LookupsDataLoader.v1",
    "spacy.TorchBiLSTMEncoder.v1",
    "spacy.zh.ChineseTokenizer",
}
_FACTORIES = {
    "attribute_ruler", "beam_ner", "beam_parser", "doc_cleaner", "entity_linker", "entity_ruler",
    "future_entity_ruler", "lemmatizer", "merge_entities", "merge_noun_chunks", "merge_subtokens", "morphologizer",
    "ner", "parser", "sentencizer", "senter", "span_finder", "span_ruler", "spancat", "spancat_singlelabel", "tagger",
    "textcat", "textcat_multilabel", "tok2vec", "token_splitter", "trainable_lemmatizer",
}  # fmt: skip
_WRONG = (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, ImportError, RecursionError)
_LANGUAGE = re.compile("[a-z]{2,3}")
_FILE_NAME = re.compile(r"[^/\\:\0]+")
# What names a function in one of spaCy's tables, and what names something else to load.
_FACTORY, _SOURCE, _LANG = "factory", "source", "lang"


class SpaCy(Flavor):
    """Pipelines; one with a text categorizer predicts the categories of texts."""

    name: ClassVar[str] = "spacy"
    packages: ClassVar[tuple[str, ...]] = ("spacy",)

    def __init__(self) -> None:
        self._example: Any = None
        self._categorizes = True

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """An example says what the column of texts is called."""
        self._example = example

    def write(self, model: Any, home: Path) -> Config:
        """Write the folder."""
        self._categorizes = bool(_categorizers(model))
        model.to_disk(home / "model.spacy")
        return {"spacy_version": spacy.__version__, "data": "model.spacy"}

    def read(self, home: Path, config: Config) -> Any:
        """The pipeline; one that is built by other functions than spaCy's own where the load policy allows it."""
        folder = home / str(config.get("data") or "model.spacy")
        described = _described(read_bytes(folder / "config.cfg"))
        with _reading(folder):
            _judge(described, folder.name)
            nlp = util.load_model_from_config(described, meta=util.get_model_meta(verified_path(folder)))
            return nlp.from_disk(folder)

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Functions that are not spaCy's own are code."""
        folder = home / str(config.get("data") or "model.spacy")
        described = _described(read_bytes(folder / "config.cfg"))
        with _reading(folder):
            foreign = _strange(described)
        return _why(foreign) if foreign else None

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A column `predictions`: for each text a dict of categories and their scores. Params go to `nlp.pipe`."""
        texts = _texts(rows)
        # A text without a word scores nothing by itself, but something beside others.
        scores = iter([doc.cats for doc in model.pipe([text for text in texts if text], **params)])
        found = [next(scores) if text else model(text).cats for text in texts]
        return pd.DataFrame(
            {"predictions": found}, index=rows.index if isinstance(rows, (pd.DataFrame, pd.Series)) else None
        )

    def rows_are_independent(self, model: Any) -> bool:
        """A text's categories depend on that text alone."""
        return True

    def python_function(self, config: Config) -> Config | None:
        """None for a pipeline without a text categorizer."""
        return super().python_function(config) if self._categorizes else None

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """The packages that the components come from."""
        parts = [model.tokenizer, *(part for _, part in model.pipeline)]
        return {type(part).__module__.partition(".")[0] for part in parts} - {"__main__", "builtins"}

    def signature(self, model: Any) -> ModelSignature | None:
        """One column of texts of whatever name, and the labels; None where an example says it."""
        labels = [label for one in _categorizers(model) for label in one.labels]
        if self._example is not None or not labels:
            return None
        scores = Object([Property(label, "double") for label in dict.fromkeys(labels)])
        return ModelSignature(inputs=Schema([ColSpec("string")]), outputs=Schema([ColSpec(scores, "predictions")]))


def _categorizers(model: Any) -> list[Any]:
    return [part for _, part in model.pipeline if isinstance(part, TextCategorizer)]


def _texts(rows: Any) -> list[Any]:
    """The texts of the only column, or those that came as they are."""
    if isinstance(rows, pd.DataFrame):
        if len(rows.columns) != 1:
            raise SchemaMismatch(
                f"a pipeline reads one column of texts, {len(rows.columns)} came", hint="leave the other columns out"
            )
        return rows.iloc[:, 0].tolist()
    if hasattr(rows, "tolist"):
        rows = (rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows).tolist()
    return [rows] if isinstance(rows, str) else list(rows)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """What spaCy, or a config of an odd shape, raises becomes `InvalidValue`."""
    try:
        yield
    except _WRONG as error:
        raise InvalidValue(
            f"{folder.name!a} is no pipeline that spaCy {spacy.__version__} loads: {error!s:.300}",
            hint="install what the model needs (its requirements.txt), or the spaCy that saved it",
        ) from error


def _described(data: bytes) -> Any:
    """The pipeline's config, with its variables replaced, so that what is judged is what is built."""
    try:
        return util.load_config_from_str(data.decode("utf-8"), interpolate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidValue(f"config.cfg is no config of a spaCy pipeline: {type(error).__name__}") from error


def _judge(described: Any, shown: str) -> None:
    """Raise `Untrusted` for what is not spaCy's own, unless the model may run code; that it brings is then imported."""
    foreign = _strange(described)
    if not foreign:
        return
    admission, reason = active(), _why(foreign)
    if admission is None:
        raise Untrusted(f"{shown!a} was not opened: {reason}", hint=WAYS_FORWARD)
    admission.require_code(repr(shown), reason)
    if not all(_is_registered(kind, name) for kind, name in foreign):
        _import_code(admission)


def _why(foreign: list[tuple[str, str]]) -> str:
    names = ", ".join(ascii(f"{kind} {name:.60}") for kind, name in foreign[:5])
    return f"its config.cfg names {names}, which may run any code"


def _strange(described: Any) -> list[tuple[str, str]]:
    """What is not spaCy's own; raises `InvalidValue` for components that no folder can be named after."""
    parts = described.get("components", {})
    odd = [name for name in parts if not _FILE_NAME.fullmatch(name) or name in {".", ".."}]
    if odd:
        raise InvalidValue(f"the pipeline has a component {odd[0]!a:.100}, which is no name of a folder")
    return sorted(set(_foreign(described)))


def _foreign(described: Any) -> Iterator[tuple[str, str]]:
    """What the config names that is not on our lists: `(kind, name)`."""
    pipeline = described.get("nlp", {})
    language = str(pipeline.get("lang"))
    if not _LANGUAGE.fullmatch(language) or not _is_own(util.get_lang_class(language)):
        yield _LANG, language
    for part in described.get("components", {}).values():
        if _FACTORY in part and str(part[_FACTORY]) not in _FACTORIES:
            yield _FACTORY, str(part[_FACTORY])
        elif _SOURCE in part:
            yield _SOURCE, str(part[_SOURCE])
    yield from _functions([pipeline, described.get("components", {})])


def _functions(value: Any) -> Iterator[tuple[str, str]]:
    """Every function that is named and is not on our lists."""
    if isinstance(value, dict):
        for key, name in value.items():
            if isinstance(key, str) and key.startswith("@") and not _is_harmless(key[1:], name):
                yield key[1:], str(name)
            yield from _functions(name)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _functions(one)


def _is_harmless(kind: str, name: Any) -> bool:
    """Whether a function is on the list, and still the one that spaCy has registered."""
    if kind not in _REGISTRIES or not isinstance(name, str) or name in _NOT_HARMLESS or not _OWN.fullmatch(name):
        return False
    return not _is_registered(kind, name) or _is_own(util.registry.get(kind, name))


def _is_own(registered: Any) -> bool:
    return str(getattr(registered, "__module__", "")).partition(".")[0] in {"spacy", "spacy_legacy", "thinc"}


def _is_registered(kind: str, name: str) -> bool:
    """Whether spaCy would find this by itself."""
    if kind == _FACTORY:
        return bool(Language.has_factory(name))
    return kind in {_SOURCE, _LANG} or bool(hasattr(util.registry, kind) and util.registry.has(kind, name))


def _import_code(admission: Any) -> None:
    """Import the code that the model brings along, whose decorators register its functions."""
    bundle = admission.bundle()
    for path in sorted(admission.files):
        first, _, rest = path.partition("/")
        name = rest.removesuffix("/__init__.py").removesuffix(".py")
        if first == "code" and path.endswith(".py") and "/" not in name and bundle.has(name):
            bundle.import_module(name)
