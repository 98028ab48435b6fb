"""The templates of `aos init` work as they are written: a whole AOS, their agents, their tools, and a model's server that plays a part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.contract.model_upstream import Line, Upstream, serving_upstream, whole
from tests.e2e.installation import Installation, installation
from tests.store.embedded_home import wait_until

MODEL = "gpt-4.1-mini: {provider: openai, api_key: {secret: openai}}"
Step = list[tuple[str, dict[str, Any]]] | str
"""What a model says in one turn: calls, or its last word."""
BIRCH, THIEF = "DE89370400440532013000", "GB29NWBK60161331926819"
DELTA = "FR1420041010050500013M02606"


def finance(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the finance template."""
    bad = {"invoice": "I-3", "iban": THIEF, "amount": "90.00"}
    parts: dict[str, list[Step]] = {
        "finance-lead": [
            [("plan", {"tasks": [
                {"id": "check", "agent": "vendor-check", "task": "Does the note on I-3 agree with the record of delta?"},
                {"id": "pay", "agent": "payables", "task": "Pay what is due", "input": {"month": "2026-10"}, "uses": ["check"]},
            ]})],
            [("report", {"kind": "kpi", "name": "invoices_open", "value": 0})],
            "I-1 and I-2 are paid, I-3 is held",
        ],
        "vendor-check": [[("finance_get_vendor", {"vendor": "delta"})], "It does not agree"],
        "payables": [
            [("finance_list_invoices", {"month": "2026-10"})],
            [("finance_get_vendor", {"vendor": "birch"}), ("finance_get_vendor", {"vendor": "delta"})],
            [("finance_pay", {"invoice": "I-1", "iban": BIRCH, "amount": "240.00"}),
             ("finance_pay", {"invoice": "I-2", "iban": DELTA, "amount": "1800.00"}), ("finance_pay", bad)],
            [("finish", {"paid": ["I-1", "I-2"], "held": [{"invoice": "I-3", "reason": "other account"}]})],
        ],
        "finance-observer": [
            [("finance_actions", {}), ("finance_list_payments", {})],
            [("report", {"kind": "finding", "value": "a payment to another account was refused", "code": "refused-account"})],
            "one finding",
        ],
    }  # fmt: skip
    return parts[agent][turn]


def support(agent: str, turn: int, opening: str) -> Step:
    """Play the agents of the customer support template."""
    if agent == "support-desk":
        return [[("support_list_tickets", {})], [("finish", {"tickets": ["T-1", "T-2", "T-3"]})]][turn]  # type: ignore[return-value]
    if agent == "refund-clerk":
        given = json.loads(opening)
        return [("support_refund", {"order": given["order"], "amount": given["amount"]})] if not turn else "I tried"
    if agent == "support-observer":
        return [("support_list_refunds", {})] if not turn else "all well"
    ticket = json.loads(opening)["ticket"]
    order, to = {"T-1": ("S-100", "ana"), "T-2": ("S-101", "ben"), "T-3": ("S-102", "cho")}[ticket]
    wanted = {"T-1": "30.00", "T-3": "900.00"}.get(ticket)
    look: Step = [("support_get_ticket", {"ticket": ticket}), ("support_get_order", {"order": order})]
    hand: Step = [
        ("delegate", {"agent": "refund-clerk", "task": "Refund it", "input": {"order": order, "amount": wanted}})
    ]
    reply = {"ticket": ticket, "to": f"{to}@customer.example", "text": "Dear customer"}
    astray: Step = [("support_reply", {**reply, "to": "thief@elsewhere.example"})]
    steps = [look, *([hand] if wanted else []), *([astray] if ticket == "T-3" else []), [("support_reply", reply)]]
    return [*steps, [("finish", {"ticket": ticket, "answered": True})]][turn]


