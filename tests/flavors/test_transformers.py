"""The transformers flavor."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import Damaged, InvalidValue, SchemaMismatch, Untrusted
from pack.flavors import detect
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code
from tests.flavors.huggingface import bert, edit, gpt, picture, pipe, tokenizer, unseal

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # What MLflow says as it saves, and torch where it finds no accelerator.
    pytest.mark.filterwarnings("ignore::UserWarning:(mlflow|torch|transformers).*"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),
]


class Pipelines(FlavorInterop):
    flavor = "transformers"
    task: ClassVar[str]

    def model(self) -> Any:
        return pipe(self.task)

    def rows(self) -> Any:
        return ["the cat sat", "the dog ran fast"]


class TestTextClassification(Pipelines):
    task = "text-classification"

    def expected(self) -> Any:
        return pd.DataFrame(self.model()(self.rows()))


class TestTextPairs(Pipelines):
    task = "text-classification"

    def rows(self) -> Any:
        return pd.DataFrame({"text": ["the cat", "the dog"], "text_pair": ["sat on", "ran fast"]})

    def expected(self) -> Any:
        return pd.DataFrame(self.model()(self.rows().to_dict(orient="records")))


class TestTokenClassification(Pipelines):
    task = "token-classification"

    def expected(self) -> Any:
        return [",".join(one["entity"] for one in row) for row in self.model()(self.rows())]


class TestFillMask(Pipelines):
    task = "fill-mask"

    def rows(self) -> Any:
        return ["the [MASK] sat", "the cat [MASK]"]

    def expected(self) -> Any:
        return [row[0]["token_str"] for row in self.model()(self.rows())]


class TestFeatureExtraction(Pipelines):
    task = "feature-extraction"

    def rows(self) -> Any:
        return ["the cat sat"]

    def expected(self) -> Any:
        return np.array(self.model()(self.rows()))[0, 0]


class TestTextGeneration(Pipelines):
    task = "text-generation"

    def expected(self) -> Any:
        return [row[0]["generated_text"] for row in self.model()(self.rows())]


class TestZeroShot(Pipelines):
    task = "zero-shot-classification"

    def rows(self) -> Any:
        return {"sequences": ["the cat sat"], "candidate_labels": ["politics", "sport"]}

    def expected(self) -> Any:
        found = self.model()("the cat sat", ["politics", "sport"])
        return pd.DataFrame({"sequence": found["sequence"], "labels": found["labels"], "scores": found["scores"]})


class TestImageClassification(Pipelines):
    task = "image-classification"

    def rows(self) -> Any:
        pytest.importorskip("PIL")
        return [encoded(), encoded()]

    def expected(self) -> Any:
        return pd.DataFrame([self.model()(picture())] * 2)


def encoded(kind: str = "PNG") -> str:
    file = io.BytesIO()
    picture().save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def saved(task: str, home: Path, **options: Any) -> Any:
    """A pipeline for the task, saved and loaded."""
    pack.transformers.save_model(pipe(task), home, **options)
    return pack.pyfunc.load_model(home)


SIGNATURES = {
    "text-classification": ("[string (required)]", "['label': string (required), 'score': double (required)]"),
    "token-classification": ("[string (required)]", "[string (required)]"),
    "fill-mask": ("[string (required)]", "[string (required)]"),
    "text-generation": ("[string (required)]", "[string (required)]"),
    "feature-extraction": ("[string (required)]", "['double': Tensor('float64', (-1,))]"),
    "image-classification": ("[string (required)]", "['label': string (required), 'score': double (required)]"),
    "zero-shot-classification": (
        (
            "['sequences': string (required), 'candidate_labels': string (required), "
            "'hypothesis_template': string (required)]"
        ),
        "['sequence': string (required), 'labels': string (required), 'scores': double (required)]",
    ),
}


@pytest.mark.parametrize("task", SIGNATURES)
def test_the_task_gives_the_signature_and_mlflow_gives_the_same(tmp_path: Path, task: str) -> None:
    signature = saved(task, tmp_path / "m").signature
    assert (str(signature.inputs), str(signature.outputs)) == SIGNATURES[task]
    theirs = pytest.importorskip("mlflow").transformers
    theirs.save_model(pipe(task), tmp_path / "t", pip_requirements=["numpy"])
    there, here = Model.load(tmp_path / "t"), Model.load(tmp_path / "m")
    assert there.signature == signature
    blocks = [{**one.flavors["transformers"]} for one in (there, here)]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize(
    "rows",
    [
        "the cat sat",
        ["the cat sat"],
        np.array(["the cat sat"]),
        np.array([["the cat sat"]]),
        pd.Series(["the cat sat"]),
        pd.DataFrame({"any name": ["the cat sat"]}),
        pd.DataFrame({"text": pd.array(["the cat sat"], dtype="string")}),
    ],
)
def test_texts_come_in_many_shapes(tmp_path: Path, rows: Any) -> None:
    pack.transformers.save_model(pipe("token-classification"), tmp_path / "m")
    pack.transformers.save_model(pipe("token-classification"), tmp_path / "n", signature=False)
    expected = TestTokenClassification().expected()[:1]
    assert pack.pyfunc.load_model(tmp_path / "m").predict(rows) == expected
    assert pack.pyfunc.load_model(tmp_path / "n").predict(rows) == expected


def test_no_rows_are_no_answers(tmp_path: Path) -> None:
    loaded = saved("token-classification", tmp_path / "m", signature=False)
    assert loaded.predict([]) == []
    assert loaded.predict([""]) == [""]
    with pytest.raises(SchemaMismatch, match="row 1 holds int"):
        loaded.predict(["the cat", 3])


def test_params_become_arguments_of_the_call(tmp_path: Path) -> None:
    example = (["the cat"], {"max_new_tokens": 2})
    loaded = saved("text-generation", tmp_path / "m", input_example=example)
    assert loaded.predict(["the cat"]) == [pipe("text-generation")("the cat", max_new_tokens=2)[0]["generated_text"]]
    longer = loaded.predict(["the cat"], {"max_new_tokens": 6})
    assert longer == [pipe("text-generation")("the cat", max_new_tokens=6)[0]["generated_text"]]
    with pytest.raises(InvalidValue, match="takes no param"):
        loaded.predict(["the cat"], {"trust_remote_code": True})


@pytest.mark.parametrize("name", ["trust_remote_code", "custom_generate", "assistant_model", "tokenizer", "token"])
def test_a_call_cannot_have_the_model_fetch_or_run_something(tmp_path: Path, name: str) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "generate.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')", encoding="utf-8")
    given = {name: str(tmp_path / "evil")}
    with pytest.raises(InvalidValue, match=f"{name} cannot be set"):
        saved("text-generation", tmp_path / "m", input_example=(["the cat"], given))
    loaded = saved("text-generation", tmp_path / "n", model_config=given)
    with pytest.raises(InvalidValue, match=f"{name} cannot be set"):
        loaded.predict(["the cat"])
    assert not (tmp_path / "canary").exists()


def test_params_that_the_pipeline_does_not_take_are_named(tmp_path: Path) -> None:
    loaded = saved("text-generation", tmp_path / "m", model_config={"speed": 3})
    with pytest.raises(InvalidValue, match="speed"):
        loaded.predict(["the cat"])


def test_the_arguments_of_every_call_are_kept_where_mlflow_looks_for_them(tmp_path: Path) -> None:
    loaded = saved("text-generation", tmp_path / "m", model_config={"max_new_tokens": 2, "do_sample": False})
    assert Model.load(tmp_path / "m").flavors["python_function"]["config"] == {"max_new_tokens": 2, "do_sample": False}
    short = [pipe("text-generation")("the cat", max_new_tokens=2)[0]["generated_text"]]
    assert loaded.predict(["the cat"]) == short
    assert pytest.importorskip("mlflow").pyfunc.load_model(str(tmp_path / "m")).predict(["the cat"]) == short
    changed = pack.pyfunc.load_model(tmp_path / "m", model_config={"max_new_tokens": 5})
    assert len(changed.predict(["the cat"])[0]) > len(short[0])


def test_a_prompt_template_is_kept_where_mlflow_looks_for_it(tmp_path: Path) -> None:
    template = "hello {prompt} ? {x}"
    loaded = saved("text-generation", tmp_path / "m", prompt_template=template)
    expected = pipe("text-generation")("hello the cat ? {x}", return_full_text=False)[0]["generated_text"]
    assert loaded.predict(["the cat"]) == [expected]
    assert Model.load(tmp_path / "m").metadata == {"prompt_template": template}
    theirs = pytest.importorskip("mlflow")
    theirs.transformers.save_model(
        pipe("text-generation"), tmp_path / "t", prompt_template="hello {prompt} ?", pip_requirements=["numpy"]
    )
    expected = theirs.pyfunc.load_model(str(tmp_path / "t")).predict(["the cat"])
    assert pack.pyfunc.load_model(tmp_path / "t", suppress_warnings=True).predict(["the cat"]) == expected
    with pytest.raises(InvalidValue, match=r"lacks \{prompt\}"):
        pack.transformers.save_model(pipe("text-generation"), tmp_path / "n", prompt_template="hello")


def test_the_prompt_and_blanks_can_be_left_out(tmp_path: Path) -> None:
    loaded = saved(
        "text-generation", tmp_path / "m", model_config={"include_prompt": False, "collapse_whitespace": True}
    )
    expected = pipe("text-generation")("the cat", return_full_text=False)[0]["generated_text"]
    assert loaded.predict(["the cat"]) == [" ".join(expected.split())]


def test_several_answers_for_a_row_are_a_list(tmp_path: Path) -> None:
    loaded = saved(
        "text-generation", tmp_path / "m", signature=False, model_config={"num_return_sequences": 2, "num_beams": 2}
    )
    assert [len(one) for one in loaded.predict(["the cat", "the dog"])] == [2, 2]


def test_several_labels_for_a_row_are_columns(tmp_path: Path) -> None:
    loaded = saved("text-classification", tmp_path / "m", model_config={"top_k": 2})
    found = loaded.predict(["the cat", "the dog"])
    assert found.shape == (2, 2)
    assert found[0][0].keys() == {"label", "score"}


def test_several_masks_are_several_tokens(tmp_path: Path) -> None:
    loaded = saved("fill-mask", tmp_path / "m")
    alone = loaded.predict(["[MASK] cat [MASK]"])
    assert len(alone) == 1
    assert alone[0].count(",") == 1
    assert loaded.predict(["the [MASK]", "[MASK] cat [MASK]"])[1:] == alone


def test_entities_are_grouped_on_request(tmp_path: Path) -> None:
    loaded = saved("token-classification", tmp_path / "m", model_config={"aggregation_strategy": "simple"})
    found = pipe("token-classification")("the cat sat", aggregation_strategy="simple")
    assert loaded.predict(["the cat sat"]) == [",".join(one["entity_group"] for one in found)]


def test_features_of_several_texts_are_as_long_as_the_texts(tmp_path: Path) -> None:
    found = saved("feature-extraction", tmp_path / "m").predict(["the cat sat", "dog"])
    assert [one.shape for one in found] == [(5, 16), (3, 16)]


def test_labels_come_as_json_text_or_one_a_row(tmp_path: Path) -> None:
    loaded = saved("zero-shot-classification", tmp_path / "m")
    template = "this example is about {}"
    rows = [
        {"sequences": one, "candidate_labels": '["politics", "sport"]', "hypothesis_template": template} for one in "ab"
    ]
    found = loaded.predict(rows)
    assert found["sequence"].tolist() == list("aabb")
    assert sorted(found["labels"][:2]) == ["politics", "sport"]
    spread = pd.DataFrame(
        {"sequences": ["a", "b"], "candidate_labels": ["politics", "sport"], "hypothesis_template": [template] * 2}
    )
    assert same(loaded.predict(spread), found)
    with pytest.raises(SchemaMismatch, match="neither a list nor one as JSON"):
        loaded.predict([{**rows[0], "candidate_labels": "[politics"}])


@pytest.mark.parametrize("row", ["https://127.0.0.1:9/cat.png", "/etc/hostname", "file:///etc/hostname", "AAAA", ""])
def test_images_are_never_fetched(tmp_path: Path, row: str) -> None:
    with pytest.raises(SchemaMismatch, match="holds no image"):
        saved("image-classification", tmp_path / "m").predict([row])


def test_images_come_as_text_bytes_and_arrays(tmp_path: Path) -> None:
    loaded = saved("image-classification", tmp_path / "m", signature=False, model_config={"top_k": 1})
    expected = pipe("image-classification")(picture())[0]["label"]
    forms = [
        encoded(),
        f"data:image/png;base64,{encoded()}",
        base64.b64decode(encoded()),
        np.asarray(picture()),
        [picture()],
    ]
    for form in forms:
        assert loaded.predict(form)[0][0]["label"] == expected


def test_conversations_are_continued(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "the cat"}]
    model = pipe("text-generation")
    model.tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    pack.transformers.save_model(model, tmp_path / "m", signature=False)
    found = pack.pyfunc.load_model(tmp_path / "m").predict(chat)
    assert found == [model(chat)[0]["generated_text"][-1]["content"]]


def test_parts_make_a_pipeline(tmp_path: Path) -> None:
    parts = {"model": bert("BertForMaskedLM"), "tokenizer": tokenizer()}
    pack.transformers.save_model(parts, tmp_path / "m", task="fill-mask", input_example=["the [MASK] sat"])
    assert pack.pyfunc.load_model(tmp_path / "m").predict(["the [MASK] sat"]) == TestFillMask().expected()[:1]
    found = pack.transformers.load_model(tmp_path / "m", return_type="components")
    assert found.keys() == {"task", "model", "tokenizer"}
    assert detect(pack.transformers.load_model(tmp_path / "m", device="cpu")) == "transformers"
    with pytest.raises(InvalidValue, match="return_type='other'"):
        pack.transformers.load_model(tmp_path / "m", return_type="other")


@pytest.mark.parametrize(
    ("model", "options", "match"),
    [
        ({"model": 1}, {}, "task is missing"),
        ({"tokenizer": 1}, {"task": "fill-mask"}, "model is missing"),
        ({"model": 1, "weights": 2}, {"task": "fill-mask"}, "unknown: weights"),
        ("bert-base", {}, "str is no pipeline"),
        (1, {"save_pretrained": False}, "saved whole"),
        (1, {"torch_dtype": "os.system"}, "torch_dtype='os.system'"),
        (1, {"task": "llm/v1/chat"}, "int is no pipeline"),
    ],
)
def test_what_is_no_pipeline_is_a_clear_error(tmp_path: Path, model: Any, options: Any, match: str) -> None:
    with pytest.raises(InvalidValue, match=match):
        pack.transformers.save_model(model, tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def test_a_model_alone_asks_for_its_tokenizer(tmp_path: Path) -> None:
    model = bert("BertForMaskedLM")
    assert detect(model) == "transformers"
    with pytest.raises(InvalidValue, match="BertForMaskedLM is no pipeline"):
        pack.save_model(model, tmp_path / "m")
    with pytest.raises(InvalidValue, match="make no fill-mask pipeline"):
        pack.transformers.save_model({"model": model}, tmp_path / "m", task="fill-mask")


@pytest.mark.parametrize(
    "task", ["summarization", "translation_en_to_fr", "question-answering", "text2text-generation"]
)
def test_a_task_that_transformers_has_no_more_is_a_clear_error(tmp_path: Path, task: str) -> None:
    parts = {"model": bert("BertForMaskedLM"), "tokenizer": tokenizer()}
    with pytest.raises(InvalidValue, match="has no pipeline for"):
        pack.transformers.save_model(parts, tmp_path / "m", task=task)
    saved("fill-mask", tmp_path / "m")
    unseal(tmp_path / "m", {"task": task}, "transformers")
    with pytest.raises(InvalidValue, match="has no pipeline for"):
        pack.pyfunc.load_model(tmp_path / "m")
    found = pack.transformers.load_model(tmp_path / "m", return_type="components")
    assert type(found["model"]).__name__ == "BertForMaskedLM"


def test_a_task_that_does_not_predict_here_is_saved_and_loaded_natively(tmp_path: Path) -> None:
    parts = {"model": transformers.ViTModel(TestImageClassification().model().model.config), "image_processor": image()}
    pack.transformers.save_model(parts, tmp_path / "m", task="image-feature-extraction")
    assert "python_function" not in Model.load(tmp_path / "m").flavors
    assert pack.load_model(tmp_path / "m").task == "image-feature-extraction"


def image() -> Any:
    return pipe("image-classification").image_processor


def test_half_precision_stays_half(tmp_path: Path) -> None:
    model = pipe("text-classification")
    model.model.to(torch.bfloat16)
    pack.transformers.save_model(model, tmp_path / "m")
    assert pack.transformers.load_model(tmp_path / "m").model.dtype == torch.bfloat16
    assert Model.load(tmp_path / "m").flavors["transformers"]["torch_dtype"] == "torch.bfloat16"


def test_shards_and_tied_weights_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pack.flavors.transformers._SHARD", "5KB")
    loaded = saved("text-generation", tmp_path / "m")
    assert len(list((tmp_path / "m" / "model").glob("*.safetensors"))) > 1
    assert loaded.predict(TestTextGeneration().rows()) == TestTextGeneration().expected()


@pytest.mark.parametrize("shard", ["../../secret.safetensors", "/etc/passwd", "model.bin", "a/b.safetensors", 3])
def test_shards_outside_of_the_model_are_never_looked_at(
    tmp_path: Path, shard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pack.flavors.transformers._SHARD", "5KB")
    saved("text-generation", tmp_path / "m")
    path = tmp_path / "m" / "model" / "model.safetensors.index.json"
    names = json.loads(path.read_text())["weight_map"]
    edit(path, weight_map={**names, next(iter(names)): shard})
    unseal(tmp_path / "m")
    with pytest.raises(InvalidValue, match="outside the model"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


CODE = "from pathlib import Path\nPath({canary!r}).touch()\nfrom transformers import BertConfig, BertForMaskedLM\n"


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "EvilModel"])
@pytest.mark.parametrize("place", ["config.json", "tokenizer_config.json"])
def test_code_that_a_model_brings_does_not_run_in_safe_mode(tmp_path: Path, kind: str, place: str) -> None:
    saved("fill-mask", tmp_path / "m")
    canary = tmp_path / "canary"
    folder = tmp_path / "m" / ("model" if place == "config.json" else "components/tokenizer")
    (folder / "evil.py").write_text(CODE.format(canary=str(canary)) + "class EvilModel(BertForMaskedLM): pass\n")
    edit(folder / place, auto_map={"AutoModelForMaskedLM": "evil.EvilModel", "AutoTokenizer": ["evil.EvilModel", None]})
    named = "pipeline_model_type" if place == "config.json" else "tokenizer_type"
    change = {} if kind == "BertForMaskedLM" else {named: kind}
    unseal(tmp_path / "m", change, "transformers")
    for load in (pack.pyfunc.load_model, pack.transformers.load_model):
        with pytest.raises(Untrusted, match="not trusted"):
            load(tmp_path / "m", trust="safe")
        with pytest.raises(Untrusted, match="not trusted"):
            load(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    assert not canary.exists()


def test_a_class_of_ones_own_travels_along_and_runs_where_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own_model_of_mine.py").write_text(
        "from transformers import BertForMaskedLM\n\n\nclass OwnModel(BertForMaskedLM):\n    mine = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = __import__("own_model_of_mine").OwnModel
    model = own(bert("BertForMaskedLM").config).eval()
    made = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer())
    with pytest.raises(InvalidValue, match="not a class of transformers"):
        pack.transformers.save_model(made, tmp_path / "n")
    own.register_for_auto_class("AutoModelForMaskedLM")
    pack.transformers.save_model(made, tmp_path / "m")
    assert (tmp_path / "m" / "model" / "own_model_of_mine.py").is_file()
    with pytest.raises(Untrusted, match="OwnModel"):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust=True)
    assert loaded.get_raw_model().model.mine
    assert loaded.predict(["the [MASK]"]) == [made("the [MASK]")[0]["token_str"]]


@pytest.mark.parametrize(
    "values",
    [
        {"custom_pipelines": {"fill-mask": {"impl": "evil.Pipe"}}},
        {"attn_implementation": "evil/kernel"},
        {"_attn_implementation": {"text": "evil/kernel@main:run"}},
        {"quantization_config": {"quant_method": "torchao"}},
        {"transformers_weights": "../evil.bin"},
        {"text_config": {"deep": [{"auto_map": {"AutoModel": "evil--evil.Model"}}]}},
        {"trust_remote_code": True},
    ],
)
def test_a_configuration_cannot_have_other_code_run(tmp_path: Path, values: dict[str, Any]) -> None:
    saved("fill-mask", tmp_path / "m")
    edit(tmp_path / "m" / "model" / "config.json", **values)
    unseal(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    with pytest.raises(Untrusted, match="not trusted"):
        pack.pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize("key", ["vocab_file", "tokenizer_file", "merges_file"])
def test_a_tokenizer_reads_no_file_from_elsewhere(tmp_path: Path, key: str) -> None:
    saved("fill-mask", tmp_path / "m")
    (tmp_path / "secret").write_text("[MASK]\n", encoding="utf-8")
    edit(tmp_path / "m" / "components" / "tokenizer" / "tokenizer_config.json", **{key: "../../../secret"})
    unseal(tmp_path / "m")
    with pytest.raises(Untrusted, match="names a file elsewhere"):
        pack.pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["pytorch_model.bin", ".metadata", "__0_0.distcp"])
def test_pickled_weights_are_not_opened(tmp_path: Path, name: str) -> None:
    saved("fill-mask", tmp_path / "m")
    weights = tmp_path / "m" / "model" / "model.safetensors"
    if name.endswith(".bin"):
        weights.unlink()
    canary = tmp_path / "canary"
    weights.with_name(name).write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    unseal(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    with pytest.raises(Untrusted, match="pickle"):
        pack.pyfunc.load_model(tmp_path / "m")
    assert not canary.exists()


@pytest.mark.parametrize("name", ["os.system", "Pipeline", "pipeline", "BertTokenizer", "x" * 10_000, "../evil"])
def test_a_class_that_the_model_names_is_one_of_transformers_models(tmp_path: Path, name: str) -> None:
    saved("fill-mask", tmp_path / "m")
    unseal(tmp_path / "m", {"pipeline_model_type": name}, "transformers")
    with pytest.raises(Untrusted, match="is not a class of transformers"):
        pack.pyfunc.load_model(tmp_path / "m")
    with pytest.raises(InvalidValue, match="its code is not in the model"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


def test_weights_that_are_missing_are_never_made_up(tmp_path: Path) -> None:
    saved("fill-mask", tmp_path / "m")
    unseal(tmp_path / "m", {"pipeline_model_type": "BertForSequenceClassification"}, "transformers")
    with pytest.raises(InvalidValue, match="weights of BertForSequenceClassification are not in the model"):
        pack.pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model/model.safetensors", b"\xff" * 8 + b"nothing"),
        ("model/model.safetensors", b""),
        ("model/config.json", b"{"),
        ("model/config.json", b"[" * 100_000),
        ("model/config.json", b'{"a":' * 300 + b"1" + b"}" * 300),
        ("components/tokenizer/tokenizer.json", b"{}"),
        ("components/tokenizer/tokenizer.json", b"\x00"),
    ],
)
def test_damaged_files_are_a_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    saved("fill-mask", tmp_path / "m")
    (tmp_path / "m" / name).write_bytes(content)
    with pytest.raises(Damaged):
        pack.pyfunc.load_model(tmp_path / "m")
    unseal(tmp_path / "m")
    with pytest.raises(InvalidValue) as caught:
        pack.pyfunc.load_model(tmp_path / "m")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"components": ["tokenizer", "../../evil"]}, "parts that are not known"),
        ({"inference_task": "llm/v9/evil"}, "inference_task"),
        ({"model_binary": "../../evil"}, "outside"),
        ({"peft_adaptor": "peft"}, "adapter"),
        ({"task": "evil"}, "has no pipeline"),
        ({"task": None}, "has no pipeline"),
        ({"config": ["evil"]}, "no mapping"),
    ],
)
def test_a_block_that_makes_no_sense_is_a_clear_error(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    saved("fill-mask", tmp_path / "m")
    unseal(tmp_path / "m", change, "transformers")
    with pytest.raises(pack.PackError, match=match):
        pack.pyfunc.load_model(tmp_path / "m")


def test_adapters_are_refused(tmp_path: Path) -> None:
    saved("fill-mask", tmp_path / "m")
    (tmp_path / "m" / "model" / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/base"}')
    unseal(tmp_path / "m")
    with pytest.raises(InvalidValue, match="merge the adapter"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


def test_where_a_configuration_once_came_from_is_forgotten(tmp_path: Path) -> None:
    model = pipe("fill-mask")
    model.model.config.auto_map = {"AutoModel": "someone/model--modeling.Model"}
    pack.transformers.save_model(model, tmp_path / "m")
    assert (
        pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(["the [MASK] sat"])
        == TestFillMask().expected()[:1]
    )


def chatty() -> Any:
    made = pipe("text-generation")
    made.tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    return made


def test_a_chat_model_is_asked_and_answers_as_openais(tmp_path: Path) -> None:
    pack.transformers.save_model(chatty(), tmp_path / "m", task="llm/v1/chat")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    asked = {"messages": [{"role": "user", "content": "the cat"}], "max_tokens": 3}
    (found,) = loaded.predict(asked)
    assert found["object"] == "chat.completion"
    assert found["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    (choice,) = found["choices"]
    assert choice["finish_reason"] == "length"
    ids = gpt().generate(**tokenizer(bert=False)("the cat", return_tensors="pt"), max_new_tokens=3)[0, 2:]
    said = tokenizer(bert=False).decode(ids)
    assert choice["message"] == {"role": "assistant", "content": said}
    (stopped,) = loaded.predict({**asked, "stop": [said.split()[0]]})
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert stopped["choices"][0]["message"]["content"] == ""
    with pytest.raises(InvalidValue, match="stream is not done"):
        loaded.predict({**asked, "stream": True})


def test_messages_alone_are_a_request(tmp_path: Path) -> None:
    pack.transformers.save_model(chatty(), tmp_path / "m", task="llm/v1/chat")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    messages = [{"role": "user", "content": "the cat"}]
    for asked in ({"messages": messages}, [{"messages": messages}], {"messages": messages, "stop": ["?"]}):
        (found,) = loaded.predict(asked)
        assert found["usage"]["prompt_tokens"] == 2


def test_a_chat_model_is_served_as_openais(tmp_path: Path) -> None:
    testclient = pytest.importorskip("starlette.testclient")
    from pack.serving import app

    pack.transformers.save_model(chatty(), tmp_path / "m", task="llm/v1/chat")
    asked = {"model": "m", "messages": [{"role": "user", "content": "the cat"}], "max_tokens": 2}
    with testclient.TestClient(app({"m": pack.pyfunc.load_model(tmp_path / "m")})) as client:
        answer = client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] == 2
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"


def test_the_tasks_of_openai_are_written_as_mlflow_writes_them(tmp_path: Path) -> None:
    theirs = pytest.importorskip("mlflow").transformers
    makers: dict[str, Callable[[], Any]] = {
        "llm/v1/chat": chatty,
        "llm/v1/completions": chatty,
        "llm/v1/embeddings": partial(pipe, "feature-extraction"),
    }
    for place, (task, maker) in enumerate(makers.items()):
        theirs.save_model(maker(), tmp_path / f"t{place}", task=task, pip_requirements=["numpy"])
        pack.transformers.save_model(maker(), tmp_path / f"m{place}", task=task)
        there, here = Model.load(tmp_path / f"t{place}"), Model.load(tmp_path / f"m{place}")
        assert there.flavors["transformers"] == here.flavors["transformers"]
        assert (there.signature, there.metadata) == (here.signature, here.metadata)
        pack.pyfunc.load_model(tmp_path / f"t{place}", suppress_warnings=True)


def test_prompts_are_completed(tmp_path: Path) -> None:
    pack.transformers.save_model(
        chatty(), tmp_path / "m", task="llm/v1/completions", input_example={"prompt": "the cat"}
    )
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    found = loaded.predict(pd.DataFrame({"prompt": ["the cat", "a dog"]}))
    assert [one["object"] for one in found] == ["text_completion"] * 2
    two = loaded.predict({"prompt": "the cat", "n": 2, "temperature": 0.5, "max_tokens": 2})
    assert [one["index"] for one in two[0]["choices"]] == [0, 1]


def test_embeddings_are_mlflows(tmp_path: Path) -> None:
    pack.transformers.save_model(pipe("feature-extraction"), tmp_path / "m", task="llm/v1/embeddings")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    found = loaded.predict(pd.DataFrame({"input": ["the cat", "dog"]}))
    assert found["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    theirs = pytest.importorskip("mlflow").pyfunc.load_model(str(tmp_path / "m"))
    expected = theirs.predict(pd.DataFrame({"input": ["the cat", "dog"]}))
    one, other = ([item["embedding"] for item in answer["data"]] for answer in (found, expected))
    assert same(one, other)


def test_openais_tasks_want_a_fitting_pipeline(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no chat_template"):
        pack.transformers.save_model(pipe("text-generation"), tmp_path / "m", task="llm/v1/chat")
    with pytest.raises(InvalidValue, match="cannot do llm/v1/chat"):
        pack.transformers.save_model(pipe("fill-mask"), tmp_path / "m", task="llm/v1/chat")


@pytest.mark.parametrize(
    ("task", "expected"), [("fill-mask", True), ("text-generation", False), ("zero-shot-classification", False)]
)
def test_rows_are_independent_where_there_is_one_answer_a_row(tmp_path: Path, task: str, expected: bool) -> None:
    assert saved(task, tmp_path / "m").rows_are_independent is expected
