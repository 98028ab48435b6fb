"""Plans and templates: what a workflow means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import InvalidCondition, InvalidManifest, TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import FOR_EACH_ITEMS_MAX, INPUT_BYTES_MAX, TASKS_PER_RUN_MAX
from aos.kernel.workflow.plan import child_work, expand_fan, is_wanted, plan_agent, plan_workflow
from aos.kernel.workflow.spec import (
    AtLeast,
    FallbackSpec,
    OnFailure,
    RetrySpec,
    TaskSpec,
    TaskWork,
    WorkflowSpec,
    work_from,
    work_spec,
    workflow_from,
    workflow_spec,
)
from aos.kernel.workflow.templates import render, split_template

MONTH_END = WorkflowSpec(
    "month-end",
    tasks=(
        TaskSpec("report", "controller", after=("vendor",)),
        TaskSpec("vendor", "review", input={"vendor": "${item}", "n": "${index}"}, for_each="${match.output.vendors}"),
        TaskSpec("match", "finance", input={"month": "${input.month}"}, retry=RetrySpec(3, 2.0, 30.0)),
    ),
    output={"vendors": "${vendor.output}", "text": "closed ${input.month}"},
)


def test_references_in_templates_imply_after_and_tasks_come_in_order():
    plan = plan_workflow(MONTH_END)
    assert [(task.name, task.after) for task in plan.tasks] == [("match", ()), ("vendor", (0,)), ("report", (1,))]
    assert plan.tasks[1].is_fan
    assert plan.tasks[1].work.reads == ("match",)
    assert not plan.tasks[1].work.reads_input
    assert plan.tasks[0].work.reads_input
    assert plan.edges == 2


EVERYTHING = WorkflowSpec(
    "everything",
    tasks=(
        TaskSpec("a", "x", retry=RetrySpec(3, 2.0, 30.0, on=("timed-out",), never=("KeyError",)), queue="gpu"),
        TaskSpec("b", "x", when="${a.output.ok}", on_failure=OnFailure.CONTINUE, fallback=FallbackSpec("y")),
        TaskSpec("c", "x", after=("a", "b"), join="any", on_failure=OnFailure.COMPENSATE, priority=-7),
        TaskSpec("d", workflow="other", input={"n": "${c.output}"}, total_timeout_seconds=60.0),
        TaskSpec("e", "x", after=("a", "b", "c"), join=AtLeast(2), timeout_seconds=1.5),
    ),
)


@pytest.mark.parametrize("workflow", [MONTH_END, EVERYTHING])
def test_workflows_and_work_are_read_back_as_written(workflow):
    assert workflow_from(workflow_spec(workflow)) == workflow
    for task in plan_workflow(workflow).tasks:
        assert work_from(work_spec(task.work)) == task.work


def test_a_plan_says_how_many_must_succeed_and_a_condition_is_a_reference():
    tasks = {task.name: task for task in plan_workflow(EVERYTHING).tasks}
    assert {name: task.needs for name, task in tasks.items()} == {"a": None, "b": None, "c": 1, "d": None, "e": 2}
    assert tasks["b"].after == (0,)
    assert tasks["b"].work.reads == ("a",)


def test_a_tasks_row_holds_no_field_at_its_default():
    assert work_spec(TaskWork(agent="a")) == {"agent": "a"}


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ((), "there are no tasks"),
        ((TaskSpec("a", "x"), TaskSpec("a", "x")), "two tasks are named `a`"),
        ((TaskSpec("input", "x"),), "means something else"),
        ((TaskSpec("a b", "x"),), "no name for a task"),
        ((TaskSpec("a", "x", after=("b",)),), "which is no task"),
        ((TaskSpec("a", "x", after=("a",)),), "waits for itself"),
        ((TaskSpec("a", "x", input="${a.output}"),), "waits for itself"),
        ((TaskSpec("a", "x", after=("b",)), TaskSpec("b", "x", after=("a",))), "in a circle: `a`, `b`"),
        ((TaskSpec("a", "x", input="${b.output}"), TaskSpec("b", "x", input="${a.output}")), "in a circle"),
        ((TaskSpec("a", "x", input="${nobody.output}"),), "unknown name `nobody`"),
        ((TaskSpec("a", "x", input="${input.x"),), "without its"),
        ((TaskSpec("a", "x", for_each="items"),), "`for_each` must be one"),
        ((TaskSpec("a", "x", input="${item}"),), "unknown name `item`"),
        ((TaskSpec("a", "x", retry=RetrySpec(attempts=0)),), "asks for 0 attempts"),
        ((TaskSpec("a", "x", retry=RetrySpec(backoff_seconds=-1)),), "less than nothing"),
        ((TaskSpec("a", "x", timeout_seconds=0),), "timeout outside"),
        ((TaskSpec("a", "x", total_timeout_seconds=-1),), "timeout outside"),
        ((TaskSpec("a"),), "an `agent` or a `workflow`, one of them"),
        ((TaskSpec("a", "x", workflow="v"),), "an `agent` or a `workflow`, one of them"),
        ((TaskSpec("a", workflow="w"),), "which it is part of"),
        ((TaskSpec("a", workflow="v", fallback=FallbackSpec("x")),), "only an agent's task has a fallback"),
        ((TaskSpec("a", workflow="v", timeout_seconds=1),), "bound it by `total_timeout`"),
        ((TaskSpec("a", "nobody"),), "is for agent `nobody`, which there is not"),
        ((TaskSpec("a", "x", fallback=FallbackSpec("nobody")),), "falls back to agent `nobody`"),
        ((TaskSpec("a", workflow="nothing"),), "starts workflow `nothing`, which there is not"),
        ((TaskSpec("a", "x", join="any"),), "needs 1 of the 0 tasks before it"),
        ((TaskSpec("a", "x"), TaskSpec("b", "x", after=("a",), join=AtLeast(2))), "needs 2 of the 1 tasks"),
        ((TaskSpec("a", "x", join="most"),), "joins `most`"),
        ((TaskSpec("a", "x", when="yes"),), "`when` must be one"),
        ((TaskSpec("a", "x", when="${b.output}"),), "unknown name `b`"),
        ((TaskSpec("a", "x", priority=101),), "has priority 101"),
        ((TaskSpec("a", "x", queue="GPU!"),), "has queue `GPU!`"),
        ((TaskSpec("a", "x", retry=RetrySpec(on=("",))),), "one that has no name"),
        ((TaskSpec("a", "x", input="x" * INPUT_BYTES_MAX),), "at most 1000000 are taken"),
        ((TaskSpec("a", "x", for_each="${input.month}"),), "must be a list, and the input's schema says `string`"),
    ],
)
def test_a_wrong_workflow_is_refused_with_what_is_wrong(tasks, says):
    with pytest.raises(InvalidManifest, match=says):
        plan_workflow(WorkflowSpec("w", tasks=tasks, input=INPUT_SCHEMA), agents={"x"}, workflows={"v", "w"})


INPUT_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"month": {"type": "string"}, "items": {"type": ["array", "null"]}, "any": {}},
}


@pytest.mark.parametrize("for_each", ["${input.items}", "${input.any}", "${input.other}", "${[1, 2]}"])
def test_what_may_yield_a_list_is_left_to_the_run(for_each):
    workflow = WorkflowSpec("w", (TaskSpec("a", "x", for_each=for_each),), input=INPUT_SCHEMA)
    assert plan_workflow(workflow).tasks[0].is_fan


def test_every_problem_is_told_with_its_place():
    tasks = (TaskSpec("a", "x", retry=RetrySpec(0)), TaskSpec("a", workflow="w"), TaskSpec("c", "x", after=("q",)))
    with pytest.raises(InvalidManifest) as caught:
        plan_workflow(WorkflowSpec("w", tasks=tasks))
    places = {error.pointer for error in caught.value.errors}
    assert places == {"/tasks/0/retry/attempts", "/tasks/1/name", "/tasks/1/workflow", "/tasks/2/after"}


def test_more_tasks_than_a_run_may_have_are_refused_before_anything_else():
    tasks = tuple(TaskSpec("same", "") for _ in range(TASKS_PER_RUN_MAX + 1))
    with pytest.raises(TooLarge, match="100001 tasks"):
        plan_workflow(WorkflowSpec("w", tasks=tasks))


@pytest.mark.parametrize(("ok", "wanted"), [(True, True), (False, False)])
def test_a_condition_decides_whether_a_task_is_done(ok, wanted):
    assert is_wanted(TaskWork(when="${input.ok}"), {"input": {"ok": ok}}) is wanted
    assert is_wanted(TaskWork(), {})


def test_a_condition_that_is_neither_true_nor_false_is_an_error():
    with pytest.raises(InvalidManifest, match="neither true nor false"):
        is_wanted(TaskWork(when="${input.n}"), {"input": {"n": 1}})
    with pytest.raises(InvalidCondition):
        is_wanted(TaskWork(when="${input.n > 1}"), {"input": {}})


def test_a_run_of_one_agent_is_one_task_with_the_runs_input():
    (task,) = plan_agent("finance").tasks
    assert render(task.work.input, {"input": {"a": 1}}) == {"a": 1}
    assert task.work.reads_input


@given(st.integers(2, 30), st.randoms(use_true_random=False))
def test_every_plan_of_a_graph_without_circles_respects_its_edges(count, random):
    names = [f"t{n}" for n in range(count)]
    after = {name: tuple(random.sample(names[:n], random.randint(0, min(n, 3)))) for n, name in enumerate(names)}
    tasks = [TaskSpec(name, "x", after=after[name]) for name in names]
    random.shuffle(tasks)
    plan = plan_workflow(WorkflowSpec("w", tasks=tuple(tasks)))
    for position, task in enumerate(plan.tasks):
        assert {plan.tasks[source].name for source in task.after} == set(after[task.name])
        assert all(source < position for source in task.after)
    assert sorted(task.name for task in plan.tasks) == sorted(names)


# --- templates -----------------------------------------------------------------------------------------------------

VALUES: dict[str, Json] = {
    "input": {"n": 3, "name": "ada", "list": [1, 2], "none": None},
    "match": {"output": {"total": "12.30"}},
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        (7, 7),
        (None, None),
        ("${input.n}", 3),
        ("${ input.list }", [1, 2]),
        ("${input.none}", None),
        ("n=${input.n}", "n=3"),
        ("${input.name}${input.n}", "ada3"),
        ("total ${match.output.total} EUR", "total 12.30 EUR"),
        ("list ${input.list}", "list [1,2]"),
        ("$${input.n} stays", "${input.n} stays"),
        ("${{'a': 1}.a}", 1),
        ("${'}' + input.name}", "}ada"),
        ({"a": ["${input.n}", {"${input.n}": "${input.n + 1}"}]}, {"a": [3, {"${input.n}": 4}]}),
    ],
)
def test_a_template_renders_to_values_with_their_types(template, value):
    assert render(template, VALUES) == value


def test_a_path_that_is_not_there_is_an_error_and_not_a_guess():
    with pytest.raises(InvalidCondition):
        render("${input.missing}", VALUES)


@given(st.text(alphabet="ab${}'\" ", max_size=20))
def test_splitting_a_text_loses_nothing(text):
    try:
        pieces = split_template(text)
    except InvalidManifest:
        assert "${" in text
        return
    rebuilt = "".join(
        "${" + piece.text + "}" if piece.is_expression else piece.text.replace("${", "$${") for piece in pieces
    )
    assert split_template(rebuilt) == pieces


def test_a_fan_has_one_input_for_each_item_in_order():
    (fan,) = [task for task in plan_workflow(MONTH_END).tasks if task.is_fan]
    values: dict[str, Json] = {"match": {"output": {"vendors": ["x", "y"]}}}
    assert expand_fan(fan.work, values) == [{"vendor": "x", "n": 0}, {"vendor": "y", "n": 1}]
    assert child_work(fan.work).for_each is None


def test_a_fan_over_what_is_no_list_or_too_long_is_refused():
    work = TaskWork(agent="a", for_each="${input.items}")
    with pytest.raises(InvalidManifest, match="not a list"):
        expand_fan(work, {"input": {"items": "abc"}})
    with pytest.raises(TooLarge):
        expand_fan(work, {"input": {"items": [0] * (FOR_EACH_ITEMS_MAX + 1)}})
