"""Parquet files from strangers: read within the same bounds as Arrow streams, whatever they are compressed to."""

from __future__ import annotations

from typing import Any

from pack.errors import BadRequest, TooLarge
from pack.plugins import missing
from pack.serving.arrow_stream import MAX_DECODED, MAX_VALUES, VALUES_EACH, check_schema, checked_table

_EACH = 16


def read_parquet(body: bytes) -> Any:
    """The table in a file, text decoded; raises `BadRequest` saying what is wrong, or `TooLarge`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing("pyarrow", "'packml[parquet]'") from error
    try:
        with parquet.ParquetFile(pa.BufferReader(body)) as plain:
            check_schema(pa, plain.schema_arrow)
            _check_size(plain.metadata, len(body))
            texts = [field.name for field in plain.schema_arrow if _is_text(pa.types, field.type)]
        # Text stays in its dictionary until it is known how much it becomes.
        with parquet.ParquetFile(pa.BufferReader(body), read_dictionary=texts) as file:
            return checked_table(pa, file.schema_arrow, file.iter_batches(), len(body))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadRequest("the body is not a Parquet file that can be read") from error


def _check_size(metadata: Any, size: int) -> None:
    """Refuse what the file itself says is far more than it holds, before any of it is unpacked."""
    unpacked = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    values = metadata.num_rows * max(1, metadata.num_columns)
    if values > max(MAX_VALUES, VALUES_EACH * size) or unpacked > max(MAX_DECODED, _EACH * size):
        raise TooLarge("the file unpacks to far more than it holds", hint="send fewer rows at once")


def _is_text(types: Any, kind: Any) -> bool:
    return any(fits(kind) for fits in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))
