"""What the console draws and says, as pure functions: figures, the graph of tasks, what is unusual."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.console.amounts import ago_text, duration_text, share_percent
from aos.console.filters import awaited, command
from aos.console.graph import Box, draw_graph
from aos.console.run_words import left_out_text
from aos.console.schedules import Mark, lay_out_hours, tell_later
from aos.console.states import Meaning, state_of
from aos.console.unusual import unusual
from aos.kernel.money import Money, money_text
from aos.operations.actions import ActionView, RuleMet
from aos.operations.approval_views import ApprovalView
from aos.operations.run_views import TaskView
from aos.operations.sign_in import Membership

NOW = datetime(2026, 10, 30, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_900, "59.9 s"), (60_000, "1 min"), (252_000, "4 min 12 s"),
     (7_500_000, "2 h 5 min"), (90_000_000, "1 d 1 h")],
)  # fmt: skip
def test_a_duration_has_at_most_two_units(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (4, "just now"), (42, "42 s ago"), (61, "1 min ago"), (7_300, "2 h ago"), (-3_700, "in 1 h")],
)
def test_a_moment_is_told_by_how_long_ago_it_was(seconds: int, text: str) -> None:
    assert ago_text(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (18_240_000_000_000, "18,240.00 EUR"),
        (500_000, "0.0005 EUR"),
        (0, "0.00 EUR"),
        (-1_500_000_000, "-1.50 EUR"),
        (5_353_560_000, "5.3536 EUR"),
        (1_500, "0.0000015 EUR"),
    ],
)
def test_money_is_never_cut_inside_a_number(nanos: int, text: str) -> None:
    assert money_text(Money(nanos, "EUR")) == text


def test_a_budget_of_nothing_is_spent_by_anything() -> None:
    assert share_percent(Money(1, "EUR"), Money(0, "EUR")) == 100
    assert share_percent(Money(0, "EUR"), Money(0, "EUR")) == 0


def test_a_state_that_nobody_foresaw_is_unknown_by_its_own_word() -> None:
    assert state_of("run", "dreaming").meaning is Meaning.UNKNOWN
    assert state_of("run", "dreaming").word == "dreaming"


# --- the graph


def task(number: int, name: str = "", **more: Any) -> TaskView:
    made = TaskView(
        UUID(int=number), name or f"t{number}", name or f"t{number}", "agent", "finance", "succeeded", False, None, None,
        None, (), 1, 1, False, None, "", 0, NOW, NOW, NOW,
    )  # fmt: skip
    return replace(made, **more)


def box(boxes: tuple[Box, ...], name: str) -> Box:
    return next(each for each in boxes if each.name == name)


def test_what_needs_a_task_stands_below_it_and_below_all_that_it_spawned() -> None:
    spawned = [task(10 + n, "desk", parent_id=UUID(int=1)) for n in range(5)]
    below = task(30, "letters", parent_id=UUID(int=10))
    graph = draw_graph([task(1, "close"), *spawned, below, task(2, "audit", after=(UUID(int=1),))])
    heights = [box(graph.boxes, name).y for name in ("close", "desk", "letters", "audit")]
    assert heights == sorted(set(heights))
    assert len(box(graph.boxes, "desk").cells) == 5
    assert sum(arrow.spawned for arrow in graph.arrows) == 2


def test_the_items_of_a_fan_are_cells_of_its_box_and_the_worst_is_seen_at_once() -> None:
    fan = task(1, "vendor", kind="fan", state="waiting")
    states = ("succeeded", "failed", "waiting")
    items = [task(n + 2, "vendor", parent_id=fan.id, item_index=n, state=state) for n, state in enumerate(states)]
    (drawn,) = draw_graph([fan, *items]).boxes
    assert [cell.meaning for cell in drawn.cells] == [Meaning.GOOD, Meaning.BAD, Meaning.WAITS]
    assert drawn.note == "1 of 3 succeeded"


def test_a_fan_of_which_only_the_first_are_drawn_counts_all_of_its_items() -> None:
    fan = task(1, "vendor", kind="fan", state="waiting")
    items = [task(n + 2, "vendor", parent_id=fan.id, item_index=n) for n in range(5)]
    (drawn,) = draw_graph([fan, *items], {(fan.id, "vendor"): {"succeeded": 299, "failed": 1}}).boxes
    assert (drawn.note, drawn.meaning, len(drawn.cells)) == ("299 of 300 succeeded", Meaning.BAD, 5)
    (unknown,) = draw_graph([fan, *items], {}).boxes
    assert unknown.note == "5 of 5 drawn succeeded"


def test_a_spawned_task_is_drawn_by_the_name_that_it_was_given() -> None:
    parent = UUID(int=1)
    spawned = [task(n, "weigh", label=label, parent_id=parent) for n, label in ((2, "apples"), (3, "pears"))]
    assert [each.name for each in draw_graph([task(1, "shop"), *spawned]).boxes] == ["shop", "apples", "pears"]


def test_a_task_that_was_left_out_is_no_error() -> None:
    skipped = task(1, "refund", state="skipped", error="condition")
    (drawn,) = draw_graph([skipped]).boxes
    assert (drawn.note, drawn.meaning) == ("left out", Meaning.UNKNOWN)
    assert left_out_text(skipped) == "left out: its condition did not hold"
    assert left_out_text(replace(skipped, error="skipped")) == "left out: what it needed did not succeed"
    assert left_out_text(replace(skipped, state="failed")) == ""


def test_what_waits_for_a_time_says_until_when() -> None:
    clock = SimpleNamespace(now=NOW, zone=UTC)
    retries = task(1, state="waiting", waits_for="retry", wake_at=NOW + timedelta(seconds=42))
    assert "its next attempt, <time" in awaited(retries, clock)
    assert "in 42 s" in awaited(retries, clock)
    signalled = replace(retries, waits_for="signal", wake_at=None)
    assert awaited(signalled, clock) == "signal"
    assert awaited(replace(signalled, signals=("close", "go")), clock) == "signal close, go"
    assert awaited(replace(signalled, state="succeeded"), clock) == ""


def test_a_run_without_tasks_draws_nothing() -> None:
    assert draw_graph([]).boxes == ()


@given(st.data())
def test_no_two_boxes_overlap_and_none_leaves_the_drawing(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    tasks = []
    for number in range(1, count + 1):
        earlier = [UUID(int=n) for n in range(1, number)]
        after = tuple(data.draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True))) if earlier else ()
        parent = data.draw(st.sampled_from([None, *earlier])) if not after else None
        tasks.append(task(number, data.draw(st.sampled_from("abc")), after=after, parent_id=parent))
    graph = draw_graph(tasks)
    drawn = graph.boxes
    assert sum(max(1, len(each.cells)) for each in drawn) == count
    for n, one in enumerate(drawn):
        assert one.x >= 0
        assert one.x + one.width <= graph.width
        assert one.y + one.height <= graph.height
        for cell in one.cells:
            assert one.x < cell.x < one.x + one.width - 19
            assert one.y < cell.y < one.y + one.height - 19
        for other in drawn[n + 1 :]:
            beside = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y


# --- what is unusual


def payment(**arguments: Any) -> Any:
    given = {"payee": "Brandt", "iban": "DE71", "amount": "100.00", "currency": "EUR", **arguments}
    return ActionView(
        UUID(int=1), "tool", "payments.create", "pay", "performed", "allow", "", (), None, given, None, None, "", (), None,
        None, None, None, b"", None, "", None, None, None, NOW, NOW, None, (),
    )  # fmt: skip


def asked(origins: Any = None, **arguments: Any) -> ApprovalView:
    given = {"payee": "Brandt", "iban": "DE71", "amount": "100.00", "currency": "EUR", **arguments}
    rule = RuleMet("large-payments", 1, "escalate", "over the limit", False, False)
    return ApprovalView(
        UUID(int=1), "pending", "pay", "tool", "payments.create", "pay", given, "", (rule,), None, origins or {}, b"",
        UUID(int=2), None, (), None, None, None, None, "approver", ("approver",), ("approver",), (),
        1, None, None, "", None, NOW, NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("approval", "before", "said"),
    [
        (asked(), [], ["over the limit"]),
        (asked(), [payment(), payment(), payment()], ["over the limit"]),
        (asked(payee="Kloos"), [payment()], ["over the limit", "nothing of this kind went to Kloos before"]),
        (asked(iban="LT12"), [payment()], ["over the limit", "Brandt was paid to another account before: DE71"]),
        (asked(amount="250.00"), [payment()] * 3, ["over the limit", "the largest of the last 3"]),
        (asked(amount="oops"), [payment()] * 3, ["over the limit"]),
        (asked(amount="900.00", currency="USD"), [payment()] * 3, ["over the limit"]),
        (asked({"origin.iban": "untrusted"}), [], ["over the limit", "`iban` came from a message"]),
        (asked({"origin.iban": "trusted"}), [], ["over the limit"]),
    ],
)
def test_what_is_unusual_is_said_and_nothing_else(approval: ApprovalView, before: Any, said: list[str]) -> None:
    found = unusual(approval, before)
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence


@pytest.mark.parametrize(
    ("names", "written"),
    [(["Larkspur"], "Larkspur"), (["Lark & Spur", "Umbra"], "'Lark & Spur'"), (["Twice", "Twice"], str(UUID(int=1)))],
)
def test_a_command_of_a_page_names_its_organization_so_that_any_shell_takes_it(names: list[str], written: str) -> None:
    mine = tuple(Membership(UUID(int=n), name, frozenset()) for n, name in enumerate(names, 1))
    frame = SimpleNamespace(organization=mine[0], organizations=mine)
    assert command({"frame": frame}, "trace --json", "a b") == f"aos trace --json 'a b' --org {written}"


def test_a_schedule_of_every_minute_is_drawn_as_a_stretch_and_told_by_its_next_times() -> None:
    assert lay_out_hours(range(168)) == (Mark(0, 1_000),)
    assert [(mark.x, mark.width) for mark in lay_out_hours((0, 1, 2, 24, 167))] == [(0, 17), (142, 6), (994, 6)]
    times = [NOW + timedelta(hours=13, minutes=58 + n) for n in range(4)]
    assert tell_later(times, "Europe/Berlin") == ("23:59", "Sat 31 Oct 00:00")
    assert tell_later(times[:1], "Europe/Berlin") == ()
