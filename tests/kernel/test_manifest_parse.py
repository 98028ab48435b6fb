"""A manifest is read whole, or every problem in it is named where it stands."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import InvalidManifest
from aos.kernel.manifest.diff import diff
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.manifest.templates import parse_duration
from aos.kernel.manifest.values import Manifest
from aos.kernel.tools import Repeat, ResultTrust
from tests.kernel.manifest_sample import LARKSPUR


def problems(document: Any, known: Manifest | None = None) -> list[tuple[str, str]]:
    with pytest.raises(InvalidManifest) as refused:
        parse_manifest(document, known)
    return [(error.pointer, error.detail) for error in refused.value.errors]


def changed(path: str, value: Any) -> dict:
    """Return the sample with one place changed; a value of `...` removes it."""
    document = copy.deepcopy(LARKSPUR)
    *steps, last = path.strip("/").split("/")
    place: Any = document
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return document


def test_the_sample_is_read_into_values() -> None:
    manifest = parse_manifest(LARKSPUR)
    tool = next(each for each in manifest.tools if each.name == "payments.create")
    assert (tool.repeat, tool.result_trust, tool.money) == (Repeat.KEYED, ResultTrust.UNTRUSTED, ("amount",))
    assert isinstance(tool.schema, dict)
    assert tool.schema["additionalProperties"] is False
    assert dict(manifest.organization.rates or ()) == {"USD": 920_000_000}
    assert [budget.id for budget in manifest.budgets] == ["agent-finance", "finance-month"]


def test_a_reference_to_a_task_implies_after_and_orders_the_tasks() -> None:
    (workflow,) = parse_manifest(LARKSPUR).workflows
    assert [(task.name, task.after) for task in workflow.tasks] == [
        ("match", ()),
        ("vendor", ("match",)),
        ("report", ("vendor", "match")),
    ]


@pytest.mark.parametrize(
    ("path", "value", "pointer", "detail"),
    [
        ("/aos", 2, "/aos", "must be `1`"),
        ("/aos", ..., "", "`aos` is missing"),
        ("/agnts", {}, "/agnts", "unknown field `agnts`; did you mean `agents`?"),
        ("/alerts", {}, "/alerts", "unknown field `alerts`"),
        ("/agents/finance/llm", {}, "/agents/finance/llm", "unknown field `llm`"),
        ("/agents/finance/type", "boss", "/agents/finance/type", "must be one of `executive`"),
        ("/agents/finance/department", "fin", "/agents/finance/department", "no department is called `fin`"),
        ("/agents/finance/owner", "m@l.example", "/agents/finance/owner", "no person has the address"),
        ("/agents/finance/tools/1", "payment.create", "/agents/finance/tools/1", "did you mean `payments.create`?"),
        ("/agents/finance/tools/1", "hr.*", "/agents/finance/tools/1", "`hr.*` takes in no tool"),
        ("/agents/finance/tools/0/effects", ["reed"], "/agents/finance/tools/0/effects/0", "did you mean `read`?"),
        ("/agents/finance/delegates", ["finance"], "/agents/finance/delegates/0", "cannot hand work to itself"),
        ("/agents/finance/delegates", ["vendor"], "/agents/finance/delegates/0", "no agent is called `vendor`"),
        ("/agents/vendor-review/delegates", ["finance"], "/agents/vendor-review/delegates", "may not delegate"),
        ("/agents/controller/tools", ["payments.create"], "/agents/controller/tools/0", "an observer may only read"),
        ("/agents/Finance", {"type": "functional"}, "/agents/Finance", "does not match the pattern"),
        ("/tools/payments_create", {"python": "a:b", "effect": "pay"}, "/tools/payments_create", "rename one"),
        ("/tools/payments.create/aos", "list_actions", "/tools/payments.create", "exactly one of `python`, `aos`"),
        ("/tools/payments.create/python", "nocolon", "/tools/payments.create/python", "as `example.erp:create_payment` does"),
        ("/tools/payments.create/sinks", ["ibna"], "/tools/payments.create/sinks/0", "is not an argument"),
        ("/tools/payments.create/price/per_call", "0.002", "/tools/payments.create/price/per_call", "`12.30 EUR`"),
        ("/tools/payments.create/price/per_call", "-1 EUR", "/tools/payments.create/price/per_call", "`12.30 EUR`"),
        ("/tools/payments.create/price/per_call", "1 GBP", "/tools/payments.create/price/per_call", "no rate from GBP"),
        ("/tools/payments.create/args/properties/iban", {"typ": 1}, "/tools/payments.create/args/properties/iban/typ", "`type`"),
        ("/tools/payments.create/args/type", "array", "/tools/payments.create/args/type", "must be `object`"),
        ("/tools/payments.create/facts/vendor/tool", "erp.vendor", "/tools/payments.create/facts/vendor/tool", "erp.get_vendor"),
        ("/tools/payments.create/facts/vendor/args", {}, "/tools/payments.create/facts/vendor", "needs the argument `vendor`"),
        ("/tools/erp.get_vendor/effect", "write", "/tools/payments.create/facts/vendor/tool", "looked up by reading"),
        ("/tools/payments.create/compensate/tool", "payments.revers", "/tools/payments.create/compensate/tool", "did you mean"),
        ("/tools/payments.create/compensate/tool", "erp.get_vendor", "/tools/payments.create/compensate/tool", "undoes nothing"),
        ("/tools/erp.get_vendor/compensate", {"tool": "payments.reverse"}, "/tools/erp.get_vendor/compensate", "nothing to undo"),
        ("/tools/payments.create/compensate/arguments/payment", ..., "/tools/payments.create/compensate", "needs the argument `payment`"),
        ("/tools/payments.create/compensate/arguments/id", "x", "/tools/payments.create/compensate/arguments/id", "is not an argument"),
        ("/tools/payments.create/compensate/arguments/reason", 3, "/tools/payments.create/compensate/arguments/reason", "must be a string"),
        ("/tools/payments.create/compensate/arguments/reason", "${args.amuont}", "/tools/payments.create/compensate/arguments/reason", "`args.amuont`"),
        ("/tools/payments.create/compensate/arguments/reason", "${result.id}", "/tools/payments.create/compensate/arguments/reason", "may be read"),
        ("/tools/payments.create/timeout", "10 min", "/tools/payments.create/timeout", "as `10m` does"),
        ("/tools/payments.create/timeout", "0s", "/tools/payments.create/timeout", "longer than 0s"),
        ("/workflows/month-end/tasks/match/timeout", "0s", "/workflows/month-end/tasks/match/timeout", "longer than 0s"),
        (
            "/workflows/month-end/tasks/match/total_timeout",
            "0m",
            "/workflows/month-end/tasks/match/total_timeout",
            "longer than 0s",
        ),
        ("/tools/payments.create/timeout", "9999d", "/tools/payments.create/timeout", "over the limit"),
        ("/policies/0/outcome", "block", "/policies/0/outcome", "must be one of"),
        ("/policies/0/outcome", "deny", "/policies/0/approvers", "only `outcome: escalate` asks approvers"),
        ("/policies/0/approvers/quorum", 2, "/policies/0/approvers/quorum", "must be `1`"),
        ("/policies/0/agents/0", "finanse", "/policies/0/agents/0", "did you mean `finance`?"),
        ("/policies/0/agents/1", "type:subagent", "/policies/0/agents/1", "did you mean `sub-agent`?"),
        ("/policies/0/actions/0", "tool:payments.make", "/policies/0/actions/0", "no tool is called `payments.make`"),
        ("/policies/1/id", "large-payments", "/policies/1/id", "stands here twice"),
        ("/budgets/0/scope", "department:ops", "/budgets/0/scope", "no department is called `ops`"),
        ("/budgets/0/scope", "team:ops", "/budgets/0/scope", "as `department:finance` does"),
        ("/budgets/0/limit", "200", "/budgets/0/limit", "does not match"),
        ("/budgets/0/warn_at", ["120%"], "/budgets/0/warn_at/0", "as `80%` does"),
        ("/budgets/0/id", "agent-finance", "/agents/finance/budget", "stands under `budgets` as well"),
        ("/workflows/month-end/tasks/match/agent", "financ", "/workflows/month-end/tasks/match/agent", "`finance`"),
        ("/workflows/month-end/tasks/match/after", ["mtch"], "/workflows/month-end/tasks/match/after/0", "`match`"),
        ("/workflows/month-end/tasks/match/after", ["report"], "/workflows/month-end/tasks/match", "waits for itself"),
        ("/workflows/month-end/tasks/match/input", "${item}", "/workflows/month-end/tasks/match/input", "`for_each`"),
        ("/workflows/month-end/tasks/match/input", ["${a.output}"], "/workflows/month-end/tasks/match/input/0", "no task"),
        ("/workflows/month-end/tasks/match/input", "${input", "/workflows/month-end/tasks/match/input", "`}`"),
        ("/workflows/month-end/tasks/match/input", "${input.}", "/workflows/month-end/tasks/match/input", "input."),
        ("/workflows/month-end/tasks/match/input", {"a": "${mtch}"}, "/workflows/month-end/tasks/match/input/a", "mtch"),
        ("/workflows/month-end/tasks/match/input", "${index}", "/workflows/month-end/tasks/match/input", "`for_each`"),
        ("/workflows/month-end/output", "${reprt.output}", "/workflows/month-end/output", "did you mean `report`?"),
        ("/workflows/month-end/tasks/match/input", "${ }", "/workflows/month-end/tasks/match/input", "is empty"),
        ("/workflows/month-end/tasks/input", {"agent": "finance"}, "/workflows/month-end/tasks/input", "use that name"),
        ("/workflows/month-end/tasks/match/retries", {}, "/workflows/month-end/tasks/match/retries", "unknown field"),
        ("/workflows/month-end/tasks/match/retry", {"attempts": 0}, "/workflows/month-end/tasks/match/retry/attempts", "at least 1"),
        ("/organization/rates/USD", -1, "/organization/rates/USD", "must be more than 0"),
        ("/organization/rates/USD", 0.0000000001, "/organization/rates/USD", "nine places"),
        ("/people/0/email", "maria", "/people/0/email", "an e-mail address"),
        ("/people/0/roles", ["boss"], "/people/0/roles/0", "must be one of"),
    ],
)  # fmt: skip
def test_a_problem_is_named_where_it_stands(path: str, value: Any, pointer: str, detail: str) -> None:
    found = problems(changed(path, value))
    assert [(at, text) for at, text in found if at == pointer and detail in text], found


def test_a_doubled_dollar_is_literal() -> None:
    (workflow,) = parse_manifest(changed("/workflows/month-end/tasks/match/input", "$${nothing.output}")).workflows
    assert workflow.tasks[0].after == ()


def test_every_problem_is_named_at_once_and_each_once() -> None:
    document = changed("/agents/finance/type", "boss")
    document["budgets"][0]["limit"] = "much"
    document["workflows"]["month-end"]["tasks"]["match"]["agent"] = "financ"
    assert [pointer for pointer, _ in problems(document)] == [
        "/agents/finance/type",
        "/budgets/0/limit",
        "/workflows/month-end/tasks/match/agent",
    ]


def test_what_already_exists_may_be_referred_to() -> None:
    document: Any = {
        "aos": 1,
        "agents": {"ops": {"type": "functional", "department": "finance", "tools": ["payments.create"]}},
    }
    assert [pointer for pointer, _ in problems(document)] == ["/agents/ops/department", "/agents/ops/tools/0"]
    assert parse_manifest(document, parse_manifest(LARKSPUR)).agents[0].name == "ops"


@pytest.mark.parametrize("document", [None, [], "aos", 3, {"aos": 1, "agents": []}, {"aos": 1, "policies": {}}])
def test_a_document_of_another_form_is_refused(document: object) -> None:
    assert problems(document)


def test_a_document_that_nests_too_deep_is_refused() -> None:
    deep: Any = {}
    for _ in range(3_000):
        deep = {"a": deep}
    assert "nests at most" in problems({"aos": 1, "agents": deep})[0][1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(place=st.sampled_from(sorted(LARKSPUR)), inner=st.sampled_from(["", "type", "finance", "0"]), value=json_values)
def test_no_document_brings_the_reader_down(place: str, inner: str, value: Any) -> None:
    document = copy.deepcopy(LARKSPUR)
    if inner and isinstance(document[place], dict):
        document[place][inner] = value
    else:
        document[place] = value
    with contextlib.suppress(InvalidManifest):
        parse_manifest(document)


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("10m", 600), ("4h", 14_400), ("1d", 86_400)])
def test_a_duration_is_a_whole_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_what_is_stored_reads_back_as_the_same_values() -> None:
    manifest = parse_manifest(LARKSPUR)
    assert msgspec.convert(msgspec.to_builtins(manifest), Manifest) == manifest


def test_applying_what_is_there_changes_nothing() -> None:
    manifest = parse_manifest(LARKSPUR)
    assert diff(manifest, manifest, prune=True) == []


@pytest.mark.parametrize("wrong", [0, -1, 10_001, 1.5, "4", True, None])
@pytest.mark.parametrize(
    "at", ["/agents/finance/concurrency", "/tools/payments.create/concurrency", "/queues/gpu/concurrency"]
)
def test_a_limit_is_a_whole_number_from_one_to_ten_thousand(at: str, wrong: Any) -> None:
    document = copy.deepcopy(LARKSPUR) | {"queues": {"gpu": {"concurrency": 4}}}
    *steps, last = at.strip("/").split("/")
    place: Any = document
    for step in steps:
        place = place[step]
    place[last] = wrong
    assert [pointer for pointer, _ in problems(document)] == [at]


def test_a_queue_that_is_named_exists() -> None:
    document = changed("/agents/finance/queue", "gpu")
    assert problems(document) == [("/agents/finance/queue", "no queue is called `gpu`")]
    assert parse_manifest(document | {"queues": {"gpu": {"concurrency": 4}}}).queues[0].concurrency == 4
    task = "/workflows/month-end/tasks/match/queue"
    assert problems(changed(task, "gpu")) == [(task, "no queue is called `gpu`")]
    known = parse_manifest({"aos": 1, "queues": {"gpu": {"concurrency": 4}}})
    assert parse_manifest(document, known).agents[1].queue == "gpu"
    assert parse_manifest(changed("/agents/finance/queue", "default")).agents[1].queue == "default"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"input": {"month": "2026-01"}}, []),
        ({"input": {"month": "${due.month}"}}, []),
        ({"enabled": False}, []),
        ({}, ["/schedules/nightly/input"]),
        ({"input": {}}, ["/schedules/nightly/input"]),
        ({"input": {"month": 1}}, ["/schedules/nightly/input/month"]),
    ],
)
def test_what_a_schedule_gives_its_workflow_fits_it(given: dict[str, Any], wrong: list[str]) -> None:
    document = changed("/workflows/month-end/input/required", ["month"])
    document["schedules"] = {"nightly": {"cron": "0 6 * * *", "workflow": "month-end", **given}}
    if wrong:
        assert [pointer for pointer, _ in problems(document)] == wrong
    else:
        parse_manifest(document)


def test_an_agent_elsewhere_is_read_with_all_that_says_where_and_how_it_is_reached() -> None:
    there = {"url": "https://agents.partner.example/reviews", "card": "sha256:" + "a" * 64, "secret": "partner"}
    read = parse_manifest(changed("/agents/finance/runtime", {"a2a": there}))
    (agent,) = [each for each in read.agents if each.name == "finance"]
    assert agent.runtime is not None
    assert (agent.runtime.kind, agent.runtime.entry, dict(agent.runtime.options)) == ("a2a", "", there)
    plain = parse_manifest(changed("/agents/finance/runtime", {"http": {"url": "http://127.0.0.1:8001/tasks"}}))
    assert [each.runtime.kind for each in plain.agents if each.name == "finance" and each.runtime] == ["http"]


@pytest.mark.parametrize(
    ("runtime", "place"),
    [
        ({"a2a": {}}, "/agents/finance/runtime/a2a"),
        ({"a2a": {"url": "agents.partner.example"}}, "/agents/finance/runtime/a2a/url"),
        ({"a2a": {"url": "https://user@partner.example"}}, "/agents/finance/runtime/a2a/url"),
        ({"a2a": {"url": "https://partner.example", "card": "sha256:1"}}, "/agents/finance/runtime/a2a/card"),
        ({"http": {"url": "https://partner.example", "card": "x"}}, "/agents/finance/runtime/http/card"),
        ({"a2a": {"url": "https://partner.example"}, "python": "a.b:c"}, "/agents/finance/runtime"),
    ],
)
def test_an_agent_elsewhere_that_is_written_wrongly_is_refused_where_it_stands(runtime: Any, place: str) -> None:
    assert place in [pointer for pointer, _ in problems(changed("/agents/finance/runtime", runtime))]
