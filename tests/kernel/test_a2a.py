"""The table from where a run stands to A2A's states, the cards that are believed, and the hosts that may be spoken to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from a2a.types import TaskState as WireState
from hypothesis import given
from hypothesis import strategies as st

import aos.store
from aos.drivers.model_http.addresses import Listed, listed, locate
from aos.kernel.a2a import (
    FOR_SENDER,
    INTERRUPTED,
    SAID,
    STATES,
    TERMINAL,
    Phase,
    TaskState,
    backoff_seconds,
    ends_stream,
    is_answered,
    phases_of,
    state_of,
)
from aos.kernel.permitted_hosts import is_permitted
from aos.kernel.workflow.states import RUN_FINAL, RunState

VIEW = Path(next(iter(aos.store.__path__))) / "migrations/m0016/01_a2a.sql"


def test_every_phase_is_one_state_of_the_protocol() -> None:
    assert set(STATES) == set(Phase)
    assert sorted(phase for state in TaskState for phase in phases_of(state)) == sorted(Phase)
    assert {f"TASK_STATE_{name}" for name in TaskState.__members__} == set(WireState.keys()) - {
        "TASK_STATE_UNSPECIFIED"
    }


def test_the_view_yields_the_phases_of_the_table_and_no_other() -> None:
    case = re.search(r"  case\n    when t\.ended(.*?)end as phase", VIEW.read_text("utf-8"), re.DOTALL)
    assert case is not None
    written = set(re.findall(r"(?:then|else) '([a-z-]+)'", case[1]))
    ended = {"refused", "withdrawn"}  # the row says these itself
    runs = {state.value for state in RunState} - {RunState.RUNNING.value}
    assert written | ended | runs == {phase.value for phase in Phase}


def test_a_run_that_has_ended_is_a_task_that_never_changes_again() -> None:
    for state in RUN_FINAL:
        assert state_of(Phase(state.value)) in TERMINAL


@pytest.mark.parametrize("phase", list(Phase))
def test_an_answer_is_due_where_the_protocol_says_so_and_a_stream_ends_where_nothing_more_comes(phase: Phase) -> None:
    state = state_of(phase)
    assert is_answered(phase) is (state in TERMINAL | INTERRUPTED)
    assert ends_stream(phase) is (state in TERMINAL or phase in FOR_SENDER)
    if state in INTERRUPTED:
        assert SAID[phase].format(approval="x")


@given(st.integers(-5, 10_000), st.floats(0.1, 10), st.floats(10, 1e6))
def test_pauses_grow_up_to_the_longest(tries: int, first: float, most: float) -> None:
    pause, longer = (backoff_seconds(each, first=first, most=most) for each in (tries, tries + 1))
    assert first <= pause <= longer <= most


HOSTS = ["agents.example.com", "example.com", "127.0.0.1", "[::1]", "10.0.0.1", "EXAMPLE.com"]
LISTS = ["agents.example.com", "*.example.com", "example.com:8080", "127.0.0.1:80", "[::1]:80", "*", "10.0.0.1"]


@given(
    st.sampled_from(HOSTS), st.sampled_from(["", ":80", ":443", ":8080"]), st.sampled_from(["http", "https"]),
    st.lists(st.sampled_from(LISTS), max_size=3),
)  # fmt: skip
def test_what_is_told_early_of_a_host_is_what_the_driver_says_of_the_list(
    host: str, port: str, scheme: str, hosts: list[str]
) -> None:
    url = f"{scheme}://{host}{port}/path"
    assert is_permitted(url, hosts) is (listed(locate(url).server, tuple(hosts)) is not Listed.NOT)


@pytest.mark.parametrize("url", ["", "x", "http://", "file:///etc/passwd", "ftp://x/", "http://[::1", "//x"])
def test_what_is_no_address_is_never_permitted(url: str) -> None:
    assert not is_permitted(url, ["*", "x"])
