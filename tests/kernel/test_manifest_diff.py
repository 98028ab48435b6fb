"""Applying says beforehand what changes, and marks what gives somebody more than before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from aos.kernel.manifest.diff import diff
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.manifest.values import Manifest
from tests.kernel.manifest_sample import LARKSPUR

DELETE = {"python": "example.erp:delete", "effect": "delete"}
READ = {"python": "example.erp:list", "effect": "read"}
Edit = Callable[[dict[str, Any]], object]


def changes(edit: Edit, *, base: dict[str, Any] = LARKSPUR, prune: bool = False) -> list[tuple[str, str, str]]:
    document = copy.deepcopy(base)
    edit(document)
    found = diff(parse_manifest(base), parse_manifest(document), prune=prune)
    return [(change.mark.value, change.kind, change.name) for change in found]


def policy(document: dict[str, Any]) -> dict[str, Any]:
    return document["policies"][0]


def finance(document: dict[str, Any]) -> dict[str, Any]:
    return document["agents"]["finance"]


POLICY, AGENT, PAYMENTS = ("policy", "large-payments"), ("agent", "finance"), ("tool", "payments.create")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda d: finance(d).update(goal="Pay"), [("~", *AGENT)]),
        (lambda d: finance(d)["tools"].pop(), [("~", *AGENT)]),
        (lambda d: finance(d)["delegates"].append("controller"), [("!", *AGENT)]),
        (lambda d: finance(d).update(permissions=["content.read"]), [("!", *AGENT)]),
        (lambda d: finance(d).update(roles=["payer"]), [("!", *AGENT)]),
        (lambda d: finance(d).update(type="executive"), [("!", *AGENT)]),
        (lambda d: d["agents"]["vendor-review"]["tools"].append("payments.create"), [("!", "agent", "vendor-review")]),
        (lambda d: d["agents"].update(ops={"type": "functional"}), [("+", "agent", "ops")]),
        (lambda d: policy(d).update(reason="too much"), [("~", *POLICY)]),
        (lambda d: policy(d).update(when="args.amount > 2000"), [("!", *POLICY)]),
        (lambda d: policy(d).pop("when"), [("~", *POLICY)]),
        (lambda d: policy(d)["agents"].pop(), [("!", *POLICY)]),
        (lambda d: policy(d)["agents"].append("controller"), [("~", *POLICY)]),
        (lambda d: policy(d).update(agents=[]), [("~", *POLICY)]),
        (lambda d: policy(d).update(effects=["pay"]), [("!", *POLICY)]),
        (lambda d: policy(d)["approvers"].update(role="viewer"), [("!", *POLICY)]),
        (lambda d: (policy(d).update(outcome="allow"), policy(d).pop("approvers")), [("!", *POLICY)]),
        (lambda d: (policy(d).update(outcome="deny"), policy(d).pop("approvers")), [("~", *POLICY)]),
        (lambda d: d["policies"].append({"id": "free", "outcome": "allow"}), [("!", "policy", "free")]),
        (lambda d: d["policies"].append({"id": "none", "outcome": "deny"}), [("+", "policy", "none")]),
        (lambda d: d["tools"]["payments.create"].update(sinks=["iban"]), [("!", *PAYMENTS)]),
        (lambda d: d["tools"]["payments.create"].update(repeat="safe"), [("!", *PAYMENTS)]),
        (lambda d: d["tools"]["payments.create"].update(repeat="never"), [("~", *PAYMENTS)]),
        (lambda d: d["tools"]["payments.create"].update(result_trust="trusted"), [("!", *PAYMENTS)]),
        (lambda d: d["tools"]["payments.create"].update(description="Pays"), [("~", *PAYMENTS)]),
        (lambda d: d["people"][0].update(roles=["approver", "admin"]), [("!", "person", "maria@larkspur.example")]),
        (lambda d: d["people"][0].update(roles=[]), [("~", "person", "maria@larkspur.example")]),
        (lambda d: d["organization"].update(run_clock=True), [("!", "organization", "Larkspur")]),
        (lambda d: d["organization"].update(environment="staging"), [("~", "organization", "Larkspur")]),
        (lambda d: finance(d).update(concurrency=4), [("~", *AGENT)]),
        (lambda d: d["tools"]["payments.create"].update(concurrency=4), [("~", *PAYMENTS)]),
        (lambda d: d.update(queues={"gpu": {"concurrency": 4}}), [("+", "queue", "gpu")]),
        (lambda d: d["budgets"][0].update(limit="300 EUR"), [("~", "budget", "finance-month")]),
    ],
)  # fmt: skip
def test_a_change_is_marked_by_what_it_gives(edit: Edit, expected: list[tuple[str, str, str]]) -> None:
    assert changes(edit) == expected


def test_a_glob_that_takes_in_a_new_tool_waits_for_a_person_unless_it_names_effects() -> None:
    base = copy.deepcopy(LARKSPUR)
    base["agents"]["vendor-review"]["tools"] = ["erp.*"]
    assert changes(lambda d: d["tools"].update({"erp.delete": DELETE}), base=base) == [
        ("+", "tool", "erp.delete"),
        ("!", "agent", "vendor-review"),
    ]
    assert changes(lambda d: d["tools"].update({"erp.list": READ})) == [("+", "tool", "erp.list")]


def test_a_tool_that_becomes_a_read_is_not_slipped_under_a_glob() -> None:
    base = copy.deepcopy(LARKSPUR)
    base["tools"]["erp.delete"] = DELETE
    edit: Edit = lambda d: d["tools"]["erp.delete"].update(effect="read")  # noqa: E731
    assert changes(edit, base=base) == [("!", "tool", "erp.delete"), ("!", "agent", "finance")]


def test_a_glob_of_an_agent_that_the_manifest_does_not_name_still_counts() -> None:
    current = copy.deepcopy(LARKSPUR)
    current["agents"]["vendor-review"]["tools"] = ["erp.*"]
    known = parse_manifest(current)
    document: Any = {"aos": 1, "tools": {"erp.delete": DELETE}}
    wanted = parse_manifest(document, known)
    assert [(change.mark, change.name) for change in diff(known, wanted)] == [
        ("+", "erp.delete"),
        ("!", "vendor-review"),
    ]


@pytest.mark.parametrize("edit", [lambda part: part.update(concurrency=9), lambda part: part.pop("concurrency")])
def test_a_limit_that_is_raised_or_gone_gives_nobody_more(edit: Callable[[dict[str, Any]], object]) -> None:
    base = copy.deepcopy(LARKSPUR)
    base["agents"]["finance"]["concurrency"] = base["tools"]["payments.create"]["concurrency"] = 4
    assert changes(lambda d: edit(finance(d)), base=base) == [("~", *AGENT)]
    assert changes(lambda d: edit(d["tools"]["payments.create"]), base=base) == [("~", *PAYMENTS)]


def test_a_queue_is_removed_only_when_asked_for() -> None:
    base = copy.deepcopy(LARKSPUR)
    base["queues"] = {"gpu": {"concurrency": 4}}
    assert changes(lambda d: d.pop("queues"), base=base) == []
    assert changes(lambda d: d.pop("queues"), base=base, prune=True) == [("-", "queue", "gpu")]
    assert changes(lambda d: d["queues"].update(gpu={"concurrency": 5}), base=base) == [("~", "queue", "gpu")]


def test_an_agent_that_names_no_owner_keeps_the_one_it_has() -> None:
    assert changes(lambda d: finance(d).pop("owner")) == []


def test_nothing_is_removed_unless_asked_for() -> None:
    empty = parse_manifest({"aos": 1})
    assert diff(parse_manifest(LARKSPUR), empty) == []
    marks = {(change.kind, change.name): change.mark for change in diff(parse_manifest(LARKSPUR), empty, prune=True)}
    assert marks["policy", "large-payments"] == "!"
    assert marks["agent", "finance"] == "-"
    assert not any(kind == "person" for kind, _ in marks)


def test_all_of_a_new_company_is_added() -> None:
    found = diff(Manifest(), parse_manifest(LARKSPUR))
    assert {change.mark.value for change in found if change.kind != "organization"} == {"+"}


def test_rates_are_told_as_they_are_written() -> None:
    before: dict[str, Any] = {"aos": 1, "organization": {"currency": "EUR"}}
    after: dict[str, Any] = {"aos": 1, "organization": {"currency": "EUR", "rates": {"USD": 0.92, "GBP": 1}}}
    (first,) = diff(parse_manifest(before), parse_manifest(after), prune=False)
    assert first.detail == "rates: none -> 1 GBP = 1, 1 USD = 0.92"
    (second,) = diff(parse_manifest(after), parse_manifest({**after, "organization": {"rates": {"USD": 0.915}}}))
    assert "1 USD = 0.915" in second.detail
