"""The order in which waiting passes get a host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aos.drivers.hosts.waiting import BYPASS_MAX, WaitingQueue


def place_all(queue, takes):
    placed = []

    def place(key, item):
        if takes(key):
            placed.append(item)
            return True
        return False

    while queue.place_next(place):
        pass
    return placed


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_first_come_first_served_across_keys(keys):
    queue: WaitingQueue = WaitingQueue()
    items = [(key, position) for position, key in enumerate(keys)]
    for item in items:
        queue.add(item[0], item)
    assert place_all(queue, lambda key: True) == items
    assert len(queue) == 0


def test_the_oldest_is_passed_by_at_most_so_often():
    queue: WaitingQueue = WaitingQueue()
    queue.add("old", "old")
    for n in range(BYPASS_MAX + 10):
        queue.add("young", n)
    assert place_all(queue, lambda key: key == "young") == list(range(BYPASS_MAX))
    assert place_all(queue, lambda key: True)[0] == "old"


def test_what_is_taken_out_of_its_turn_is_gone():
    queue: WaitingQueue = WaitingQueue()
    one, other = object(), object()
    queue.add("a", one)
    queue.add("a", other)
    assert queue.remove("a", one) is True
    assert queue.remove("a", one) is False
    assert queue.clear() == [other]
