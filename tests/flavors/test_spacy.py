"""The spacy flavor."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack import flavors
from pack.cli.inspect import describe
from pack.errors import Damaged, InvalidValue, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code

pytest.importorskip("spacy")
import catalogue  # type: ignore[import-not-found, import-untyped, unused-ignore]
import spacy
from spacy.language import Language
from spacy.training import Example

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:(spacy|thinc)"),
]
TEXTS = ["a good one", "bad", "", "a long text which is bad and goes on", " ", "good good"]
SMALL = {
    "@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1, "no_output_layer": False,
    "length": 512,
}  # fmt: skip


def pipeline(kind: str = "textcat", **config: Any) -> Any:
    nlp = spacy.blank("en")
    part = nlp.add_pipe(kind, config=config or {"model": SMALL})
    for label in ("GOOD", "BAD"):
        part.add_label(label)
    nlp.initialize()
    return nlp


@lru_cache(maxsize=1)
def categorizer() -> Any:
    nlp = pipeline()
    given = [(text, {"cats": {"GOOD": float("good" in text), "BAD": float("bad" in text)}}) for text in TEXTS]
    for _ in range(5):
        nlp.update([Example.from_dict(nlp.make_doc(text), cats) for text, cats in given])
    return nlp


@lru_cache(maxsize=1)
def ensemble() -> Any:
    """What spaCy makes by itself, with vectors of words and several labels at once."""
    nlp = spacy.blank("en")
    part = nlp.add_pipe("textcat_multilabel")
    part.add_label("GOOD")
    part.add_label("BAD")
    nlp.initialize()
    return nlp


def unsealed(home: Path) -> None:
    (home / "MLmodel").write_text(Model.load(home).replace(pack=None).to_yaml(), encoding="utf-8")


def tampered(home: Path, *swaps: str) -> Path:
    """A saved pipeline whose config says something else, as if a stranger had made it."""
    pack.save_model(categorizer(), home)
    path = home / "model.spacy" / "config.cfg"
    text = path.read_text(encoding="utf-8")
    for old, new in zip(swaps[::2], swaps[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    unsealed(home)
    return home


class TestSpaCy(FlavorInterop):
    flavor = "spacy"

    def model(self) -> Any:
        return categorizer()

    def rows(self) -> Any:
        return pd.DataFrame({"text": TEXTS})

    def expected(self) -> Any:
        return pd.DataFrame({"predictions": [self.model()(text).cats for text in TEXTS]})


class TestSpaCyEnsemble(TestSpaCy):
    def model(self) -> Any:
        return ensemble()

    def expected(self) -> Any:
        return flavors.get("spacy").predict(self.model(), self.rows(), {})


def test_texts_are_scored_together_as_one_by_one() -> None:
    found = flavors.get("spacy").predict(ensemble(), TEXTS, {})["predictions"]
    for text, scores in zip(TEXTS, found, strict=True):
        alone = ensemble()(text).cats
        assert scores.keys() == alone.keys()
        assert same(list(scores.values()), list(alone.values())), text


def test_the_labels_give_the_signature(tmp_path: Path) -> None:
    pack.spacy.save_model(categorizer(), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert loaded.signature is not None
    assert "string" in repr(loaded.signature.inputs)
    assert "GOOD: double" in repr(loaded.signature.outputs)
    assert loaded.rows_are_independent is True
    frame = pd.DataFrame({"anything": ["good"]}, index=[7])
    assert loaded.predict(frame).index.tolist() == [7]
    assert loaded.predict(["good", "bad"]).shape == (2, 1)


def test_texts_come_in_any_shape() -> None:
    made, expected = flavors.get("spacy"), TestSpaCy().expected()
    for rows in (TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS)[:, None], pd.Series(TEXTS)):
        assert same(made.predict(categorizer(), rows, {}), expected)
    assert len(made.predict(categorizer(), "good", {})) == 1
    assert made.predict(categorizer(), [], {}).empty
    with pytest.raises(SchemaMismatch, match="one column of texts, 2 came"):
        made.predict(categorizer(), pd.DataFrame({"a": ["x"], "b": ["y"]}), {})


def test_params_reach_the_pipeline(tmp_path: Path) -> None:
    pack.save_model(categorizer(), tmp_path / "m", input_example=(pd.DataFrame({"t": ["good"]}), {"batch_size": 8}))
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(pd.DataFrame({"t": TEXTS}), {"batch_size": 1}), TestSpaCy().expected())


def test_a_pipeline_without_a_categorizer_has_no_python_function(tmp_path: Path) -> None:
    nlp = spacy.blank("de")
    nlp.add_pipe("sentencizer")
    pack.save_model(nlp, tmp_path / "m")
    assert list(Model.load(tmp_path / "m").flavors) == ["spacy"]
    found = pack.load_model(tmp_path / "m", trust="safe")
    assert [str(one) for one in found("Eins. Zwei.").sents] == ["Eins.", "Zwei."]


def test_what_spacy_itself_can_build_loads_in_safe_mode(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    for name in ("tagger", "ner", "parser", "spancat", "morphologizer", "trainable_lemmatizer", "senter"):
        nlp.add_pipe(name, config={"min_tree_freq": 1} if name == "trainable_lemmatizer" else {})
    nlp.get_pipe("tagger").add_label("N")
    nlp.get_pipe("ner").add_label("PLACE")
    nlp.get_pipe("parser").add_label("ROOT")
    nlp.get_pipe("spancat").add_label("X")
    nlp.get_pipe("morphologizer").add_label("POS=NOUN")
    doc = Example.from_dict(
        nlp.make_doc("Oslo is"),
        {"tags": ["N", "N"], "heads": [1, 1], "deps": ["ROOT", "ROOT"], "lemmas": ["Oslo", "be"]},
    )
    nlp.initialize(lambda: [doc])
    ruler.add_patterns([{"label": "PLACE", "pattern": "Oslo"}])
    pack.save_model(nlp, tmp_path / "m")
    loaded = pack.load_model(tmp_path / "m", trust="safe")
    assert [(one.text, one.label_) for one in loaded("in Oslo").ents] == [("Oslo", "PLACE")]
    assert loaded.pipe_names == nlp.pipe_names


HOSTILE = {
    "a callback": ("after_creation = null", 'after_creation = {"@callbacks":"spacy.copy_from_base_model.v1"}'),
    "a callback of its own": ("pipeline_creation = null", 'pipeline_creation = {"@callbacks":"test_spacy.canary"}'),
    "another pipeline": ('factory = "textcat"\nthreshold = 0.0', 'source = "evil_package"'),
    "a component": ('factory = "textcat"\nthreshold = 0.0', 'factory = "test_spacy_component"'),
    "a language": ('lang = "en"', 'lang = "../evil"'),
    "a language of its own": ('lang = "en"', 'lang = "en.evil"'),
    "a tokenizer": ("spacy.Tokenizer.v1", "test_spacy.canary"),
    "a reader": ('@scorers = "spacy.textcat_scorer.v2"', '@readers = "srsly.read_json.v1"\npath = "/etc/passwd"'),
    "a layer with a pickle": ("spacy.TextCatBOW.v3", "spacy.TorchBiLSTMEncoder.v1"),
    "a wrapper": ('@architectures = "spacy.TextCatBOW.v3"', '@layers = "PyTorchLSTM.v1"'),
    "a name through a variable": (
        '"spacy.Tokenizer.v1"', "${paths.train}", "train = null", 'train = "test_spacy.canary"',
    ),
    "a block through a variable": (
        "after_creation = null", "after_creation = ${evil}",
        "[paths]", '[evil]\n@callbacks = "test_spacy.canary"\n\n[paths]',
    ),
    "a table that is no registry": ("@tokenizers", "@__class__"),
    "a nested one": ("nO = null", 'nO = {"a":[{"@misc":"spacy.KBFromFile.v1"}]}'),
}  # fmt: skip


@pytest.fixture
def canary(tmp_path: Path) -> Any:
    """Functions of the reader's own process that a config may name, and a package that it may ask for."""

    def touch() -> Any:
        (tmp_path / "canary").touch()
        return lambda nlp: nlp

    for kind in ("callbacks", "tokenizers"):
        getattr(spacy.registry, kind)("test_spacy.canary", func=touch)
    if not Language.has_factory("test_spacy_component"):
        Language.component("test_spacy_component", func=lambda doc: doc)
    (tmp_path / "evil_package.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'canary')!r}).touch()")
    sys.path.insert(0, str(tmp_path))
    yield tmp_path / "canary"
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_config_names_nothing_but_spacys_own(tmp_path: Path, canary: Path, kind: str) -> None:
    home = tampered(tmp_path / "m", *HOSTILE[kind])
    for load in (pack.pyfunc.load_model, pack.load_model):
        for trust in (None, "safe"):
            with pytest.raises(pack.PackError, match=r"names|no config") as raised:
                load(home, trust=trust)
            assert isinstance(raised.value, (Untrusted, InvalidValue))
            assert tells_of_code(home) is isinstance(raised.value, Untrusted)
    assert not canary.exists()
    assert "evil_package" not in sys.modules


