"""What each task of a pipeline takes and answers: its signature, rows as the pipeline takes them, answers as rows.

Tasks, signatures and answers are MLflow's (interoperability facts, flavors, section 11).
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pack.errors import InvalidValue, SchemaMismatch
from pack.mlmodel.frames import is_frame, is_missing, need_pandas
from pack.mlmodel.nested import plain
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature

_MOST_PIXELS = 64 * 2**20


@dataclass(frozen=True)
class Task:
    """One task: `given` makes the list that the pipeline takes, `answered` what its answers become.

    `by_row` says whether there is one answer for each row, which depends on that row alone and comes soon.
    """

    inputs: Schema
    outputs: Schema
    given: Callable[[Any], list[Any]]
    answered: Callable[[list[Any]], Any]
    by_row: bool = False

    @property
    def signature(self) -> ModelSignature:
        """What goes in and comes out, unless an example says otherwise."""
        return ModelSignature(inputs=self.inputs, outputs=self.outputs)


def arguments_of(config: Any) -> dict[str, Any]:
    """The arguments of every call that an MLmodel file holds."""
    if config is not None and not isinstance(config, Mapping):
        raise InvalidValue("the config of the python_function is no mapping", hint="save the model again")
    return {str(name): value for name, value in (config or {}).items()}


def values_of(rows: Any) -> list[Any]:
    """The rows as a list: what one column holds, or a dict for each row of several."""
    if is_frame(rows):
        if len(rows.columns) == 1 and not isinstance(rows.iloc[0, 0] if len(rows) else None, Mapping):
            return [plain(one) for one in rows.iloc[:, 0].tolist()]
        return [{str(key): plain(value) for key, value in row.items()} for row in rows.to_dict(orient="records")]
    if isinstance(rows, Mapping):
        rows = {key: plain(value) for key, value in rows.items()}
        lists = [value for value in rows.values() if isinstance(value, list)]
        if lists and len(lists) == len(rows) and len({len(one) for one in lists}) == 1:
            return [dict(zip(rows, one, strict=True)) for one in zip(*rows.values(), strict=True)]
        return [rows]
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "OUST":
        return [plain(one) for one in rows.reshape(-1).tolist()]
    if hasattr(rows, "tolist") and hasattr(rows, "index"):
        return list(rows.tolist())
    return list(rows) if isinstance(rows, (list, tuple)) else [rows]


def texts(rows: Any) -> list[Any]:
    """The rows as texts; raises `SchemaMismatch` naming the first that is none."""
    values = [_only(one) for one in values_of(rows)]
    for place, value in enumerate(values):
        if not isinstance(value, str):
            raise SchemaMismatch(f"row {place} holds {type(value).__name__}, not text", hint="give one text a row")
    return values


def _only(value: Any) -> Any:
    return next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value


def _pairs(rows: Any) -> list[Any]:
    """Texts, or pairs of them as `text` and `text_pair`."""
    values = values_of(rows)
    if not any(isinstance(one, Mapping) and len(one) > 1 for one in values):
        return texts(rows)
    for place, value in enumerate(values):
        if not isinstance(value, Mapping) or not {"text"} <= value.keys() <= {"text", "text_pair"}:
            raise SchemaMismatch(f"row {place} does not hold text and text_pair", hint="give these two columns")
    return [{key: value for key, value in one.items() if not is_missing(value)} for one in values]


def _prompts(rows: Any) -> list[Any]:
    """Texts, or conversations: lists of messages, each with a role."""
    values = values_of(rows)
    if values and all(isinstance(one, Mapping) and "role" in one for one in values):
        return [values]
    found = [one["messages"] if isinstance(one, Mapping) and "messages" in one else one for one in values]
    return [list(one) for one in found] if found and all(_is_chat(one) for one in found) else texts(rows)


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and "role" in one for one in value)


def _choices(rows: Any) -> list[Any]:
    """Sequences with the labels to choose from: keyword arguments of one call for each group of the same labels.

    Labels are a list, a list as JSON text, or one text a row: then all of them together.
    """
    values = values_of(rows)
    for place, value in enumerate(values):
        if not isinstance(value, Mapping) or not {"sequences", "candidate_labels"} <= value.keys():
            raise SchemaMismatch(f"row {place} lacks sequences or candidate_labels", hint="give both columns")
    labels = [_labels(one["candidate_labels"]) for one in values]
    if all(len(one) == 1 for one in labels):
        every = list(dict.fromkeys(one[0] for one in labels))
        labels = [every for _ in values]
    calls = []
    for value, mine in zip(values, labels, strict=True):
        template = value.get("hypothesis_template")
        more = {} if is_missing(template) else {"hypothesis_template": str(template)}
        sequences = value["sequences"] if isinstance(value["sequences"], list) else [value["sequences"]]
        calls.append({"sequences": [str(one) for one in sequences], "candidate_labels": mine, **more})
    return calls


def _labels(given: Any) -> list[str]:
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise SchemaMismatch("candidate_labels is neither a list nor one as JSON text") from error
    found = given if isinstance(given, list) else [given]
    if not found or not all(isinstance(one, str) for one in found):
        raise SchemaMismatch("candidate_labels must be texts", hint='give them as ["one", "other"]')
    return found


def _images(rows: Any) -> list[Any]:
    """Images from base64 text, bytes, or arrays (height, width, 3) of bytes; addresses are never opened."""
    if isinstance(rows, np.ndarray) and rows.dtype == np.uint8 and rows.ndim in {3, 4}:
        values: list[Any] = list(rows[None] if rows.ndim == 3 else rows)
    else:
        values = [_only(one) for one in values_of(rows)]
    return [_image(one, place) for place, one in enumerate(values)]


def _image(value: Any, place: int) -> Any:
    from PIL import Image

    if isinstance(value, Image.Image):
        return value
    if isinstance(value, np.ndarray):
        return Image.fromarray(value)
    try:
        if isinstance(value, str):
            value = base64.b64decode(value.partition("base64,")[2] or value, validate=True)
        image = Image.open(io.BytesIO(value))
        if image.width * image.height > _MOST_PIXELS:
            raise SchemaMismatch(f"row {place} holds an image of more than {_MOST_PIXELS:,} pixels")
        image.load()
    except (binascii.Error, OSError, TypeError, ValueError, SyntaxError) as error:
        raise SchemaMismatch(
            f"row {place} holds no image", hint="give base64 text or bytes of one; addresses and paths are not opened"
        ) from error
    return image.convert("RGB")


def _generated(found: list[Any]) -> list[Any]:
    """The text of each row; a list of texts where several were asked for."""
    rows = [[_text(one["generated_text"]) for one in (row if isinstance(row, list) else [row])] for row in found]
    return [row[0] if len(row) == 1 else row for row in rows]


def _text(generated: Any) -> str:
    """Of a conversation, what was said last."""
    return str(generated[-1]["content"] if isinstance(generated, list) else generated)


def _filled(found: list[Any]) -> list[str]:
    """The best token for the mask of each row; several masks, several tokens with commas between."""
    return [",".join(_best(mask) for mask in (row if isinstance(row[0], list) else [row])) for row in found]


def _best(mask: list[Any]) -> str:
    return str(mask[0]["token_str"])


def _tokens(found: list[Any]) -> list[str]:
    """The entities of each row with commas between."""
    return [
        ",".join(str(one["entity_group"] if "entity_group" in one else one["entity"]) for one in row) for row in found
    ]


def _classified(found: list[Any]) -> Any:
    """A frame with the label and score of each row."""
    return need_pandas().DataFrame(found)


def _chosen(found: list[Any]) -> Any:
    """A frame with a row for each sequence and label, the likeliest first."""
    rows = [
        {"sequence": one["sequence"], "labels": label, "scores": score}
        for answer in found
        for one in (answer if isinstance(answer, list) else [answer])
        for label, score in zip(one["labels"], one["scores"], strict=True)
    ]
    return need_pandas().DataFrame(rows, columns=["sequence", "labels", "scores"])


def _features(found: list[Any]) -> Any:
    """The vectors of the tokens, of shape (tokens, width); of several rows, a list of such arrays."""
    arrays = [np.asarray(one, dtype="float64") for one in found]
    arrays = [one[0] if one.ndim == 3 else one for one in arrays]
    return arrays[0] if len(arrays) == 1 else arrays


def _columns(**named: str) -> Schema:
    return Schema([ColSpec(kind, name) for name, kind in named.items()])


_TEXT = Schema([ColSpec("string")])
_SCORED = _columns(label="string", score="double")
TASKS = {
    "feature-extraction": Task(_TEXT, Schema([TensorSpec("float64", (-1,), "double")]), texts, _features),
    "fill-mask": Task(_TEXT, _TEXT, texts, _filled, by_row=True),
    "image-classification": Task(_TEXT, _SCORED, _images, _classified, by_row=True),
    "text-classification": Task(_TEXT, _SCORED, _pairs, _classified, by_row=True),
    "text-generation": Task(_TEXT, _TEXT, _prompts, _generated),
    "token-classification": Task(_TEXT, _TEXT, texts, _tokens, by_row=True),
    "zero-shot-classification": Task(
        _columns(sequences="string", candidate_labels="string", hypothesis_template="string"),
        _columns(sequence="string", labels="string", scores="double"),
        _choices,
        _chosen,
    ),
}
ALIASES = {"ner": "token-classification", "sentiment-analysis": "text-classification"}


def task_of(name: str) -> Task:
    """The task of this name; raises `InvalidValue` for one that does not predict here."""
    found = TASKS.get(ALIASES.get(name, name))
    if found is None:
        raise InvalidValue(
            f"pipelines for {name!a:.60} do not predict here",
            hint=f"load it with pack.load_model and call it; those that predict: {', '.join(TASKS)}",
        )
    return found
