"""Pipelines of Hugging Face's transformers: weights in safetensors, read straight from the model's own folder.

Keys are MLflow's (interoperability facts, flavors, section 11). Classes are transformers' own, by their names; code
that a model brings runs only where the load policy lets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import transformers

from pack.errors import InvalidValue
from pack.flavors import transformers_llm as llm
from pack.flavors.base import Config, Conventions, Flavor
from pack.flavors.pretrained import why_code
from pack.flavors.transformers_parts import BASES, DTYPES, kinds_in, names_in, own_class, pipeline_of, quiet, read_parts
from pack.flavors.transformers_tasks import ALIASES, TASKS, Task, arguments_of, task_of
from pack.mlmodel.signature import ModelSignature
from pack.trust.admission import active

_SHARD = "500MB"
_COMPONENTS = ("feature_extractor", "tokenizer", "image_processor")
# What would have a call fetch or run something: it is nobody's to send.
_REFUSED = {
    "assistant_model", "assistant_tokenizer", "code_revision", "custom_generate", "generation_config", "model",
    "model_kwargs", "pipeline_class", "prefix_allowed_tokens_fn", "processor", "revision", "streamer", "token",
    "tokenizer", "trust_remote_code", "use_auth_token",
}  # fmt: skip


class Transformers(Flavor):
    """A pipeline, or its parts as a dict: `{"model": ..., "tokenizer": ...}` with a `task`.

    `model_config` holds arguments of every call, below the params of the call itself. `task` may be `llm/v1/chat`,
    `llm/v1/completions` or `llm/v1/embeddings`: the model is then asked as OpenAI's are.
    """

    name: ClassVar[str] = "transformers"
    packages: ClassVar[tuple[str, ...]] = ("transformers", "torch")

    def __init__(
        self,
        task: str | None = None,
        processor: Any = None,
        torch_dtype: Any = None,
        model_config: Mapping[str, Any] | None = None,
        prompt_template: str | None = None,
        save_pretrained: bool = True,
        base_model_path: str | None = None,
        model_card: Any = None,
        example_no_conversion: Any = None,
    ) -> None:
        if not save_pretrained or base_model_path:
            raise InvalidValue(
                "a model is saved whole: save_pretrained=False and base_model_path would leave its weights elsewhere",
                hint="leave both out",
            )
        if prompt_template is not None and "{prompt}" not in prompt_template:
            raise InvalidValue("prompt_template lacks {prompt}", hint='such as "Answer briefly: {prompt}"')
        if torch_dtype is not None and str(torch_dtype) not in DTYPES:
            raise InvalidValue(
                f"torch_dtype={torch_dtype!r} is not known", hint=f"use one of {', '.join(sorted(DTYPES))}"
            )
        self.inference_task = task if task in llm.TASKS else None
        self.task = None if self.inference_task else task
        self.processor = processor
        self.torch_dtype = torch_dtype
        self.model_config = dict(model_config or {})
        self.prompt_template = prompt_template
        self._example: Any = None
        self._pipeline: Any = None

    @classmethod
    def restore(cls, config: Config, python_function: Config) -> Transformers:
        """The flavor with the arguments of every call that the model was saved with."""
        template = config.get("prompt_template")
        made = cls(
            model_config=arguments_of(python_function.get("config")),
            prompt_template=str(template) if template else None,
        )
        made.inference_task = _inference_task(config.get("inference_task"))
        return made

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """An example of several columns says more than the task does."""
        self._example = example

    def write(self, model: Any, home: Path) -> Config:
        """Write the parts of the pipeline, each once; raises `InvalidValue` for what is no pipeline."""
        pipe = self._pipeline = self._as_pipeline(model)
        _check_writable(pipe.model)
        if self.inference_task:
            llm.check(self.inference_task, pipe)
        with quiet():
            pipe.model.save_pretrained(home / "model", max_shard_size=_SHARD)
            _forget_code(home / "model" / "config.json", pipe.model)
            parts = {name: getattr(pipe, name, None) for name in _COMPONENTS}
            parts = {name: part for name, part in parts.items() if part is not None}
            processor = self.processor or getattr(pipe, "processor", None)
            for name, part in {**parts, **({"processor": processor} if processor else {})}.items():
                part.save_pretrained(home / "components" / name)
        return {
            "task": pipe.task,
            "instance_type": type(pipe).__name__,
            "torch_dtype": str(self.torch_dtype or pipe.model.dtype),
            "pipeline_model_type": type(pipe.model).__name__,
            "source_model_name": _source(pipe.model),
            "model_binary": "model",
            "components": list(parts),
            **{f"{name}_type": type(part).__name__ for name, part in parts.items()},
            **({"processor_type": type(processor).__name__} if processor else {}),
            "transformers_version": transformers.__version__,
            **({"inference_task": self.inference_task} if self.inference_task else {}),
            **({"prompt_template": self.prompt_template} if self.prompt_template else {}),
        }

    def read(self, home: Path, config: Config) -> Any:
        """The pipeline."""
        self.model_config = arguments_of(config.get("config")) or self.model_config
        self.prompt_template = self.prompt_template or _template()
        parts = read_parts(home, config)
        return pipeline_of(str(config["task"]), parts, config.get("device"))

    def read_native(self, home: Path, config: Config) -> Any:
        """The pipeline; its parts as a dict with `return_type="components"`."""
        wanted = config.get("return_type") or "pipeline"
        if wanted not in {"pipeline", "components"}:
            raise InvalidValue(f"return_type={wanted!r} is not known", hint="use 'pipeline' or 'components'")
        if wanted == "components":
            return {"task": str(config["task"]), **read_parts(home, config)}
        return self.read(home, config)

    def ready(self, model: Any, home: Path, config: Config) -> Any:
        """The pipeline that was written."""
        return self._pipeline

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """What the task answers (docs/flavors.md); params become arguments of the call, such as `max_new_tokens`."""
        given = {**self.model_config, **params}
        refused = sorted(given.keys() & _REFUSED)
        if refused:
            raise InvalidValue(f"{', '.join(refused)} cannot be set for a call", hint="leave it out")
        if self.inference_task:
            return llm.answer(self.inference_task, model, rows, given)
        return self._run(model, task_of(model.task), rows, given)

    def _run(self, pipe: Any, task: Task, rows: Any, given: Config) -> Any:
        collapse = given.pop("collapse_whitespace", False)
        if given.pop("include_prompt", True) is False and pipe.task == "text-generation":
            given.setdefault("return_full_text", False)
        asked = task.given(rows)
        if self.prompt_template:
            asked = [self.prompt_template.replace("{prompt}", one) if isinstance(one, str) else one for one in asked]
        try:
            found = _called(pipe, asked, given)
        except (TypeError, ValueError) as error:
            if not given:
                raise
            raise InvalidValue(
                f"the {pipe.task} pipeline does not take this: {error!s:.300}", hint=f"params were: {', '.join(given)}"
            ) from error
        answer = task.answered(found)
        return [_collapsed(one) for one in answer] if collapse and isinstance(answer, list) else answer

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for tasks with one answer a row, while the pipeline takes them one by one."""
        task = TASKS.get(ALIASES.get(model.task, model.task))
        return (
            self.inference_task is None and task is not None and task.by_row and "batch_size" not in self.model_config
        )

    def runs_code(self, config: Config) -> str | None:
        """A class that transformers does not have is code of the model's own."""
        for key, base in kinds_in(config):
            if own_class(str(config.get(key)), base) is None:
                return f"{str(config.get(key))!a:.100} is not a class of transformers, its code would have to run"
        return None

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Python files, pickles, and classes that are not the library's own."""
        parts = [home / str(config["model_binary"]), *(home / "components" / name for name in sorted(names_in(config)))]
        return next(filter(None, map(why_code, parts)), None)

    def python_function(self, config: Config) -> Config | None:
        """The arguments of every call; None for a task that does not predict here, such as object-detection."""
        if str(config["task"]) not in {*TASKS, *ALIASES} and not self.inference_task:
            return None
        kept = dict(self.model_config)
        if self.prompt_template:
            kept.setdefault("return_full_text", False)
        return {"loader_module": "mlflow.transformers", **({"config": kept} if kept else {})}

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What reads images and the vocabularies of SentencePiece, where the model has such."""
        found = {"PIL"} if {"image_processor", "processor"} & names_in(config) else set()
        if any(home.glob("components/*/*.model")):
            found |= {"sentencepiece"}
        if "torchvision" in _modules_of(self._pipeline):
            found |= {"torchvision"}
        return found | ({"pandas"} if "classification" in str(config["task"]) else set())

    def signature(self, model: Any) -> ModelSignature | None:
        """The task's own; None where the example says more: several columns, or conversations."""
        task = TASKS.get(ALIASES.get(self._pipeline.task, self._pipeline.task))
        if task is None or (self._example is not None and not _is_plain(self._example)):
            return None
        return task.signature

    def conventions(self, model: Any) -> Conventions | None:
        """A model that is asked as OpenAI's are has their signature."""
        return llm.conventions(self.inference_task) if self.inference_task else None

    def _as_pipeline(self, model: Any) -> Any:
        if isinstance(model, transformers.Pipeline):
            return model
        if isinstance(model, Mapping):
            unknown = sorted(str(one) for one in model.keys() - {"task", "model", "processor", *_COMPONENTS})
            if unknown or "model" not in model:
                named = f"unknown: {', '.join(unknown)}" if unknown else "the model is missing"
                raise InvalidValue(
                    f"the parts of a pipeline do not fit: {named}", hint='give {"model": ..., "tokenizer": ...}'
                )
            task = self.task or model.get("task") or llm.PIPELINES.get(self.inference_task or "")
            if not task:
                raise InvalidValue("the task is missing", hint='give task="text-classification" or another')
            parts = {name: part for name, part in model.items() if name != "task"}
            return pipeline_of(str(task), parts, None)
        hint = 'give a pipeline, or {"model": ..., "tokenizer": ...} and a task'
        if isinstance(model, (str, Path)):
            hint = "load it first: transformers.pipeline(task, model=path)"
        raise InvalidValue(f"{type(model).__name__} is no pipeline", hint=hint)


