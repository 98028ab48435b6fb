"""What a workflow of a manifest may say, and where it is refused."""

from __future__ import annotations

import pytest

from aos.kernel.errors import InvalidManifest
from aos.kernel.json import Json
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.workflow.spec import AtLeast, FallbackSpec, OnFailure, RetrySpec, TaskSpec
from aos.operations.documents import workflow_document
from tests.kernel.test_manifest_parse import changed

AT = "/workflows/month-end/tasks"

NESTED = {"tasks": {"sub": {"workflow": "month-end"}}}


def test_every_field_of_a_task_is_read_and_written_back() -> None:
    task = {
        "agent": "finance",
        "after": ["match"],
        "when": "${match.output.ok}",
        "join": {"at_least": 1},
        "retry": {"attempts": 3, "backoff": "2s", "max_backoff": "1m", "on": ["timed-out"], "never": ["KeyError"]},
        "timeout": "10s",
        "total_timeout": "1h",
        "fallback": {"agent": "controller"},
        "on_failure": "continue",
        "queue": "gpu",
        "priority": -5,
    }
    document = changed(f"{AT}/more", task) | {"queues": {"gpu": {"concurrency": 4}}}
    (workflow,) = parse_manifest(document).workflows
    read = next(each for each in workflow.tasks if each.name == "more")
    assert read == TaskSpec(
        "more",
        "finance",
        after=("match",),
        when="${match.output.ok}",
        join=AtLeast(1),
        retry=RetrySpec(3, 2.0, 60.0, ("timed-out",), ("KeyError",)),
        timeout_seconds=10.0,
        total_timeout_seconds=3_600.0,
        fallback=FallbackSpec("controller"),
        on_failure=OnFailure.CONTINUE,
        queue="gpu",
        priority=-5,
    )
    written = workflow_document(workflow)["tasks"]
    assert isinstance(written, dict)
    assert written["more"] == task


def test_a_workflow_may_start_another() -> None:
    document = changed("/workflows/year-end", {"tasks": {"month": {"workflow": "month-end", "join": "all"}}})
    year_end = next(each for each in parse_manifest(document).workflows if each.name == "year-end")
    assert year_end.tasks == (TaskSpec("month", workflow="month-end"),)


@pytest.mark.parametrize(
    ("place", "value", "at", "says"),
    [
        (f"{AT}/match/when", "always", f"{AT}/match/when", "does not match"),
        (f"{AT}/match/when", "${mtch.output}", f"{AT}/match/when", "no task is called `mtch`"),
        (f"{AT}/match/when", "${item}", f"{AT}/match/when", "`for_each`"),
        (f"{AT}/match/join", "some", f"{AT}/match/join", "must be one of"),
        (f"{AT}/match/join", "any", f"{AT}/match/join", "needs 1 of the tasks before it, and there are 0"),
        (f"{AT}/report/join", {"at_least": 3}, f"{AT}/report/join", "needs 3 of the tasks before it, and there are 2"),
        (f"{AT}/match/join", {"at_least": 0}, f"{AT}/match/join/at_least", "at least 1"),
        (f"{AT}/match/on_failure", "ignore", f"{AT}/match/on_failure", "must be one of"),
        (f"{AT}/match/fallback", {"agent": "financ"}, f"{AT}/match/fallback/agent", "did you mean `finance`?"),
        (f"{AT}/match/fallback", {}, f"{AT}/match/fallback", "`agent` is missing"),
        (f"{AT}/match/queue", "GPU", f"{AT}/match/queue", "does not match"),
        (f"{AT}/match/priority", 101, f"{AT}/match/priority", "100"),
        (f"{AT}/match/total_timeout", "soon", f"{AT}/match/total_timeout", "as `10m` does"),
        (f"{AT}/match/timeout", "8d", f"{AT}/match/timeout", "outside of 0 to 7 days"),
        (f"{AT}/match/retry", {"backoff": "2d"}, f"{AT}/match/retry", "longer between attempts than a day"),
        (f"{AT}/match/retry", {"on": [""]}, f"{AT}/match/retry/on/0", ""),
        (f"{AT}/match/input", "x" * 1_000_000, f"{AT}/match/input", "at most 1000000 are taken"),
        (f"{AT}/match/for_each", "${input.month}", f"{AT}/match/for_each", "the input's schema says `string`"),
        (f"{AT}/match/workflow", "month-end", f"{AT}/match", "exactly one of `agent`, `workflow`"),
        (f"{AT}/sub", {}, f"{AT}/sub", "exactly one of `agent`, `workflow`"),
        (f"{AT}/sub", {"workflow": "year-end"}, f"{AT}/sub/workflow", "no workflow is called `year-end`"),
        (f"{AT}/sub", {"workflow": "month-end"}, f"{AT}/sub/workflow", "which it is part of"),
        (f"{AT}/sub", {"workflow": "x", "timeout": "1s"}, f"{AT}/sub/timeout", "bound it by `total_timeout`"),
    ],
)
def test_what_a_task_may_not_say_is_refused_where_it_stands(place: str, value: Json, at: str, says: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(changed(place, value))
    found = {error.pointer: error.detail for error in caught.value.errors}
    assert at in found, found
    assert says in found[at]


def test_workflows_that_start_each_other_in_a_circle_are_refused_at_both_ends() -> None:
    document = changed("/workflows/year-end", NESTED)
    assert isinstance(document, dict)
    document["workflows"]["month-end"]["tasks"]["sub"] = {"workflow": "year-end"}
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(document)
    assert {error.pointer: error.detail for error in caught.value.errors} == {
        f"{AT}/sub/workflow": "workflow `month-end` starts itself: month-end -> year-end -> month-end",
        "/workflows/year-end/tasks/sub/workflow": "workflow `year-end` starts itself: year-end -> month-end -> year-end",
    }


def test_100_001_tasks_are_refused() -> None:
    many = {f"t{n}": {"agent": "finance"} for n in range(100_001)}
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(changed("/workflows/month-end/tasks", many))
    assert caught.value.errors[0].pointer == "/workflows/month-end/tasks"
