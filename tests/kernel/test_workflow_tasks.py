"""The life of a task: its states, its retries, and what becomes of it when a pass has ended."""

from __future__ import annotations

from itertools import pairwise, product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import Conflict
from aos.kernel.limits import CLAIMS_MAX
from aos.kernel.tools import Repeat
from aos.kernel.workflow.outcome import EndedTask, fan_failure, run_outcome
from aos.kernel.workflow.passes import (
    TRIES_ANY,
    CallRecord,
    CallState,
    Chances,
    Continued,
    Fail,
    Failed,
    FallBack,
    GoOn,
    Park,
    Release,
    Retry,
    Returned,
    Stuck,
    Succeed,
    Suspended,
    Vanished,
    divergent_calls,
    history_of,
    history_tries,
    judge_failure,
    judge_pass,
)
from aos.kernel.workflow.retry import JITTER, backoff_seconds, is_retried
from aos.kernel.workflow.spec import RetrySpec
from aos.kernel.workflow.states import FINAL, TRANSITIONS, RunState, TaskEvent, TaskState, may_move, step

TASK = UUID(int=7)
RETRY = RetrySpec(attempts=3, backoff_seconds=2.0, max_backoff_seconds=60.0)


def test_the_table_is_every_legal_move_and_all_else_is_refused():
    for state, event in product(TaskState, TaskEvent):
        if (state, event) in TRANSITIONS:
            assert step(state, event) is TRANSITIONS[state, event]
            assert may_move(state, step(state, event))
        else:
            with pytest.raises(Conflict):
                step(state, event)


def test_no_move_leads_out_of_a_final_state_and_every_open_state_can_be_cancelled():
    assert not [state for state, _ in TRANSITIONS if state in FINAL]
    for state in set(TaskState) - FINAL:
        assert step(state, TaskEvent.CANCEL) is TaskState.CANCELLED


def test_every_state_can_be_reached_from_blocked():
    reached = {TaskState.BLOCKED}
    for _ in TaskState:
        reached |= {end for (start, _), end in TRANSITIONS.items() if start in reached}
    assert reached == set(TaskState)


@given(st.integers(1, 200), st.uuids(), st.floats(0, 1_000), st.floats(0, 5_000))
def test_a_wait_never_passes_its_maximum_and_is_the_same_each_time(attempt, task_id, first, most):
    retry = RetrySpec(attempts=100, backoff_seconds=first, max_backoff_seconds=most)
    wait = backoff_seconds(retry, attempt, task_id=task_id)
    full = min(first * 2.0 ** min(attempt - 1, 62), most)
    assert full * (1 - JITTER) <= wait <= full
    assert wait == backoff_seconds(retry, attempt, task_id=task_id)


def test_waits_double_and_differ_between_tasks():
    waits = [backoff_seconds(RETRY, attempt, task_id=TASK) for attempt in (1, 2, 3, 4, 5, 6, 7)]
    assert all(low < high for low, high in pairwise(waits[:5]))
    assert len({backoff_seconds(RETRY, 1, task_id=UUID(int=n)) for n in range(50)}) == 50


def judge(end, *, attempt=1, claims=0, divergent=()):
    return judge_pass(end, Chances(RETRY, TASK, attempt, 3), claims=claims, divergent=divergent)


PAID = CallRecord("k", 1, 0, "tool", "payments.create", "pay", CallState.PERFORMED, 1)


@pytest.mark.parametrize(
    ("given_", "verdict"),
    [
        ({"end": Returned([1])}, Succeed([1])),
        ({"end": Suspended()}, Park()),
        ({"end": Failed("raised", "no")}, Retry("raised", "no", backoff_seconds(RETRY, 1, task_id=TASK))),
        ({"end": Failed("raised", "no"), "attempt": 3}, Fail("raised", "no")),
        ({"end": Failed("denied", "no", final=True)}, Fail("denied", "no")),
        ({"end": Vanished(counted=True)}, Release(counted=True)),
        ({"end": Vanished(counted=False), "claims": 99}, Release(counted=False)),
        ({"end": Suspended(), "divergent": [PAID]}, Park()),
        ({"end": Continued([1])}, GoOn([1])),
    ],
)
def test_what_becomes_of_a_task_when_its_pass_has_ended(given_, verdict):
    assert judge(**given_) == verdict