def _check_writable(model: Any) -> None:
    """What would not come back as it is, is not written."""
    if not isinstance(model, transformers.PreTrainedModel):
        raise InvalidValue(
            f"{type(model).__name__} is no model of transformers",
            hint="merge an adapter into its model first (merge_and_unload)",
        )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise InvalidValue("only the adapter would be saved", hint="merge it into its model first")
    # A class of one's own: its source travels along if it was registered for that.
    if own_class(type(model).__name__, BASES["model"]) is not type(model) and not getattr(model, "_auto_class", None):
        raise InvalidValue(
            f"{type(model).__name__} is not a class of transformers",
            hint=f"have its source saved along: {type(model).__name__}.register_for_auto_class('AutoModel')",
        )


def _forget_code(path: Path, model: Any) -> None:
    """A model of transformers' own class needs no code from where its configuration once came."""
    if getattr(model, "_auto_class", None):
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("auto_map", None) is not None or content.pop("custom_pipelines", None) is not None:
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _source(model: Any) -> str:
    """The name that the model has on the hub; a folder of this machine says nothing to anybody else."""
    name = str(getattr(model, "name_or_path", "") or "")
    return name if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) and not Path(name).exists() else ""


def _inference_task(name: Any) -> str | None:
    if name is None or name in llm.TASKS:
        return None if name is None else str(name)
    raise InvalidValue(f"inference_task {name!a:.60} is not known", hint=f"known: {', '.join(llm.TASKS)}")