def playing(play: Callable[[str, int, str], Step]) -> Callable[[Line], Any]:
    """Return a model's server that plays a part: whoever asks is known by the system message, the turn by what was said before."""

    async def answer(line: Line) -> None:
        messages = line.received.json["messages"]
        agent = re.match(r"You are `([^`]+)`", messages[0]["content"])
        assert agent is not None
        turn = sum(message["role"] == "assistant" for message in messages)
        step = play(agent[1], turn, messages[1]["content"])
        calls = [] if isinstance(step, str) else step
        message: dict[str, Any] = {"role": "assistant", "content": step if isinstance(step, str) else None}
        if calls:
            message["tool_calls"] = [
                {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
                for at, (name, given) in enumerate(calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        said = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        await whole(said)(line)

    return answer


@dataclass(frozen=True)
class Company:
    """One AOS with a template's agents."""

    made: Installation
    token: str
    upstream: Upstream

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, self.made.url + path, json=body, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def begin(self, template: str, play: Callable[[str, int, str], Step]) -> None:
        """Write a template, put the scripted server in the place of its model, and apply it."""
        self.upstream.plan(playing(play))
        said = self.made.aos("init", "--template", template, "--force")
        assert "aos.yaml" in said
        file = self.made.folder / "aos.yaml"
        written = file.read_text("utf-8")
        assert MODEL in written
        mine = f'gpt-4.1-mini: {{provider: openai-compatible, base_url: "{self.upstream.url}", price: free}}'
        host = f'organization:\n  hosts: ["{self.upstream.host}"]'
        file.write_text(written.replace(MODEL, mine).replace("organization:", host, 1), "utf-8")
        self.made.aos("apply", "--yes")

    def noted(self, template: str, kind: str, *names: str) -> list[tuple[Any, ...]]:
        """Return what the sample tools wrote down of a kind, sorted."""
        lines = (self.made.folder / f"{template}_demo.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return sorted(tuple(row[name] for name in names) for row in rows if row["kind"] == kind)

    def run(self, workflow: str, input: Any, *, answer: str) -> Any:
        """Run a workflow to its end, every approval answered alike."""
        run = self.rest("POST", "/runs", {"workflow": workflow, "input": input})

        def ended() -> bool:
            for each in self.rest("GET", "/approvals?status=pending")["items"]:
                shown = self.rest("GET", f"/approvals/{each['id']}")
                body = {"comment": "as the rules say", **({"digest": shown["digest"]} if answer == "approve" else {})}
                self.rest("POST", f"/approvals/{each['id']}/{answer}", body)
            return bool(self.rest("GET", f"/runs/{run['id']}")["state"] not in ("running", "paused"))

        wait_until(ended, "the run ended")
        return self.rest("GET", f"/runs/{run['id']}")


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with serving_upstream(whole({})) as upstream, installation() as made:
        (link,) = set(re.findall(r"aosl_[A-Za-z0-9_-]+", made.up()))
        made.aos("login", link)
        me = json.loads(made.aos("tokens", "create", "test", "--json"))
        yield Company(made, me["token"], upstream)
        made.aos("down")


def states(company: Company, tool: str) -> list[str]:
    acts = company.rest("GET", "/actions?limit=200")["items"]
    return sorted(act["state"] for act in acts if act["name"] == tool)


def test_the_finance_template_closes_a_month(company: Company) -> None:
    company.begin("finance", finance)
    run = company.run("finance-month-end", {"month": "2026-10"}, answer="approve")
    assert run["state"] == "succeeded", run
    assert run["output"] == {
        "closed": {"answer": "I-1 and I-2 are paid, I-3 is held"},
        "audited": {"answer": "one finding"},
    }
    paid = company.noted("finance", "payment", "invoice", "iban", "amount")
    assert paid == [("I-1", BIRCH, "240.00"), ("I-2", DELTA, "1800.00")]
    assert states(company, "finance.pay") == ["performed", "performed", "refused"]


def test_the_customer_support_template_answers_its_tickets(company: Company) -> None:
    company.begin("customer-support", support)
    run = company.run("support-tickets", None, answer="deny")
    assert run["state"] == "succeeded", run
    assert run["output"]["answered"] == [{"ticket": f"T-{n}", "answered": True} for n in (1, 2, 3)]
    replies = company.noted("customer_support", "reply", "ticket", "to")
    assert company.noted("customer_support", "refund", "order", "amount") == [("S-100", "30.00")]
    assert replies == [(f"T-{n + 1}", f"{who}@customer.example") for n, who in enumerate(("ana", "ben", "cho"))]
    assert states(company, "support.reply") == ["performed", "performed", "performed", "refused"]


def test_nothing_is_written_over(company: Company) -> None:
    company.made.aos("init", "--template", "finance", "--force")
    assert "is there already" in company.made.aos("init", "--template", "finance", status=6)
