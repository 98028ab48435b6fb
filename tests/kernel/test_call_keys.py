"""Which call is which: keys are stable, places are given back, records are found."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.json import canonical_json as kernel_canonical_json
from aos_sdk.errors import InvalidCall, Suspended
from aos_sdk.frames import CallError, PassContext, Recorded, Result, Start
from aos_sdk.keys import Places, arguments_digest, call_key, canonical_json, plain_json
from aos_sdk.replay import Outcome, Pass

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def make_pass(*history: Recorded) -> Pass:
    start = Start("task-1", "token", "m:f", PassContext("run-1", "agent", 1), history=list(history))
    return Pass(start, on_latch=lambda: None)


def performed(value: object = None) -> Outcome:
    return Outcome("performed", value, None, 1)


def failed() -> Outcome:
    return Outcome("failed", None, CallError("tool-failed"), 1)


def begin(one: Pass, name: str = "pay", key: str | None = None, **arguments: Any):
    return one.begin("tool", name, arguments=arguments, key=key)[0]


def test_a_key_is_the_hash_of_exactly_these_fields():
    digest = hashlib.sha256(b'{"a":1,"b":"\xc3\xa9"}').hexdigest()
    assert arguments_digest(canonical_json({"b": "é", "a": 1}, "x")) == digest
    spelled = json.dumps(["task-1", ["s.0"], "tool", "pay", digest, 2], separators=(",", ":")).encode()
    assert (
        call_key("task-1", ["s.0"], kind="tool", name="pay", digest=digest, n=2) == hashlib.sha256(spelled).hexdigest()
    )


@given(JSON)
def test_arguments_are_spelled_as_the_kernel_spells_them(value):
    assert canonical_json(value, "x") == kernel_canonical_json(value)


@given(st.tuples(TEXT, TEXT, TEXT, st.integers(1, 9)), st.tuples(TEXT, TEXT, TEXT, st.integers(1, 9)))
def test_calls_that_differ_in_anything_have_different_keys(one, other):
    def key(of):
        return call_key(of[0], [of[1]], kind="tool", name=of[2], digest="d", n=of[3])

    assert (key(one) == key(other)) == (one == other)


@given(st.lists(st.booleans(), max_size=60))
def test_no_two_calls_hold_one_place_and_a_free_place_is_taken_first(takes):
    places = Places()
    held: set[int] = set()
    for take in takes:
        if take or not held:
            n = places.take()
            assert n == min(set(range(1, len(held) + 2)) - held)
            held.add(n)
        else:
            places.give_back(held.pop())


def test_calls_alike_get_places_one_two_three_performed_or_in_flight():
    one = make_pass()
    first, second = begin(one, amount=1), begin(one, amount=1)
    assert first.key != second.key
    one.conclude(first, performed())
    assert begin(one, amount=1).key not in {first.key, second.key}


@pytest.mark.parametrize("state", ["failed", "refused"])
def test_a_call_that_failed_or_was_refused_is_retried_under_its_key(state):
    one = make_pass()
    first = begin(one, amount=1)
    one.conclude(first, Outcome(state, None, None, 1))
    second = begin(one, amount=1)
    assert (second.key, second.tries) == (first.key, 1)
    one.conclude(second, performed())
    third = begin(one, amount=1)
    assert third.key != first.key


def test_a_retry_beside_a_call_alike_in_flight_takes_its_own_place_again():
    one = make_pass()
    first, second = begin(one, amount=1), begin(one, amount=1)
    one.conclude(first, failed())
    assert begin(one, amount=1).key == first.key
    assert second.key != first.key


def test_a_call_of_unknown_outcome_is_met_again_by_the_same_call():
    one = make_pass()
    first = begin(one, amount=1)
    one.conclude(first, Outcome("unknown", None, None, 1))
    again, fresh = one.begin("tool", "pay", arguments={"amount": 1}, key=None)
    assert again is first
    assert fresh is False
    assert begin(one, amount=2).key != first.key


def test_records_are_found_by_key_and_tries_then_by_what_was_performed_then_by_key_alone():
    probe = make_pass()
    key = begin(probe, amount=1).key
    exact = make_pass(
        Recorded(1, key, 0, "tool", "failed", error=CallError("x")), Recorded(2, key, 1, "tool", "performed", "paid")
    )
    first = begin(exact, amount=1)
    assert first.recorded.state == "failed"
    exact.conclude(first, first.recorded)
    assert begin(exact, amount=1).recorded.value == "paid"
    assert begin(make_pass(Recorded(2, key, 1, "tool", "performed", "paid")), amount=1).recorded.value == "paid"
    assert begin(make_pass(Recorded(2, key, -1, "tool", "unknown")), amount=1).recorded.state == "unknown"
    assert begin(make_pass(), amount=1).recorded is None


def test_a_call_inside_a_step_has_a_key_of_that_step_and_try():
    one = make_pass()
    outside = begin(one, amount=1)
    keys = [outside.key]
    step = one.begin("step", "s", arguments={}, key=None)[0]
    for _ in range(2):
        opened = one.open_step(step)
        keys.append(begin(one, amount=1).key)
        one.close_step(opened)
        one.conclude(step, failed())
        step = one.begin("step", "s", arguments={}, key=None)[0]
    assert len(set(keys)) == 3
    assert step.tries == 2


def test_an_explicit_key_stands_for_one_call_whatever_step_it_is_in():
    one = make_pass()
    first = begin(one, key="salary", amount=1)
    assert begin(one, key="salary", amount=1) is first
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("salary", {"amount": 2}),
        ("", {"amount": 1}),
        ("x" * 201, {"amount": 1}),
    ]
    for key, arguments in wrong:
        with pytest.raises(InvalidCall):
            begin(one, key=key, **arguments)


def test_from_the_latch_on_no_call_begins_and_the_first_reason_stands():
    latched = []
    start = Start("t", "token", "m:f", PassContext("r", "a", 1))
    one = Pass(start, on_latch=lambda: latched.append(1))
    begin(one, amount=1)
    one.latch("waiting")
    one.latch("cancelled")
    with pytest.raises(Suspended):
        begin(one, amount=2)
    ended = one.ended("thrown away", None)
    assert (ended.outcome, ended.value, latched) == ("suspended", None, [1])
    assert len(ended.reached) == 1


def test_an_answer_to_no_call_in_flight_is_ignored_and_a_stale_claim_latches():
    one = make_pass()
    assert one.land(Result("task-1", 7, "performed")) is None
    site = begin(one, amount=1)
    call = one.call_frame(site, arguments={"amount": 1}, options={})
    one.land(Result("task-1", call.call_id, "failed", error=CallError("stale-claim")))
    assert one.latched == "cancelled"


@dataclass
class Invoice:
    total: Decimal
    due: date


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Invoice(Decimal("12.30"), date(2026, 1, 31)), {"total": "12.30", "due": "2026-01-31"}),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        ({"b": {"z", "y"}}, {"b": ["y", "z"]}),
    ],
)
def test_values_have_one_plain_form(value, plain):
    assert plain_json(value, "x") == plain


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**70, "\ud800", "x" * 1_000_001])
def test_what_no_frame_carries_is_refused(value):
    with pytest.raises(InvalidCall):
        canonical_json(plain_json(value, "x"), "x")


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(InvalidCall, match="arguments of tool `t`"):
        plain_json(object(), "arguments of tool `t`")
    nested: list = []
    nested.append(nested)
    with pytest.raises(InvalidCall):
        plain_json(nested, "x")


_OWN: list[Any] = []
_OWN.append(_OWN)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "a `object` has no plain form: give a dict, "),
        ({(1, 2): 1}, "the names of a dict are texts or numbers"),
        (2**70, "an integer has at most 64 bits"),
        ("\ud800", r"a text holds half of a character (`\ud800`)"),
        (_OWN, "it nests too deep, or holds itself"),
        (math.nan, "NaN and infinity are no numbers of JSON"),
    ],
)
def test_a_value_without_a_plain_form_is_told_why_in_words(value: Any, why: str) -> None:
    with pytest.raises(InvalidCall) as raised:
        canonical_json(plain_json(value, "the result"), "the result")
    assert str(raised.value).startswith(f"the result: not JSON: {why}")
