"""Whose turn a task takes, and how many acts of a tool are granted at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.agents import Agent, AgentStatus, AgentType
from aos.kernel.budget import Account, AccountKey, Hold, NoRoom, NoTurn, TurnKey, Turns, allocate
from aos.kernel.workflow.lanes import DEFAULT_QUEUE, NO_LANE, Limits, lane_of, queue_of

HERE, THERE, FINANCE = UUID(int=1), UUID(int=2), UUID("0199aaaa-0000-7000-8000-000000000001")
PLAIN = Agent(
    UUID(int=3), "finance", 1, AgentType.FUNCTIONAL, AgentStatus.RUNNING, FINANCE, "finance", "m@x.example", "", None
)
LIMITED = replace(PLAIN, concurrency=3)
LIMITS = Limits(HERE, {"gpu": 4, "licences": 2})
TOOLS = [TurnKey(HERE, "tool", "erp.read"), TurnKey(THERE, "tool", "erp.read"), TurnKey(HERE, "tool", "mail.send")]
ACCOUNT = AccountKey(HERE, UUID(int=9), date(2026, 11, 1))


def test_tasks_without_a_limit_take_their_departments_turn() -> None:
    assert lane_of(PLAIN, DEFAULT_QUEUE, LIMITS) == FINANCE
    assert lane_of(PLAIN, "unlimited", LIMITS) == FINANCE
    assert lane_of(replace(PLAIN, department_id=None), DEFAULT_QUEUE, LIMITS) == NO_LANE
    assert lane_of(None, DEFAULT_QUEUE, LIMITS) == NO_LANE


def test_every_limited_queue_agent_and_pair_of_both_has_a_lane_of_its_own() -> None:
    other = replace(LIMITED, name="vendor")
    lanes = [
        lane_of(agent, queue, Limits(organization, LIMITS.queues))
        for organization in (HERE, THERE)
        for agent, queue in (
            (LIMITED, DEFAULT_QUEUE), (other, DEFAULT_QUEUE), (PLAIN, "gpu"), (PLAIN, "licences"), (LIMITED, "gpu"),
        )
    ]  # fmt: skip
    assert len(set(lanes)) == len(lanes)
    assert {lane.version for lane in lanes} == {5}


def test_all_who_share_a_limit_share_its_lane_in_every_process() -> None:
    assert lane_of(PLAIN, "gpu", LIMITS) == lane_of(replace(PLAIN, name="x", department_id=None), "gpu", LIMITS)
    assert lane_of(None, "gpu", LIMITS) == lane_of(PLAIN, "gpu", Limits(HERE, {"gpu": 1}))
    assert lane_of(PLAIN, "gpu", LIMITS) == UUID("ff2b5ec4-85be-5e03-aaa7-cb74a2850e48")


def test_a_task_stands_in_the_queue_that_it_names_else_in_its_agents() -> None:
    queued = replace(PLAIN, queue="gpu")
    assert [queue_of(queued, "licences"), queue_of(queued), queue_of(PLAIN), queue_of(None)] == [
        "licences", "gpu", DEFAULT_QUEUE, DEFAULT_QUEUE,
    ]  # fmt: skip


@given(
    asked=st.lists(st.sampled_from([*TOOLS, None]), max_size=30),
    turns=st.dictionaries(st.sampled_from(TOOLS), st.builds(Turns, st.integers(1, 5), st.integers(0, 7))),
)
def test_no_batch_is_granted_more_calls_of_a_tool_than_its_limit_leaves(
    asked: list[TurnKey | None], turns: dict[TurnKey, Turns]
) -> None:
    grants = allocate([()] * len(asked), {}, wanted=asked, turns=turns)
    for tool in TOOLS:
        granted = [grant is None for each, grant in zip(asked, grants, strict=True) if each == tool]
        if tool in turns:
            left = max(0, turns[tool].at_most - turns[tool].under_way)
            assert granted == [n < left for n in range(len(granted))]
        else:
            assert all(granted)
    assert all(grant is None for each, grant in zip(asked, grants, strict=True) if each is None)


def test_who_gets_no_turn_holds_no_money_and_who_has_no_money_takes_no_turn() -> None:
    tool, other = TOOLS[0], TOOLS[2]
    accounts = {ACCOUNT: Account(10, 0, 0, "EUR", "all")}
    turns = {tool: Turns(1, 0), other: Turns(1, 1)}
    grants = allocate(
        [[Hold(ACCOUNT, 8)], [Hold(ACCOUNT, 11)], [Hold(ACCOUNT, 10)], [Hold(ACCOUNT, 1)]],
        accounts,
        wanted=[other, tool, tool, tool],
        turns=turns,
    )
    assert [type(grant) for grant in grants] == [NoTurn, NoRoom, type(None), NoTurn]
    assert str(grants[0]) == "1 call is under way of `mail.send`, as many as its limit allows at once"
