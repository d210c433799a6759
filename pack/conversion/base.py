"""What a converter is: it knows what its library's graphs take, makes one, and says which output is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pack.conversion.source import Source


@dataclass(frozen=True)
class Input:
    """One input of the finished graph: its name, what callers give, and the dtype that the converted body takes.

    `given` and `inner` are names of NumPy dtypes, `str` for text; `shape` has -1 where a dimension is free. A column
    reaches the body as (-1, 1).
    """

    name: str
    given: str
    inner: str
    shape: tuple[int, ...] = (-1,)
    is_column: bool = True


@dataclass(frozen=True)
class Layout:
    """The inputs of the finished graph in order; with `joined` the body takes all of them as one matrix."""

    inputs: tuple[Input, ...]
    joined: bool = False

    def ports(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """Name, dtype and shape of what the body takes."""
        if self.joined:
            return [("rows", self.inputs[0].inner, (-1, len(self.inputs)))]
        return [(one.name, one.inner, (-1, 1) if one.is_column else one.shape) for one in self.inputs]


@dataclass(frozen=True)
class Body:
    """A graph as its library made it, with inputs in the order of the ports, and the output that is the answer."""

    graph: Any
    output: str


class Converter:
    """The conversion of one flavor's models; `libraries` are the distributions whose versions are recorded."""

    libraries: ClassVar[tuple[str, ...]] = ()

    def layouts(self, source: Source) -> Sequence[Layout]:
        """Ways to lay out the inputs, the most exact first; the first whose answers agree is taken."""
        raise NotImplementedError

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph; whatever its library raises is told as the reason why the model cannot be converted."""
        raise NotImplementedError

    def scores(self, source: Source, rows: Any) -> Any:
        """The model's own scores of rows, by which its labels are chosen; None where it has none."""
        return None
