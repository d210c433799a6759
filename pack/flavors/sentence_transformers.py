"""Models of sentence_transformers: a vector for each text, weights in safetensors.

Keys are MLflow's (interoperability facts, flavors, section 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import sentence_transformers

from pack.errors import InvalidValue
from pack.flavors import transformers_llm as llm
from pack.flavors.base import Config, Conventions, Flavor
from pack.flavors.pretrained import reading, require_plain, why_code
from pack.flavors.transformers_tasks import arguments_of, texts
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.trust.admission import verified_path

_FOLDER = "model.sentence_transformer"
# What of `encode` is not for a call to say.
_REFUSED = {"convert_to_tensor", "device", "output_value", "pool", "sentences", "inputs"}


class SentenceTransformers(Flavor):
    """A `SentenceTransformer`; `task` may be llm/v1/embeddings: the model is then asked as OpenAI's are."""

    name: ClassVar[str] = "sentence_transformers"
    packages: ClassVar[tuple[str, ...]] = ("sentence_transformers", "transformers", "torch")

    def __init__(
        self,
        task: str | None = None,
        model_config: Mapping[str, Any] | None = None,
        example_no_conversion: Any = None,
        inference_config: Mapping[str, Any] | None = None,
    ) -> None:
        if task not in {None, llm.EMBEDDINGS}:
            raise InvalidValue(f"task={task!r} is not known", hint=f"use {llm.EMBEDDINGS!r}, or leave it out")
        self.task = task
        self.model_config = dict(model_config or inference_config or {})

    @classmethod
    def restore(cls, config: Config, python_function: Config) -> SentenceTransformers:
        """The flavor with the arguments of every call that the model was saved with."""
        kept = arguments_of(python_function.get("config"))
        return cls(task=kept.pop("task", None), model_config=kept)

    def write(self, model: Any, home: Path) -> Config:
        """Write the model; raises `InvalidValue` for one whose own code it would need."""
        folder = home / _FOLDER
        model.save_pretrained(str(folder), safe_serialization=True, create_model_card=False)
        return {
            "sentence_transformers_version": sentence_transformers.__version__,
            "data": _FOLDER,
            **_transformer(model),
        }

    def read(self, home: Path, config: Config) -> Any:
        """The model."""
        self._configure(config)
        folder = home / str(config.get("data") or _FOLDER)
        plain = require_plain(folder)
        options: Config = {} if config.get("device") is None else {"device": str(config["device"])}
        path = str(verified_path(folder))
        with reading(folder, f"sentence_transformers {sentence_transformers.__version__}"):
            return sentence_transformers.SentenceTransformer(
                path,
                local_files_only=True,
                trust_remote_code=not plain,
                model_kwargs={"use_safetensors": True} if plain else None,
                **options,
            )

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Python files, pickles, and classes that are not the library's own."""
        return why_code(home / str(config.get("data") or _FOLDER))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """An array of shape (n, dim); params become arguments of `encode`."""
        given = {**self.model_config, **params}
        refused = sorted(given.keys() & _REFUSED)
        if refused:
            raise InvalidValue(f"{', '.join(refused)} cannot be set for a call", hint="leave it out")
        asked = llm.inputs_of(rows) if self.task else texts(rows)
        try:
            found = model.encode(asked, **{"show_progress_bar": False, **given})
        except (TypeError, ValueError) as error:
            if not given:
                raise
            raise InvalidValue(
                f"encode does not take this: {error!s:.300}", hint=f"params: {', '.join(given)}"
            ) from error
        return llm.embeddings(list(found), _tokens(model, asked)) if self.task else found

    def rows_are_independent(self, model: Any) -> bool:
        """So they are, where there is a vector a row."""
        return self.task is None

    def python_function(self, config: Config) -> Config | None:
        """The folder, and the arguments of every call."""
        kept = {**self.model_config, **({"task": self.task} if self.task else {})}
        return {"loader_module": "mlflow.sentence_transformers", "data": _FOLDER, **({"config": kept} if kept else {})}

    def signature(self, model: Any) -> ModelSignature | None:
        """Text in, a vector out."""
        return ModelSignature(inputs=Schema([ColSpec("string")]), outputs=Schema([TensorSpec("float64", (-1,))]))

    def conventions(self, model: Any) -> Conventions | None:
        """A model that is asked as OpenAI's are has their signature."""
        return llm.conventions(self.task) if self.task else None

    def _configure(self, config: Config) -> None:
        kept = arguments_of(config.get("config"))
        kept.pop("task", None)
        self.model_config = {**self.model_config, **kept}


def _transformer(model: Any) -> Config:
    """The model of transformers inside, where there is one."""
    inner = getattr(model, "transformers_model", None)
    if inner is None:
        return {}
    name = str(getattr(inner, "name_or_path", "") or "")
    return {"pipeline_model_type": type(inner).__name__, "source_model_name": "" if Path(name).exists() else name}


def _tokens(model: Any, asked: list[str]) -> int:
    """The number of tokens that were read."""
    return int(sum(len(model.tokenizer(one)["input_ids"]) for one in asked))
