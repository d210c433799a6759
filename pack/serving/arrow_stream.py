"""Arrow streams from strangers: read without running code, and without growing far beyond their size.

Format: arrow.apache.org/docs/format/Columnar.html ("Encapsulated message format").
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from pack.errors import BadRequest, TooLarge
from pack.mlmodel.nested import listed
from pack.mlmodel.schema import MAX_COLUMNS
from pack.plugins import missing

MAX_BATCHES = 4096
# What a stream may become in memory: so many values or bytes at least, and this many times its own size.
MAX_VALUES, VALUES_EACH = 2**24, 2
MAX_DECODED, DECODED_EACH = 64 * 2**20, 16
_MAX_NESTING = 16
_EXTENSION = b"ARROW:extension:name"


def read_table(body: bytes) -> Any:
    """The table in a stream, dictionaries decoded; raises `BadRequest` saying what is wrong, or `TooLarge`."""
    pa = need_pyarrow()
    try:
        _check_messages(pa, body)
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            check_schema(pa, reader.schema)
            return checked_table(pa, reader.schema, reader, len(body))
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        raise BadRequest("the body is not an Arrow stream that can be read") from error


def need_pyarrow() -> Any:
    """The pyarrow module; raises `MissingPackage` with the install command where it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ModuleNotFoundError as error:
        raise missing("pyarrow", "'packml[parquet]'") from error
    return pa


def _check_messages(pa: Any, body: bytes) -> None:
    """Look at a stream's messages without building what is in them: no extension type, no compression, not too many.

    An extension type may run its library's code as soon as the schema is read, and a compressed buffer may be of any
    size once it is not; both stand in the metadata.
    """
    for number, message in enumerate(_messages(pa, body)):
        metadata = message.metadata.to_pybytes()
        if message.type == "schema" and _EXTENSION in metadata:
            raise BadRequest("the stream holds an extension type", hint="send columns of Arrow's own types")
        if message.type in {"record batch", "dictionary"} and _is_compressed(metadata, message.type):
            raise BadRequest("the stream's buffers are compressed", hint="write it without compression")
        if number > MAX_BATCHES:
            raise TooLarge(f"the stream has more than {MAX_BATCHES:,} batches", hint="write larger batches")


def _messages(pa: Any, body: bytes) -> Iterator[Any]:
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(body))
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _is_compressed(metadata: bytes, kind: str) -> bool:
    """Whether a message's record batch names a compression: Message.header, DictionaryBatch.data, compression."""
    table = _field(metadata, struct.unpack_from("<I", metadata, 0)[0], 2)
    if table is not None and kind == "dictionary":
        table = _field(metadata, table, 1)
    return table is not None and _field(metadata, table, 3) is not None


def _field(buffer: bytes, table: int, number: int) -> int | None:
    """Where a flatbuffer table's field leads, which is itself a table; None where it is not set."""
    layout = table - struct.unpack_from("<i", buffer, table)[0]
    entry = 4 + 2 * number
    if entry + 2 > struct.unpack_from("<H", buffer, layout)[0]:
        return None
    offset = struct.unpack_from("<H", buffer, layout + entry)[0]
    if not offset:
        return None
    place: int = table + offset + struct.unpack_from("<I", buffer, table + offset)[0]
    return place


def check_schema(pa: Any, schema: Any) -> None:
    """Raise `BadRequest` naming the columns whose names or types are not taken."""
    names = schema.names
    if not names or len(names) > MAX_COLUMNS:
        raise BadRequest(f"there must be columns, {MAX_COLUMNS:,} at most")
    if len(set(names)) < len(names):
        twice = dict.fromkeys(name for name in names if names.count(name) > 1)
        raise BadRequest(f"columns came twice: {listed(twice)}")
    wrong = [field.name for field in schema if not _is_taken(pa.types, field.type, 0)]
    if wrong:
        raise BadRequest(f"columns are of types that are not taken: {listed(wrong)}", hint="cast them first")


def _is_taken(types: Any, kind: Any, depth: int) -> bool:
    """Whether values of a type cost about what they take in the stream, and need no code to be read."""
    if types.is_dictionary(kind):
        return depth == 0 and not types.is_nested(kind.value_type) and _is_taken(types, kind.value_type, 1)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_struct(kind) or types.is_map(kind):
        inner = [kind.field(place).type for place in range(kind.num_fields)]
        return bool(inner) and depth < _MAX_NESTING and all(_is_taken(types, one, depth + 1) for one in inner)
    if types.is_fixed_size_list(kind):
        return bool(kind.list_size) and depth < _MAX_NESTING and _is_taken(types, kind.value_type, depth + 1)
    if types.is_fixed_size_binary(kind):
        return bool(kind.byte_width)
    plain = (
        types.is_boolean, types.is_integer, types.is_floating, types.is_string, types.is_large_string, types.is_binary,
        types.is_large_binary, types.is_date, types.is_timestamp, types.is_time, types.is_duration, types.is_decimal,
    )  # fmt: skip
    return any(fits(kind) for fits in plain) or (types.is_null(kind) and depth == 0)


def checked_table(pa: Any, schema: Any, found: Iterable[Any], size: int) -> Any:
    """All batches as a table whose every offset was looked at, with dictionaries decoded.

    Raises `TooLarge` where a body of `size` bytes becomes far larger.
    """
    batches, values = [], 0
    for batch in found:
        batch.validate(full=True)
        values += sum(_values_in(pa.types, column) for column in batch.columns)
        if values > max(MAX_VALUES, VALUES_EACH * size):
            raise TooLarge("the stream announces far more values than it holds", hint="send fewer rows at once")
        batches.append(batch)
    table = pa.Table.from_batches(batches, schema)
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            _check_decoded(pa, field.name, table.column(place), size)
            decoded = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field.name, decoded)
    return table


def _values_in(types: Any, array: Any) -> int:
    """How many values an array holds, those inside its lists and objects among them."""
    return len(array) + sum(_values_in(types, inner) for inner in _inside(types, array))


def _inside(types: Any, array: Any) -> Iterator[Any]:
    if types.is_struct(array.type):
        yield from (array.field(place) for place in range(array.type.num_fields))
    elif types.is_map(array.type):
        yield from (array.keys, array.items)
    elif types.is_nested(array.type):
        yield array.values


def _check_decoded(pa: Any, name: str, column: Any, size: int) -> None:
    """Refuse a dictionary whose values would be written out so often that a small stream becomes large."""
    import pyarrow.compute as pc

    total = 0
    for chunk in column.chunks:
        if pa.types.is_fixed_size_binary(chunk.type.value_type):
            total += len(chunk) * chunk.type.value_type.byte_width
        elif pa.types.is_string(chunk.type.value_type) or "binary" in str(chunk.type.value_type):
            total += pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0
        if total > max(MAX_DECODED, DECODED_EACH * size):
            raise TooLarge(f"column {name!r} is far larger than its dictionary", hint="send fewer rows at once")
