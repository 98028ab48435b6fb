"""The graph of a run's tasks as a drawing: where each box stands and how the arrows go. Pure; lengths in pixels.

A task is a box; many tasks of one kind (the items of a `for_each`, what one task spawned) are one box with a cell for each.
Rows are the order in which tasks may begin: a task stands below everything that it needs. So the drawing is narrow, on a
telephone too, and grows downwards as a run does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aos.console.states import Meaning, State, state_of
from aos.operations.run_views import TaskCounts, TaskView

BOX_WIDTH: Final = 172
BOX_HEIGHT: Final = 56
CELL_STEP: Final = 24
CELLS_ACROSS: Final = 12
GROUP_HEAD: Final = 52
COLUMN_GAP: Final = 24
ROW_GAP: Final = 40
EDGE: Final = 12
TIP: Final = 6
ROW_BOXES_MAX: Final = 4
"""Boxes beside each other; more of one row stand below them."""
GROUP_MIN: Final = 3
"""So many tasks of one kind share a box."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One task of many: its corner, and how it stands."""

    task: TaskView
    x: int
    y: int
    meaning: Meaning
    word: str


@dataclass(frozen=True, slots=True)
class Box:
    """One task, or many with their cells; `head` is the task that a click selects, None where there are only cells."""

    name: str
    note: str
    head: TaskView | None
    meaning: Meaning
    word: str
    x: int
    y: int
    width: int
    height: int
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    """One arrow as the data of a path, and its tip; `spawned` where the target was made by the source."""

    path: str
    tip: str
    spawned: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """The drawing."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


@dataclass(slots=True)
class _Node:
    """A box that has no place yet: `needs` are other nodes, by key; `parent` spawned it."""

    key: UUID
    head: TaskView | None
    members: list[TaskView]
    needs: list[UUID]
    parent: UUID | None = None
    rank: int = -1

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height."""
        if not self.members:
            return BOX_WIDTH, BOX_HEIGHT
        lines = -(-len(self.members) // CELLS_ACROSS)
        across = min(len(self.members), CELLS_ACROSS)
        return max(BOX_WIDTH, across * CELL_STEP + 2 * EDGE - 4), GROUP_HEAD + lines * CELL_STEP + EDGE - 4


def draw_graph(tasks: Sequence[TaskView], counts: TaskCounts | None = None) -> Graph:
    """Return the drawing of a run's tasks; `counts` has all tasks of a kind where `tasks` are only the run's first."""
    nodes = _nodes(tasks)
    for node in nodes.values():
        _rank(node, nodes)
    rows = list(_rows(nodes))
    widths = [sum(node.size[0] + COLUMN_GAP for node in row) - COLUMN_GAP for row in rows]
    widest, y = max(widths, default=0), EDGE
    boxes: dict[UUID, Box] = {}
    drawn = Counter(_kind_of(node) for node in nodes.values())
    for row, width in zip(rows, widths, strict=True):
        x = EDGE + (widest - width) // 2
        for node in row:
            # Where several boxes are of one kind, nobody knows whose the tasks are that are not drawn.
            known = None if counts is None or drawn[_kind_of(node)] > 1 else counts.get(_kind_of(node))
            boxes[node.key] = _box(node, x, y, known=known, whole=counts is None)
            x += node.size[0] + COLUMN_GAP
        y += max(node.size[1] for node in row) + ROW_GAP
    height = y - ROW_GAP + EDGE if rows else 0
    return Graph(widest + 2 * EDGE, height, tuple(boxes.values()), _arrows(nodes, boxes))


def _nodes(tasks: Sequence[TaskView]) -> dict[UUID, _Node]:
    """Return the boxes by key: a task's id, or the first of many of one kind; `needs` are keys too."""
    known = {task.id for task in tasks}
    kinds: dict[tuple[UUID | None, str, tuple[UUID, ...]], list[TaskView]] = {}
    for task in tasks:
        parent = task.parent_id if task.parent_id in known else None
        kinds.setdefault((parent, task.name, task.after), []).append(task)
    fans = {task.id for task in tasks if task.kind == "fan"}
    nodes: dict[UUID, _Node] = {}
    key_of: dict[UUID, UUID] = {}
    for (parent, _, _), members in kinds.items():
        if parent in fans:
            continue
        for few in [members] if len(members) >= GROUP_MIN else [[each] for each in members]:
            head = few[0] if len(few) == 1 else None
            nodes[few[0].id] = _Node(few[0].id, head, [] if head else list(few), list(few[0].after), parent)
            key_of |= {each.id: few[0].id for each in few}
    for (parent, _, _), members in kinds.items():
        if parent in fans and parent is not None:
            nodes[key_of[parent]].members += members
            key_of |= {each.id: key_of[parent] for each in members}
    for node in nodes.values():
        node.needs = list(dict.fromkeys(key_of[each] for each in node.needs if key_of.get(each, node.key) != node.key))
        node.parent = key_of.get(node.parent) if node.parent else None
    return nodes


def _rank(node: _Node, nodes: Mapping[UUID, _Node]) -> int:
    """Return the node's row; a task that needs another stands below what that one spawned, too."""
    if node.rank < 0:
        node.rank = 0  # a circle, which the store does not allow, would end here
        before = [max(_rank(nodes[key], nodes), _deepest(key, nodes)) for key in node.needs]
        if node.parent is not None:
            before.append(_rank(nodes[node.parent], nodes))
        node.rank = max(before, default=-1) + 1
    return node.rank


def _deepest(key: UUID, nodes: Mapping[UUID, _Node]) -> int:
    spawned = [each for each in nodes.values() if each.parent == key]
    return max((max(_rank(each, nodes), _deepest(each.key, nodes)) for each in spawned), default=0)


def _lowest(key: UUID, nodes: Mapping[UUID, _Node]) -> UUID:
    spawned = [each for each in nodes.values() if each.parent == key]
    if not spawned:
        return key
    return max((_lowest(each.key, nodes) for each in spawned), key=lambda each: nodes[each].rank)


def _rows(nodes: Mapping[UUID, _Node]) -> Iterator[list[_Node]]:
    """Yield the rows from above, each with at most `ROW_BOXES_MAX` boxes."""
    for rank in sorted({node.rank for node in nodes.values()}):
        row = [node for node in nodes.values() if node.rank == rank]
        for start in range(0, len(row), ROW_BOXES_MAX):
            yield row[start : start + ROW_BOXES_MAX]


def _kind_of(node: _Node) -> tuple[UUID | None, str]:
    first = node.members[0] if node.members else node.head
    assert first is not None
    return first.parent_id, first.name


def _box(node: _Node, x: int, y: int, *, known: Mapping[str, int] | None, whole: bool) -> Box:
    width, height = node.size
    cells = tuple(
        _cell(task, x + EDGE + n % CELLS_ACROSS * CELL_STEP, y + GROUP_HEAD + n // CELLS_ACROSS * CELL_STEP)
        for n, task in enumerate(node.members)
    )
    if node.head is not None and not node.members:
        state = state_of("task", node.head.state)
        note = "left out" if node.head.state == "skipped" else node.head.agent or ""
        return Box(node.head.label, note, node.head, state.meaning, state.word, x, y, width, height)
    states = known or Counter(task.state for task in node.members)
    total = sum(states.values())
    note = f"{states.get('succeeded', 0)} of {total}{'' if whole or known else ' drawn'} succeeded"
    state = _worst([state_of("task", each) for each in states])
    return Box(
        (node.head or node.members[0]).name, note, node.head, state.meaning, state.word, x, y, width, height, cells
    )


def _worst(states: Sequence[State]) -> State:
    order = (Meaning.BAD, Meaning.WAITS, Meaning.BUSY, Meaning.UNKNOWN, Meaning.GOOD)
    return min(states, key=lambda state: order.index(state.meaning))


def _cell(task: TaskView, x: int, y: int) -> Cell:
    state = state_of("task", task.state)
    return Cell(task, x, y, state.meaning, state.word)


def _arrows(nodes: Mapping[UUID, _Node], boxes: Mapping[UUID, Box]) -> tuple[Arrow, ...]:
    # What a task spawned ends before it does: the arrow to what comes next leaves from the lowest of that.
    found = [(boxes[_lowest(key, nodes)], boxes[node.key], False) for node in nodes.values() for key in node.needs]
    found += [(boxes[node.parent], boxes[node.key], True) for node in nodes.values() if node.parent is not None]
    return tuple(_arrow(source, target, spawned=spawned) for source, target, spawned in found)


def _arrow(source: Box, target: Box, *, spawned: bool) -> Arrow:
    x1, y1 = source.x + source.width // 2, source.y + source.height
    x2, y2 = target.x + target.width // 2, target.y - TIP
    bend = max(16, (y2 - y1) // 2)
    line = f"M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"
    return Arrow(line, f"M{x2 - 4} {y2}h8l-4 {TIP}z", spawned)
