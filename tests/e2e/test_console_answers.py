"""Approvals answered in a browser, by the operation that every door uses."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.console_pages import JONAS, MARIA, Console

pytestmark = pytest.mark.browser


def status_of(console: Console, approval: str) -> tuple[str, str | None]:
    query = "select a.status, p.email from approval a left join person p on p.id = a.answered_by where a.id = %s"
    row = console.rows(query, approval)[0]
    return row[0], row[1]


def test_an_approval_shows_the_act_what_is_unusual_and_what_the_agent_has_seen(
    console: Console, browser: Browser
) -> None:
    page = console.signed_in(browser, f"/console/approvals/{console.approval('changed-account')}", JONAS)
    expect(page.locator("h1")).to_have_text("Pay 2,210.00 EUR to Jade Logistik at DE44500105175407324931")
    main = page.locator("main")
    for said in (
        "the bank account of Jade Logistik changed 12 days ago",
        "nothing of this kind went to Jade Logistik before",
        "facts.vendor.account_age_days < 30",
        "maria@larkspur.example",
        "vendor-desk",
        "mail.read_message",
    ):
        expect(main).to_contain_text(said)
    page.context.close()


def test_a_person_approves_exactly_what_they_saw_and_an_open_page_changes_in_place(
    console: Console, browser: Browser
) -> None:
    approval = console.approval("large-payments")
    watching = console.signed_in(browser, f"/console/runs/{console.run_id}", MARIA)
    expect(watching.locator("#approvals-count")).to_have_text("5")
    page = console.signed_in(browser, f"/console/approvals/{approval}", JONAS)
    page.get_by_role("button", name="Approve this payment").click()
    expect(page.get_by_role("status")).to_contain_text("You approved it.")
    assert status_of(console, approval) == ("approved", JONAS)
    expect(page.get_by_role("button", name="Approve this payment")).to_have_count(0)
    expect(watching.locator("#approvals-count")).to_have_text("4", timeout=15_000)
    page.context.close()
    watching.context.close()


def test_a_denial_asks_why_and_the_agent_is_told(console: Console, browser: Browser) -> None:
    approval = console.approval("changed-account")
    page = console.signed_in(browser, f"/console/approvals/{approval}", JONAS)
    page.get_by_text("Deny this payment").click()
    page.get_by_role("button", name="Deny and tell the agent").click()
    assert status_of(console, approval) == ("pending", None)
    page.get_by_label("Why not").fill("call the vendor first")
    page.get_by_role("button", name="Deny and tell the agent").click()
    expect(page.get_by_role("status")).to_contain_text("You denied it.")
    expect(page.locator("main")).to_contain_text("call the vendor first")
    assert status_of(console, approval) == ("denied", JONAS)
    query = "select state, error_code from action where id = (select action_id from approval where id = %s)"
    assert console.rows(query, approval) == [("refused", "denied")]
    page.context.close()


def test_a_key_approves_after_a_confirmation_and_another_key_asks_why_not(console: Console, browser: Browser) -> None:
    approval = console.approval("large-payments")
    page = console.signed_in(browser, f"/console/approvals/{approval}", JONAS)
    page.keyboard.press("d")
    expect(page.get_by_label("Why not")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    sure = page.get_by_role("dialog")
    expect(sure).to_contain_text("Approve this payment?")
    sure.get_by_role("button", name="Go back").click()
    expect(sure).to_be_hidden()
    assert status_of(console, approval) == ("pending", None)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("You approved it.")
    assert status_of(console, approval) == ("approved", JONAS)
    page.context.close()


def question(console: Console, words: str) -> str:
    """Return the id of the approval that asks this."""
    with console.client(JONAS) as client:
        listed = client.get("/approvals?status=pending&name=interrupt").json()["items"]
    (found,) = [each["id"] for each in listed if words in each["question"]]
    return str(found)


def test_the_list_shows_what_an_agent_asks(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, "/console/approvals", JONAS)
    rows = page.locator("#approvals")
    expect(rows).to_contain_text("Where to, and for how long?")
    expect(rows).to_contain_text("What shall the letter say?")
    page.context.close()


def test_a_question_is_answered_in_fields_of_its_schema(console: Console, browser: Browser) -> None:
    approval = question(console, "Where to")
    page = console.signed_in(browser, f"/console/approvals/{approval}", JONAS)
    expect(page.locator("h1")).to_have_text("Where to, and for how long?")
    expect(page.get_by_label("Nights")).to_have_attribute("type", "number")
    page.get_by_label("City").fill("Bern")
    page.get_by_label("Class").select_option(label="second")
    page.get_by_role("button", name="Send this answer").click()
    assert status_of(console, approval) == ("pending", None), "what is needed was not given"
    page.get_by_label("Nights").fill("0")
    page.get_by_role("button", name="Send this answer").click()
    expect(page.locator("main")).to_contain_text("The answer is not of the form that is asked for: /nights")
    page.go_back()
    page.get_by_label("City").fill("Bern")
    page.get_by_label("Nights").fill("2")
    page.get_by_label("Class").select_option(label="second")
    page.get_by_role("button", name="Send this answer").click()
    expect(page.get_by_role("status")).to_contain_text("You answered it.")
    assert status_of(console, approval) == ("approved", JONAS)
    page.context.close()


def test_a_question_without_a_schema_is_answered_in_words(console: Console, browser: Browser) -> None:
    approval = question(console, "letter")
    page = console.signed_in(browser, f"/console/approvals/{approval}", JONAS)
    page.get_by_label("Your answer").fill("Thank you, and come again")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Send this answer").click()
    expect(page.get_by_role("status")).to_contain_text("You answered it.")
    assert status_of(console, approval) == ("approved", JONAS)
    page.context.close()