def _template() -> str | None:
    """The prompt template that the MLmodel file holds as metadata."""
    admission = active()
    found = (admission.model.metadata or {}).get("prompt_template") if admission else None
    return str(found) if isinstance(found, str) and "{prompt}" in found else None


def _called(pipe: Any, asked: list[Any], given: Config) -> list[Any]:
    """An answer for each of what is asked."""
    if not asked:
        return []
    if pipe.task == "zero-shot-classification":
        return [pipe(one.pop("sequences"), **one, **given) for one in asked]
    found = pipe(asked, **given)
    # Of a single text, fill-mask answers what is otherwise inside a list.
    return [found] if len(asked) == 1 and pipe.task == "fill-mask" else list(found)


def _is_plain(example: Any) -> bool:
    """Whether an example is texts, one a row."""
    if isinstance(example, str):
        return True
    if hasattr(example, "columns"):
        return len(example.columns) == 1 and all(isinstance(one, str) for one in example.iloc[:, 0])
    if isinstance(example, (list, tuple)):
        return all(isinstance(one, str) for one in example)
    return getattr(getattr(example, "dtype", None), "kind", "") in {"O", "U", "S"}


def _collapsed(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _modules_of(pipe: Any) -> set[str]:
    """Where the parts of a pipeline that look at images come from."""
    part = getattr(pipe, "image_processor", None)
    names = {kind.__name__ for kind in type(part).__mro__}
    return {"torchvision"} if any(name.endswith("Fast") or "Torchvision" in name for name in names) else set()
