"""The sentence_transformers flavor."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidValue, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code
from tests.flavors.huggingface import bert, edit, tokenizer, unseal

sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:(mlflow|torch|transformers|sentence_transformers).*"),
]
FOLDER = "model.sentence_transformer"


@lru_cache(maxsize=1)
def base() -> str:
    """A model of transformers on the disk, as sentence_transformers reads one."""
    home = tempfile.mkdtemp(prefix="pack-base-")
    bert("BertModel").save_pretrained(home)
    tokenizer().save_pretrained(home)
    return home


def encoder(*more: Any) -> Any:
    from sentence_transformers import models

    parts = [models.Transformer(base()), models.Pooling(16), *more]
    return sentence_transformers.SentenceTransformer(modules=parts, device="cpu")


class TestSentenceTransformers(FlavorInterop):
    flavor = "sentence_transformers"

    def model(self) -> Any:
        return encoder()

    def rows(self) -> Any:
        return ["the cat sat", "the dog ran fast"]

    def expected(self) -> Any:
        return self.model().encode(self.rows())


def saved(home: Path, *more: Any, **options: Any) -> Any:
    pack.sentence_transformers.save_model(encoder(*more), home, **options)
    return pack.pyfunc.load_model(home)


def test_it_is_written_as_mlflow_writes_it(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    theirs = pytest.importorskip("mlflow").sentence_transformers
    theirs.save_model(encoder(), tmp_path / "t", pip_requirements=["numpy"])
    there, here = Model.load(tmp_path / "t"), Model.load(tmp_path / "m")
    assert there.signature == here.signature
    block = here.flavors["sentence_transformers"]
    # A folder of this machine is not the name of a model.
    assert {**there.flavors["sentence_transformers"], "source_model_name": "", "data": FOLDER} == block
    assert there.flavors["python_function"].keys() == here.flavors["python_function"].keys() - {"code"}


@pytest.mark.parametrize(
    "rows", ["the cat", ["the cat"], np.array(["the cat"]), pd.Series(["the cat"]), pd.DataFrame({"x": ["the cat"]})]
)
def test_texts_come_in_many_shapes(tmp_path: Path, rows: Any) -> None:
    found = saved(tmp_path / "m").predict(rows)
    assert (found.shape, found.dtype) == ((1, 16), np.float32)
    assert same(found, encoder().encode(["the cat"]))
    with pytest.raises(SchemaMismatch):
        pack.pyfunc.load_model(tmp_path / "m").predict([3])


def test_params_become_arguments_of_encode(tmp_path: Path) -> None:
    loaded = saved(tmp_path / "m", input_example=(["the cat"], {"normalize_embeddings": True}))
    assert np.allclose(np.linalg.norm(loaded.predict(["the cat sat"]), axis=1), 1, atol=1e-5)
    plain = loaded.predict(["the cat sat"], {"normalize_embeddings": False})
    assert same(plain, encoder().encode(["the cat sat"]))


def test_params_that_encode_does_not_take_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="speed"):
        saved(tmp_path / "m", input_example=(["the cat"], {"speed": 3}))
    with pytest.raises(InvalidValue, match="device cannot be set"):
        saved(tmp_path / "m", input_example=(["the cat"], {"device": "cuda:7"}))


def test_embeddings_are_asked_for_as_openais(tmp_path: Path) -> None:
    loaded = saved(tmp_path / "m", task="llm/v1/embeddings")
    found = loaded.predict(pd.DataFrame({"input": ["the cat", "dog"]}))
    assert (found["object"], found["usage"]) == ("list", {"prompt_tokens": 7, "total_tokens": 7})
    theirs = pytest.importorskip("mlflow")
    expected = theirs.pyfunc.load_model(str(tmp_path / "m")).predict(pd.DataFrame({"input": ["the cat", "dog"]}))
    one, other = ([item["embedding"] for item in answer["data"]] for answer in (found, expected))
    assert same(one, other)
    assert found["usage"] == expected["usage"]
    theirs.sentence_transformers.save_model(
        encoder(), tmp_path / "t", task="llm/v1/embeddings", pip_requirements=["numpy"]
    )
    there, here = Model.load(tmp_path / "t"), Model.load(tmp_path / "m")
    assert (there.signature, there.metadata) == (here.signature, here.metadata)
    with pytest.raises(InvalidValue, match="task='other'"):
        saved(tmp_path / "n", task="other")


def test_all_of_its_modules_come_back(tmp_path: Path) -> None:
    from sentence_transformers import models

    dense = models.Dense(16, 4)
    loaded = saved(tmp_path / "m", dense, models.Normalize())
    assert same(loaded.predict(["the cat"]), encoder(dense, models.Normalize()).encode(["the cat"]))
    assert pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(["the cat"]).shape == (1, 4)


@pytest.mark.parametrize(
    "kind", ["os.system", "evil.Module", "sentence_transformers.evil.Pooling", "torch.hub.load", 3]
)
def test_a_module_that_the_model_names_is_never_imported(tmp_path: Path, kind: Any) -> None:
    saved(tmp_path / "m")
    folder = tmp_path / "m" / FOLDER
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "evil.py").unlink() if kind == 3 else None
    unseal(tmp_path / "m")
    for load in (pack.pyfunc.load_model, pack.sentence_transformers.load_model):
        with pytest.raises(Untrusted, match="not trusted"):
            load(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("path", ["../../secret", "/etc", "a/../../b", "..\\x"])
def test_a_module_lies_in_the_model(tmp_path: Path, path: str) -> None:
    saved(tmp_path / "m")
    modules = json.loads((tmp_path / "m" / FOLDER / "modules.json").read_text())
    modules[1]["path"] = path
    (tmp_path / "m" / FOLDER / "modules.json").write_text(json.dumps(modules))
    unseal(tmp_path / "m")
    with pytest.raises(InvalidValue, match="outside the model"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sentence_bert_config.json", {"model_args": {"use_safetensors": False}}),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"config_kwargs": {"attn_implementation": "evil/kernel"}}),
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("2_Dense/config.json", {"activation_function": "torch.utils.collect_env.run"}),
        ("2_Dense/config.json", {"activation_function": "os.system"}),
    ],
)
def test_a_configuration_cannot_have_other_code_run(tmp_path: Path, name: str, values: dict[str, Any]) -> None:
    from sentence_transformers import models

    saved(tmp_path / "m", models.Dense(16, 4))
    edit(tmp_path / "m" / FOLDER / name, **values)
    unseal(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    with pytest.raises(Untrusted, match="not trusted"):
        pack.pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize("place", ["model.safetensors", "2_Dense/model.safetensors"])
def test_pickled_weights_are_not_opened(tmp_path: Path, place: str) -> None:
    from sentence_transformers import models

    saved(tmp_path / "m", models.Dense(16, 4))
    weights, canary = tmp_path / "m" / FOLDER / place, tmp_path / "canary"
    weights.unlink()
    weights.with_name("pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    unseal(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    with pytest.raises(Untrusted, match="pickle"):
        pack.pyfunc.load_model(tmp_path / "m")
    assert not canary.exists()


@pytest.mark.parametrize("name", ["modules.json", "config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_files_are_a_clear_error(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "m")
    (tmp_path / "m" / FOLDER / name).write_bytes(b"nothing")
    unseal(tmp_path / "m")
    with pytest.raises(InvalidValue) as caught:
        pack.pyfunc.load_model(tmp_path / "m")
    assert str(tmp_path) not in str(caught.value)
