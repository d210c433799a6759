"""Is a history linearizable: is there an order of its operations that explains every answer?

Each operation took effect at some moment between its call and its return. The search tries the orders that this
allows, and remembers from which states with which operations left it has failed (Wing and Gong 1993, Lowe 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Operation:
    """What a client did between two moments of a clock that all share, and what it was answered.

    `set VALUE` answers what was there before; `cas VALUE` from `expect` answers whether it was done; `get` answers
    what is there; `delete` answers nothing.
    """

    kind: str
    called: int
    returned: int
    value: Any = None
    expect: Any = None
    answer: Any = None


def explained(history: Sequence[Operation], start: S, step: Callable[[Operation, S], tuple[bool, S]]) -> bool:
    """Whether some order of the operations explains every answer.

    `step` says whether something in a state gives an operation's answer, and its state then.
    """
    everything = (1 << len(history)) - 1
    failed: set[tuple[int, S]] = set()
    pending = [(everything, start)]
    while pending:
        left, state = pending.pop()
        if not left:
            return True
        if (left, state) in failed:
            continue
        failed.add((left, state))
        open_ones = [number for number in range(len(history)) if left >> number & 1]
        first_return = min(history[number].returned for number in open_ones)
        for number in open_ones:
            if history[number].called <= first_return:
                fits, after = step(history[number], state)
                if fits:
                    pending.append((left & ~(1 << number), after))
    return False


def register(operation: Operation, state: int | None) -> tuple[bool, int | None]:
    """A step of a register: which version an alias points at, None for none."""
    if operation.kind == "set":
        return operation.answer == state, operation.value
    if operation.kind == "cas":
        done = state == operation.expect
        return operation.answer == done, operation.value if done else state
    if operation.kind == "get":
        return operation.answer == state, state
    return True, None
