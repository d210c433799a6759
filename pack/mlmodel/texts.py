"""Text in arrays, which give each text the room of the longest: one long text must not make a small request huge.

An array may take `MAX_PADDED` bytes, or `PADDING` times as many as there are characters in it. NumPy also drops the
NUL characters at the end of a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pack.errors import BadRequest, TooLarge

MAX_PADDED, PADDING = 64 * 2**20, 16


def text_array(what: str, texts: Sequence[Any], kind: str = "U") -> Any:
    """Text, or bytes with `kind` S, as an array; raises what `check_texts` does."""
    import numpy as np

    check_texts(what, texts)
    return np.array(texts, dtype=kind) if texts else np.empty(0, dtype=f"{kind}1")


def check_texts(what: str, texts: Sequence[Any]) -> None:
    """Raise `BadRequest` naming `what` where an array would not keep a text as it is, and what `check_width` does."""
    if any(text is None for text in texts) or not keeps_each(texts):
        raise BadRequest(f"{what} holds null, or text that ends in a NUL, which arrays of text do not keep")
    check_width(what, texts)


def keeps_each(texts: Iterable[Any]) -> bool:
    """Whether an array holds each of these texts as it is."""
    return all(text[-1:] not in ("\0", b"\0") for text in texts)


def check_width(what: str, texts: Sequence[Any]) -> None:
    """Raise `TooLarge` naming `what` where an array of these texts is far larger than they are."""
    lengths = list(map(len, texts))
    each = 1 if texts and isinstance(texts[0], bytes) else 4
    if max(lengths, default=0) * each * len(lengths) > max(MAX_PADDED, PADDING * sum(lengths)):
        raise _too_wide(f"the texts of {what}")


def together(arrays: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Arrays under their names, made one by one; raises `TooLarge` where those of text become too large together."""
    found: dict[Any, Any] = {}
    uncounted: list[Any] = []
    padded = characters = 0
    for name, array in arrays:
        found[name] = array
        if getattr(array, "dtype", None) is None or array.dtype.kind not in "US":
            continue
        padded += array.nbytes
        uncounted.append(array)
        if padded > MAX_PADDED:
            characters += sum(map(_characters, uncounted))
            uncounted.clear()
            if padded > PADDING * characters:
                raise _too_wide(f"the texts of input {name!r:.100}, and of those before it,")
    return found


def _characters(array: Any) -> int:
    import numpy as np

    return int(np.char.str_len(array).sum())


def _too_wide(what: str) -> TooLarge:
    return TooLarge(f"{what} are of very different lengths", hint="send the longest apart")
