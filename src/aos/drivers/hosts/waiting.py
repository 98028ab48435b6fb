"""The order in which waiting passes get a host: first come first served, save that free places on a host that already
runs an agent version are filled by that version, past an older pass at most `BYPASS_MAX` times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

BYPASS_MAX: Final = 256
"""How often younger passes may be placed while the oldest waits for a host of its own."""

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item]):
    arrival: int
    item: Item
    bypassed: int = 0


class WaitingQueue(Generic[Key, Item]):
    """Waiting items in groups of one key, each group in order of arrival."""

    def __init__(self) -> None:
        self._groups: dict[Key, deque[_Waiting[Item]]] = {}
        self._arrivals = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, key: Key, item: Item) -> None:
        """Append an item."""
        self._arrivals += 1
        self._length += 1
        self._groups.setdefault(key, deque()).append(_Waiting(self._arrivals, item))

    def remove(self, key: Key, item: Item) -> bool:
        """Take an item out of its turn; returns whether it was still waiting."""
        for waiting in self._groups.get(key, ()):
            if waiting.item is item:
                self._drop(key, waiting)
                return True
        return False

    def place_next(self, place: Callable[[Key, Item], bool]) -> bool:
        """Offer the oldest item of each key, oldest first, until `place` takes one; returns whether it did."""
        heads = sorted(self._groups.items(), key=lambda group: group[1][0].arrival)
        for position, (key, group) in enumerate(heads):
            waiting = group[0]
            if place(key, waiting.item):
                self._drop(key, waiting)
                if position:
                    heads[0][1][0].bypassed += 1
                return True
            if position == 0 and waiting.bypassed >= BYPASS_MAX:
                return False
        return False

    def clear(self) -> list[Item]:
        """Empty the queue and return what waited."""
        left = [waiting.item for group in self._groups.values() for waiting in group]
        self._groups.clear()
        self._length = 0
        return left

    def _drop(self, key: Key, waiting: _Waiting[Item]) -> None:
        group = self._groups[key]
        group.remove(waiting)
        self._length -= 1
        if not group:
            del self._groups[key]
