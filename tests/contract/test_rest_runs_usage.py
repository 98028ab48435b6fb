"""Usage by REST: the groups add up, and what they add up to is what the ledger's records state."""

from __future__ import annotations

from typing import Any

import pytest

from aos.kernel.ledger.record import parse_record
from aos.kernel.money import Money, parse_amount
from aos.kernel.ports import ToolOutcome
from tests.planes import Plane
from tests.run_worlds import Company, make_company
from tests.worlds import Caller, agent, payments, tool

PAY: dict[str, Any] = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
WAYS = ("agent", "department", "run", "tool", "workflow", "day")


@pytest.fixture
def company(plane: Plane) -> Company:
    """An organization in which two agents acted, inside a run and outside, once with an unknown outcome."""
    made = make_company(
        plane,
        agents=[agent("finance", "*"), agent("ops", "*")],
        tools=[payments(), tool("erp.read", price=Money(300_000_000, "EUR")), tool("erp.free")],
    )
    run = made.start("month-end", "pay", agent="finance")
    made.perform(
        made.act_in(run, "pay", "finance", tool="payments.create", arguments=PAY, key="k1"),
        made.act_in(run, "pay", "finance", tool="erp.read", arguments={}, key="k2"),
        made.world.act("ops", "erp.read"),
        made.world.act("ops", "erp.free"),
    )
    made.caller = Caller(lambda tool, arguments: ToolOutcome(ok=False, error="connection lost", unknown=True))
    made.perform(made.world.act("ops", "payments.create", PAY))
    made.world.rows(
        "insert into usage_event (organization_id, id, kind, run_id, task_id, agent_id, name, quantity, unit, cost_nanos,"
        " currency, record_id) values (%s, %s, 'task_runtime', %s, %s, %s, 'finance', 1500, 'milliseconds', 700, 'EUR', %s)",
        *(made.world.organization_id, made.world.tools["erp.read"].id, run.id, run.tasks["pay"]),
        *(made.world.agents["finance"].id, made.world.agents["ops"].id),
    )
    return made


def usage(plane: Plane, query: str = "") -> Any:
    """Return the report."""
    response = plane.get(f"/usage?{query}")
    assert response.status_code == 200, response.text
    return response.json()


def nanos(money: Any) -> int:
    """Return an amount in nanos."""
    assert money["currency"] == "EUR"
    return parse_amount(money["amount"])


@pytest.mark.parametrize("by", WAYS)
def test_the_groups_of_every_way_to_sum_add_up_to_the_totals(plane: Plane, company: Company, by: str) -> None:
    report = usage(plane, f"by={by}&expand=records")
    assert report["by"] == by
    totals = report["totals"]
    for name in ("tasks", "attempts", "tool_calls", "model_calls", "workflow_executions", "events", "runtime_seconds"):
        assert sum(item[name] for item in report["items"]) == totals[name], name
    for name in ("cost", "estimated"):
        assert sum(nanos(item[name]) for item in report["items"]) == nanos(totals[name])
    named = [record["id"] for item in report["items"] for record in item["records"]]
    assert len(named) == len(set(named)) == totals["events"] == 6
    assert all(len(item["records"]) == item["events"] for item in report["items"])


def test_what_was_used_costs_what_the_ledger_states(plane: Plane, company: Company) -> None:
    records = [parse_record(data) for (data,) in company.world.rows("select bytes from record where bytes is not null")]
    stated = sum(int(a.nanos) for record in records for a in record.amounts if a.role == "cost")
    assert stated == 2 * 2_000_000 + 2 * 300_000_000
    assert nanos(usage(plane)["totals"]["cost"]) == stated + 700  # the runtime was written without a record


def test_each_expanded_event_names_the_record_that_states_its_cost(plane: Plane, company: Company) -> None:
    (item,) = [each for each in usage(plane, "by=agent&expand=records")["items"] if each["name"] == "ops"]
    stated = 0
    for record in item["records"]:
        ((data,),) = company.world.rows("select bytes from record where id = %s", record["record_id"])
        stated += sum(int(each.nanos) for each in parse_record(data).amounts if each.role == "cost")
    assert nanos(item["cost"]) == stated == 302_000_000


def test_groups_say_what_was_used(plane: Plane, company: Company) -> None:
    by_agent = {item["name"]: item for item in usage(plane, "by=agent")["items"]}
    assert set(by_agent) == {"finance", "ops"}
    assert (by_agent["finance"]["tool_calls"], by_agent["finance"]["tasks"]) == (2, 1)
    assert by_agent["finance"]["runtime_seconds"] == 1.5
    assert by_agent["ops"]["estimated"] == {"amount": "0.002", "currency": "EUR"}
    assert "records" not in by_agent["ops"]
    by_tool = {item["key"]: item["tool_calls"] for item in usage(plane, "by=tool")["items"]}
    assert by_tool == {None: 0, "erp.free": 1, "erp.read": 2, "payments.create": 2}
    by_run = {item["name"]: item["events"] for item in usage(plane, "by=run")["items"]}
    assert by_run == {None: 3, "month-end": 3}
    assert [item["key"] for item in usage(plane, "by=workflow")["items"]] == [None]


def test_groups_are_paged_and_the_totals_stay_whole(plane: Plane, company: Company) -> None:
    whole = usage(plane, "by=tool")["items"]
    cursor = ""
    for item in whole:
        page = usage(plane, f"by=tool&limit=1{cursor}")
        assert page["items"] == [item]
        assert page["totals"]["events"] == 6
        assert (page["next"] is None) == (item == whole[-1])
        cursor = f"&cursor={page['next']}"


def test_usage_is_bounded_in_time(plane: Plane, company: Company) -> None:
    assert usage(plane, "to=2020-01-01T00:00:00Z")["totals"]["events"] == 0
    assert usage(plane, "from=2020-01-01T00:00:00Z")["totals"]["events"] == 6
    assert usage(plane, "from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")["items"] == []


def test_a_group_shows_the_budgets_that_stand_on_it(plane: Plane, company: Company) -> None:
    made = plane.post(
        "/budgets",
        {"name": "ops-month", "scope": "agent:ops", "limit": {"amount": "5", "currency": "EUR"}, "per": "month"},
    )
    assert made.status_code == 201, made.text
    company.caller = Caller()
    company.perform(company.world.act("ops", "erp.read"))
    by_agent = {item["name"]: item["budgets"] for item in usage(plane, "by=agent")["items"]}
    assert by_agent["finance"] == []
    (budget,) = by_agent["ops"]
    assert (budget["name"], budget["limit"], budget["used"], budget["held"]) == (
        "ops-month",
        {"amount": "5.00", "currency": "EUR"},
        {"amount": "0.30", "currency": "EUR"},
        {"amount": "0.00", "currency": "EUR"},
    )


@pytest.mark.parametrize("query", ["by=colour", "limit=0", "limit=1001", "expand=all", "cursor=x", "from=yesterday"])
def test_what_cannot_be_summed_is_refused(plane: Plane, query: str) -> None:
    assert plane.get(f"/usage?{query}").status_code == 400
