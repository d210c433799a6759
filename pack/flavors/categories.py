"""Text as categories: what boosters that know categories are given where a signature speaks of text."""

from __future__ import annotations

from typing import Any


def with_categories(rows: Any) -> Any:
    """A frame whose columns of text are categories; all else is as it was. Each booster knows its own categories."""
    if not hasattr(rows, "columns") or not hasattr(rows, "astype"):
        return rows
    texts = [name for name, dtype in rows.dtypes.items() if str(dtype) in {"object", "str", "string"}]
    return rows.astype(dict.fromkeys(texts, "category")) if texts else rows
