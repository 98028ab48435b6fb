"""Plans: what is refused with which reasons, and in which order the tasks of a good one begin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos_sdk.plans import PlanError, TaskEnd, next_tasks, read_plan, task_input


def task(id: str, agent: str = "one", **more: Any) -> dict[str, Any]:
    return {"id": id, "agent": agent, "task": f"do {id}", **more}


def read(*tasks: dict[str, Any], tasks_max: int = 5) -> Any:
    return read_plan({"tasks": list(tasks)}, agents=["one", "two"], tasks_max=tasks_max)


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([task("a", "three")], "must be one of one, two"),
        ([task("a"), task("a")], "task `a` stands twice"),
        ([task("a", after=["b"])], "task `a` needs `b`, which is no task"),
        ([task("a", uses=["a"])], "wait for each other: a -> a"),
        ([task("a", after=["b"]), task("b", uses=["a"])], "wait for each other"),
        ([task(str(n)) for n in range(6)], "at most 5 items"),
        ([], "at least 1 items"),
        ([task("a", when="later")], "is not a field here"),
        ([task("two words")], "an id is"),
        ([{"id": "a", "agent": "one"}], "`task` is missing"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_with_its_reason(tasks: list[Any], reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        read(*tasks)


@pytest.mark.parametrize("written", [None, [], "plan", {"tasks": "all"}, {"tasks": [1]}])
def test_what_is_no_plan_at_all_is_refused(written: Any) -> None:
    with pytest.raises(PlanError):
        read_plan(written, agents=["one"])


def test_what_only_comes_after_is_spawned_at_once_and_what_uses_results_waits_for_them() -> None:
    plan = read(task("c", uses=["a"], input={"n": 1}), task("b", after=["a"]), task("a"))
    assert [each.id for each in next_tasks(plan, (), {})[0]] == ["a", "b"]
    assert next_tasks(plan, ("a", "b"), {}) == ([], [])
    done = {"a": TaskEnd(True, 12)}
    ready, lost = next_tasks(plan, ("a", "b"), done)
    assert ([each.id for each in ready], lost) == (["c"], [])
    assert task_input(ready[0], done) == {"n": 1, "task": "do c", "results": {"a": 12}}


def test_what_needs_a_failed_task_never_begins_nor_what_needs_that() -> None:
    plan = read(task("a"), task("b", uses=["a"]), task("c", after=["b"]), task("d"))
    assert next_tasks(plan, ("a", "d"), {"a": TaskEnd(False)}) == ([], ["b", "c"])


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=15), st.sets(st.integers(0, 7))
)
def test_every_task_of_a_plan_ends_whatever_fails(edges: list[tuple[int, int, bool]], failing: set[int]) -> None:
    tasks = [task(f"t{n}", after=[], uses=[]) for n in range(8)]
    for low, high, uses in edges:
        if low < high:
            tasks[high]["uses" if uses else "after"].append(f"t{low}")
    plan = read(*tasks, tasks_max=8)
    begun: list[str] = []
    ended: dict[str, TaskEnd] = {}
    for _ in range(20):
        ready, lost = next_tasks(plan, begun, ended)
        ended |= {name: TaskEnd(False, begun=False) for name in lost}
        begun += [each.id for each in ready]
        for each in ready:
            needs_failed = any(not ended[need].ok for need in each.needs if need in ended)
            ended[each.id] = TaskEnd(int(each.id[1:]) not in failing and not needs_failed)
    assert set(ended) == {f"t{n}" for n in range(8)}
    for each in plan.tasks:
        if ended[each.id].ok:
            assert all(ended[need].ok for need in each.needs)
