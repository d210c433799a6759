"""What came of a conversion: where it is, that it answers alike, how large and how fast it is beside its source."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pack.conversion.proof import Proof


@dataclass(frozen=True)
class Measured:
    """One model: bytes of its directory, milliseconds for one row and for a thousand."""

    flavor: str
    size_bytes: int
    one_row_ms: float
    thousand_rows_ms: float


@dataclass(frozen=True)
class Conversion:
    """A finished conversion. `uri` is the new version, or the folder; `version` is None for a folder."""

    uri: str
    source_uri: str
    name: str | None
    version: int | None
    model_id: str | None
    proof: Proof
    source: Measured
    converted: Measured
    libraries: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "proof": self.proof.to_dict()}
