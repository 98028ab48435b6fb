"""The templates of `aos init` work as they are written: a whole AOS, their agents, their tools, and a model's server that plays a part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from ruamel.yaml import YAML

from aos.cli.init import Template, template_files
from aos.kernel.models.catalogue import find
from tests.databases import Server
from tests.e2e.template_company import Company, played
from tests.e2e.template_parts import BIRCH, DELTA, offered, told

OWN = {"report", "finish"}
"""What the loop offers every agent besides its tools."""


@pytest.fixture(scope="module")
def company(postgres_server: Server) -> Iterator[Company]:
    with played(postgres_server) as found:
        yield found


def test_the_finance_template_closes_a_month(company: Company) -> None:
    run = company.run("finance-month-end")
    assert run["state"] == "succeeded", run
    assert run["output"] == {
        "closed": {"answer": "I-1 and I-2 are paid, I-3 is held"},
        "audited": {"answer": "one finding"},
    }
    paid = company.noted("finance", "payment", "invoice", "iban", "amount")
    assert paid == [("I-1", BIRCH, "240.00"), ("I-2", DELTA, "1800.00")]
    assert company.states("finance.pay") == ["performed", "performed", "refused"]
    (finding,) = company.reported("finance-month-end", "finding")
    assert finding["fields"]["code"] == "refused-account"


def test_the_customer_support_template_answers_its_tickets(company: Company) -> None:
    run = company.run("support-tickets")
    assert run["state"] == "succeeded", run
    assert run["output"]["answered"] == [{"ticket": f"T-{n}", "answered": True} for n in (1, 2, 3)]
    replies = company.noted("customer_support", "reply", "ticket", "to")
    assert company.noted("customer_support", "refund", "order", "amount") == [("S-100", "30.00")]
    assert replies == [(f"T-{n + 1}", f"{who}@customer.example") for n, who in enumerate(("ana", "ben", "cho"))]
    assert company.states("support.reply") == ["performed", "performed", "performed", "refused"]


def test_the_sales_template_answers_its_leads_by_a_crm_and_by_mail(company: Company) -> None:
    run = company.run("sales-leads")
    assert run["state"] == "succeeded", run
    assert run["output"] == {
        "answered": {"answer": "both leads are answered"},
        "audited": {"answer": "no discount"},
    }
    offers = company.noted("sales", "offer", "lead", "total", "discount_percent")
    assert offers == [("L-1", "12400.00", 0), ("L-2", "1400.00", 0)]
    assert company.states("sales.make_offer") == ["performed", "performed", "refused"]
    assert sorted(each.rcpt_tos[0] for each in company.mail.taken) == ["buy@oak.example", "office@elm.example"]
    assert company.states("sales.send_mail") == ["performed", "performed", "refused"]
    assert {each.path for each in company.systems.received} >= {"/customers/oak", "/customers/elm"}


def test_the_operations_template_orders_what_a_database_says_is_short(company: Company) -> None:
    run = company.run("operations-stock")
    assert run["state"] == "succeeded", run
    assert run["output"]["kept"] == {"answer": "P-1 is ordered"}
    assert company.sent("/orders") == [{"part": "P-1", "count": 500, "total": "600.00"}]
    (order,) = [each for each in company.systems.received if each.path == "/orders"]
    assert order.headers["idempotency-key"]
    assert '"on_hand":12' in told(company.model, "operations-lead")[0].replace(" ", "")
    # Whoever leads reads the figure that it reported.
    assert "parts_short" in told(company.model, "operations-lead")[-1]


def test_the_product_development_template_proposes_by_a_tracker(company: Company) -> None:
    run = company.run("product-review")
    assert run["state"] == "succeeded", run
    assert run["output"]["reviewed"] == {"answer": "two proposals"}
    titles = [each["title"] for each in company.sent("/proposals")]
    assert sorted(titles) == ["A cooler shade", "A switch that glows"]
    (reported,) = company.reported("product-review", "kpi")
    assert (reported["fields"]["name"], reported["value"]) == ("proposals", 2)


@pytest.mark.parametrize(
    ("lead", "child", "brought"),
    [
        ("finance-lead", "payables", '"held"'),
        ("sales-lead", "sales", "12400.00"),
        ("operations-lead", "stock-keeper", "500"),
        ("product-lead", "product-writer", "A cooler shade"),
        ("product-writer", "feedback-reader", "It gets hot"),
    ],
)
def test_what_agents_come_to_is_reported_back_to_who_leads(
    company: Company, lead: str, child: str, brought: str
) -> None:
    if lead == "product-writer":
        said = [each.json for each in company.model.received if "`product-writer`" in each.body.decode()]
        assert brought in said[0]["messages"][1]["content"]
    else:
        assert any(brought in each for each in told(company.model, lead)), (child, told(company.model, lead))


@pytest.mark.parametrize(
    ("agent", "tools"),
    [
        ("vendor-check", {"finance_get_vendor", "finance_list_invoices"}),
        ("refund-clerk", {"support_get_order", "support_search_articles", "support_refund"}),
        ("sales-pricer", {"sales_get_price"}),
        ("supplier-terms", {"operations_get_supplier"}),
        ("feedback-reader", {"product_list_feedback"}),
        ("finance-observer", {"finance_actions", "finance_list_payments", "finance_list_invoices"}),
        ("support-observer", {"support_actions", "support_list_refunds", "support_get_order"}),
        ("sales-observer", {"sales_actions", "sales_get_price", "sales_get_customer"}),
        ("operations-observer", {"operations_actions", "operations_list_stock"}),
        ("product-observer", {"product_actions", "product_list_feedback"}),
    ],
)
def test_sub_agents_and_observers_are_offered_their_few_tools_alone(
    company: Company, agent: str, tools: set[str]
) -> None:
    assert offered(company.model, agent) == {*tools, *OWN}


def test_a_sub_agent_that_reaches_further_is_told_that_there_is_no_such_tool(company: Company) -> None:
    assert any("there is no tool `operations_order_parts`" in each for each in told(company.model, "supplier-terms"))
    (order,) = company.acts("operations.order_parts")
    chain = [link["name"] for link in order["chain"] if link["kind"] == "agent"]
    assert chain[-2:] == ["operations-lead", "stock-keeper"]


def test_what_each_department_cost_is_charged_to_it(company: Company) -> None:
    usage = company.rest("GET", "/usage?by=department")["items"]
    spent = {each["name"]: each["cost"]["amount"] for each in usage}
    assert {"finance", "customer-support", "sales", "operations", "product"} <= set(spent)
    assert all(float(amount) > 0 for name, amount in spent.items() if name), spent


def test_nothing_is_written_over(company: Company) -> None:
    assert "is there already" in company.made.aos("init", "--template", "finance", status=6)


@pytest.mark.parametrize("template", Template)
def test_the_model_of_a_template_is_not_about_to_end(template: Template) -> None:
    (model,) = YAML(typ="safe").load(template_files(template)["aos.yaml"])["models"]
    entry = find(model)
    assert entry is not None
    assert entry.ends is None or entry.ends > date(2028, 1, 1)
