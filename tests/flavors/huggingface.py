"""Tiny models and tokenizers, made in memory: nothing is ever fetched."""

from __future__ import annotations

import json
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest

from pack.mlmodel import Model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

TEXT = "the cat dog sat on mat ran fast a who paris of this example is about politics sport . ? me hello"


def tokenizer(*, bert: bool = True) -> Any:
    """A tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if bert else ["<pad>", "<unk>", "<eos>"]
    made = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate([*special, *TEXT.split()])}, special[1])
    )
    if not bert:
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        names = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "<eos>"}
    else:
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        names = {name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token", "sep_token")}
        names["mask_token"] = "[MASK]"
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=32, **names)


def bert(kind: str, **options: Any) -> Any:
    """A BERT of one layer, its weights large enough to tell texts apart."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40, pad_token_id=0, initializer_range=0.8, **options,
    )  # fmt: skip
    return getattr(transformers, kind)(config).eval()


def gpt(tokens: int = 4) -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=64, bos_token_id=2, eos_token_id=2, pad_token_id=0,
        initializer_range=0.8,
    )  # fmt: skip
    made = transformers.GPT2LMHeadModel(config).eval()
    made.generation_config.max_new_tokens, made.generation_config.do_sample = tokens, False
    return made


def pipe(task: str) -> Any:
    """A pipeline for the task, with random weights."""
    kinds = {
        "text-classification": "BertForSequenceClassification",
        "token-classification": "BertForTokenClassification",
        "fill-mask": "BertForMaskedLM",
        "feature-extraction": "BertModel",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if task == "image-classification":
            return transformers.pipeline(task, model=vit(), image_processor=processor())
        if task == "text-generation":
            return transformers.pipeline(task, model=gpt(), tokenizer=tokenizer(bert=False))
        if task == "zero-shot-classification":
            names = ["entailment", "neutral", "contradiction"]
            labels = {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}
            made = bert("BertForSequenceClassification", **labels)
        else:
            made = bert(kinds[task], **({"num_labels": 3} if "class" in task else {}))
        return transformers.pipeline(task, model=made, tokenizer=tokenizer())


def processor() -> Any:
    """The image processor that needs Pillow alone."""
    kind = getattr(transformers, "ViTImageProcessorPil", None) or transformers.ViTImageProcessor
    return kind(size={"height": 16, "width": 16})


def vit() -> Any:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8,
        num_labels=3,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config).eval()


@lru_cache(maxsize=1)
def picture() -> Any:
    from PIL import Image

    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype="uint8"))


def unseal(home: Path, change: Any = None, block: str = "") -> None:
    """Take the digests out of a model's MLmodel file; `change` is what its flavor's block becomes."""
    described = Model.load(home)
    if change:
        described.flavors[block].update(change)
    (home / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")


def edit(path: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.update(values)
    path.write_text(json.dumps(content), encoding="utf-8")