def test_a_task_that_keeps_ending_its_host_is_stuck_until_a_person_looks():
    verdict = judge(Vanished(counted=True), claims=CLAIMS_MAX - 1)
    assert isinstance(verdict, Stuck)
    assert verdict.code == "poison"
    assert isinstance(judge(Vanished(counted=True), claims=CLAIMS_MAX - 2), Release)


@pytest.mark.parametrize(
    ("on", "never", "code", "error_class", "retried"),
    [
        ((), (), "raised", "ValueError", True),
        (("timed-out",), (), "raised", "ValueError", False),
        (("timed-out",), (), "timed-out", "", True),
        (("ValueError",), (), "raised", "ValueError", True),
        (("ValueError",), (), "raised", "pricing.errors.ValueError", True),
        (("ValueError",), (), "raised", "Value", False),
        (("raised",), ("ValueError",), "raised", "ValueError", False),
        ((), ("raised",), "timed-out", "", True),
        ((), ("raised",), "raised", "KeyError", False),
    ],
)
def test_errors_are_retried_by_their_code_or_class_and_never_is_stronger(on, never, code, error_class, retried):
    retry = RetrySpec(attempts=3, on=on, never=never)
    assert is_retried(retry, code, error_class) is retried
    verdict = judge_failure(Failed(code, "no", error_class=error_class), Chances(retry, TASK, 1, 3))
    assert isinstance(verdict, Retry) is retried


WAIT = backoff_seconds(RETRY, 1, task_id=TASK)


@pytest.mark.parametrize(
    ("chances", "failed", "verdict"),
    [
        ({"seconds_left": 60.0}, Failed("raised", "no"), Retry("raised", "no", WAIT)),
        ({"seconds_left": WAIT / 2}, Failed("raised", "no"), Fail("raised", "no")),
        ({"seconds_left": 0.0}, Failed("raised", "no"), Fail("timed-out", "its time was over; last: no")),
        ({"seconds_left": -1.0}, Failed("timed-out", "too long"), Fail("timed-out", "too long")),
        ({"seconds_left": -1.0, "has_fallback": True}, Failed("timed-out", "x"), Fail("timed-out", "x")),
        ({"attempt": 3, "has_fallback": True}, Failed("raised", "no"), FallBack("raised", "no")),
        ({"attempt": 2, "has_fallback": True}, Failed("raised", "no", final=True), Fail("raised", "no")),
        ({"attempt": 4, "last_attempt": 6}, Failed("raised", "no"), Retry("raised", "no", WAIT)),
        ({"attempt": 6, "last_attempt": 6}, Failed("raised", "no"), Fail("raised", "no")),
    ],
)
def test_what_becomes_of_a_failed_attempt_by_its_chances(chances, failed, verdict):
    given_ = {"retry": RETRY, "task_id": TASK, "attempt": 1, "last_attempt": 3, **chances}
    assert judge_failure(failed, Chances(**given_)) == verdict


@given(st.integers(1, 20), st.booleans())
def test_every_chain_of_failures_ends_and_counts_its_attempts_on(attempts, has_fallback):
    retry = RetrySpec(attempts=attempts)
    attempt, last = 1, attempts
    made = 0
    while True:
        made += 1
        verdict = judge_failure(Failed("raised", ""), Chances(retry, TASK, attempt, last, has_fallback=has_fallback))
        if isinstance(verdict, Fail):
            break
        attempt += 1
        if isinstance(verdict, FallBack):
            last, has_fallback = attempt - 1 + attempts, False
    assert made == attempt <= 2 * attempts


def test_what_another_agent_did_before_is_not_the_fallback_agents_to_repeat():
    before, after = call("paid", attempt=1), call("sent", attempt=4)
    assert divergent_calls([before, after], [], first_attempt=4) == [after]
    assert divergent_calls([before, after], []) == [before, after]