def test_a_pipeline_that_predicts_nothing_is_inspected_too(tmp_path: Path, canary: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("test_spacy_component")
    pack.save_model(nlp, tmp_path / "m")
    assert list(Model.load(tmp_path / "m").flavors) == ["spacy"]
    assert tells_of_code(tmp_path / "m")
    assert not canary.exists()


@pytest.mark.parametrize(
    "text", ['[nlp]\nlang = "qq"', '[nlp]\nlang = "en"\n[components]\na = 5', "[nlp]\n[components]\na = 5", "nlp = 5"]
)
def test_a_config_of_an_odd_shape_is_neither_judged_nor_opened(tmp_path: Path, text: str) -> None:
    home = tampered(tmp_path / "m")
    (home / "model.spacy" / "config.cfg").write_text(text, encoding="utf-8")
    assert str(describe(str(home))[0]["loading_runs_code"]).startswith("unknown")
    with pytest.raises(InvalidValue):
        pack.load_model(home, trust=True)


@pytest.mark.parametrize("kind", [kind for kind, swaps in HOSTILE.items() if "test_spacy.canary" in str(swaps)])
def test_those_names_would_have_run_and_do_for_who_trusts_the_model(tmp_path: Path, canary: Path, kind: str) -> None:
    with suppress(InvalidValue):
        pack.load_model(tampered(tmp_path / "m", *HOSTILE[kind]), trust=True)
    assert canary.exists()


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b", "/etc", "C:evil", "a\\b"])
def test_a_component_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    home = tampered(tmp_path / "m", '"textcat"]', f'"{name}"]'.replace("\\", "\\\\"))
    path = home / "model.spacy" / "config.cfg"
    path.write_text(path.read_text(encoding="utf-8").replace("[components.textcat", f"[components.{name}"))
    with pytest.raises(InvalidValue):
        pack.load_model(home, trust=True)


@pytest.mark.parametrize(
    "text", ["", "[nlp", "a = 1", "[nlp]\nlang = " + "[" * 100_000, "[nlp]\nlang = ${a.b}", "[nlp]"]
)
def test_what_is_no_config_is_a_clear_error(tmp_path: Path, text: str) -> None:
    home = tampered(tmp_path / "m")
    (home / "model.spacy" / "config.cfg").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidValue):
        pack.load_model(home, trust=True)


@pytest.mark.parametrize("name", ["textcat/model", "tokenizer", "vocab/vectors", "meta.json", "vocab/strings.json"])
def test_what_is_no_pipeline_is_a_clear_error(tmp_path: Path, name: str) -> None:
    home = tampered(tmp_path / "m")
    (home / "model.spacy" / name).write_bytes(b"\x93NUMPY\x01nothing of this kind")
    with pytest.raises(InvalidValue, match="is no pipeline that spaCy"):
        pack.load_model(home)


def test_vectors_that_hold_a_pickle_are_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "canary",)

    home = tampered(tmp_path / "m")
    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    (home / "model.spacy" / "vocab" / "vectors").write_bytes((tmp_path / "evil.npy").read_bytes())
    with pytest.raises(InvalidValue, match="allow_pickle=False"):
        pack.load_model(home, trust=True)
    assert not (tmp_path / "canary").exists()


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack.save_model(categorizer(), tmp_path / "m")
    load = spacy.util.load_model_from_config

    def swapped(*given: Any, **options: Any) -> Any:
        (tmp_path / "m" / "model.spacy" / "textcat" / "cfg").write_text('{"labels":["X","Y"],"threshold":0.1}')
        return load(*given, **options)

    monkeypatch.setattr(spacy.util, "load_model_from_config", swapped)
    with pytest.raises(Damaged, match=r"textcat/cfg.* changed"):
        pack.pyfunc.load_model(tmp_path / "m")


CODE = """
import spacy
from spacy.language import Language

@Language.component("test_spacy_shout_{number}")
def shout(doc):
    for label in doc.cats:
        doc.cats[label] += 10
    return doc
"""


def test_components_of_ones_own_travel_along_and_need_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "test_spacy_shout_1"
    (tmp_path / "shouting.py").write_text(CODE.format(number=1), encoding="utf-8")
    exec((tmp_path / "shouting.py").read_text(encoding="utf-8"), {"__name__": "shouting"})
    nlp = pipeline()
    nlp.add_pipe(name)
    pack.spacy.save_model(nlp, tmp_path / "m", code_paths=[str(tmp_path / "shouting.py")])
    with pytest.raises(Untrusted, match=name):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    monkeypatch.delitem(catalogue.REGISTRY, ("spacy", "internal_factories", name))
    assert not Language.has_factory(name)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert min(loaded.predict(["good"])["predictions"][0].values()) > 10