@pytest.mark.parametrize("end", [Returned(1), Continued(1), Failed("raised", "no")])
def test_a_pass_that_left_out_a_payment_fails_for_good(end):
    verdict = judge(end, divergent=[PAID])
    assert isinstance(verdict, Fail)
    assert verdict.code == "diverged"


def call(key="k", attempt=1, tries=0, state=CallState.PERFORMED, seq=1, effect="pay", repeat=Repeat.NEVER):
    return CallRecord(key, attempt, tries, "tool", "t", effect, state, seq, repeat)


def test_only_effects_that_were_or_may_have_been_made_and_that_the_pass_did_not_come_to_diverge():
    calls = [
        call("paid"),
        call("read", effect="read"),
        call("step", effect=None),
        call("refused", state=CallState.REFUSED),
        call("lost", state=CallState.UNKNOWN),
    ]
    assert [each.key for each in divergent_calls(calls, [])] == ["paid", "lost"]
    assert divergent_calls(calls, [("paid", 4), ("lost", 0)]) == []


def test_within_an_attempt_everything_concluded_is_handed_back_in_order():
    calls = [call("c", seq=3, state=CallState.REFUSED), call("a", seq=1), call("b", seq=2, state=CallState.FAILED)]
    calls += [call("w", state=CallState.WAITING, seq=0), call("i", state=CallState.INTENDED, seq=0)]
    assert [each.key for each in history_of(calls, 1)] == ["a", "b", "c"]


def test_a_new_attempt_takes_over_what_was_performed_and_what_may_not_be_made_again():
    calls = [
        call("paid", seq=1),
        call("refused", seq=2, state=CallState.REFUSED),
        call("lost", seq=3, state=CallState.UNKNOWN),
        call("read", seq=4, state=CallState.UNKNOWN, repeat=Repeat.SAFE),
        call("new", attempt=2, seq=5, state=CallState.FAILED),
    ]
    history = history_of(calls, 2)
    assert [(each.key, history_tries(each, 2)) for each in history] == [
        ("paid", TRIES_ANY),
        ("lost", TRIES_ANY),
        ("new", 0),
    ]


def test_what_was_performed_in_the_end_is_taken_over_and_not_what_was_unknown_before():
    calls = [call("paid", seq=1, state=CallState.UNKNOWN), call("paid", attempt=2, seq=2)]
    assert [each.state for each in history_of(calls, 3)] == [CallState.PERFORMED]


def test_an_unknown_read_is_made_again_even_in_the_same_attempt():
    calls = [call("read", state=CallState.UNKNOWN, repeat=Repeat.SAFE), call("paid", state=CallState.UNKNOWN, seq=2)]
    assert [each.key for each in history_of(calls, 1)] == ["paid"]


# --- ends ----------------------------------------------------------------------------------------------------------

S, F, K, C = TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ((S, S), (RunState.SUCCEEDED, None)),
        ((S, F, K), (RunState.FAILED, "raised")),
        ((S, K), (RunState.FAILED, "skipped")),
        ((F, C), (RunState.CANCELLED, None)),
    ],
)
def test_what_a_run_comes_to(states, outcome):
    assert run_outcome([EndedTask("t", state, "raised" if state is F else None) for state in states]) == outcome


def test_a_run_goes_on_without_a_task_that_is_tolerated():
    tolerated = [EndedTask("a", F, "raised", tolerated=True), EndedTask("b", K, "condition", tolerated=True)]
    assert run_outcome([EndedTask("c", S), *tolerated]) == (RunState.SUCCEEDED, None)
    assert run_outcome([EndedTask("c", F, "denied"), *tolerated]) == (RunState.FAILED, "denied")


def test_a_run_with_an_open_task_has_no_outcome():
    with pytest.raises(Conflict, match="`b` has not ended"):
        run_outcome([EndedTask("a", S), EndedTask("b", TaskState.READY)])


def test_a_fan_fails_naming_the_items_that_failed():
    assert fan_failure([EndedTask("v[0]", S)]) is None
    said = fan_failure([EndedTask("v[0]", S), EndedTask("v[1]", F, "denied"), EndedTask("v[2]", C)])
    assert said == "2 of 3 items did not succeed: `v[1]` (denied), `v[2]` (cancelled)"
