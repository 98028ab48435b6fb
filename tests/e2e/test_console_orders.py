"""Runs steered in a browser: each order is confirmed where it names its effect, and its receipt says what it reached."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.console_pages import JONAS, MARIA, VIKTOR, Console

pytestmark = pytest.mark.browser


def give(page: Page, order: str, button: str) -> None:
    """Give an order: open what it says, then confirm."""
    orders = page.locator("#run-orders")
    orders.get_by_text(order).click()
    shown(page, "order-" + order.split("…")[0].lower().replace(" ", "-"))
    orders.get_by_role("button", name=button).click()


def shown(page: Page, name: str) -> None:
    """Keep a picture where a person wants to look at it."""
    folder = os.environ.get("AOS_TEST_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def state_of(console: Console, run_id: str) -> str:
    state: str = console.rows("select state from run where id = %s", run_id)[0][0]
    return state


def test_a_run_is_held_moved_let_go_on_and_cancelled(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, f"/console/runs/{console.run_id}", MARIA, viewport={"width": 360, "height": 800})
    page.locator("#run-orders").get_by_text("Cancel…").click()
    assert page.get_by_role("button", name="Cancel this run").bounding_box()["x"] < 360  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.set_viewport_size({"width": 1280, "height": 720})
    receipt = page.get_by_role("status")
    give(page, "Pause…", "Pause this run")
    expect(receipt).to_contain_text("You paused it:")
    assert state_of(console, console.run_id) == "paused"
    page.locator("#run-orders").get_by_text("Priority 0…").click()
    page.get_by_label("Priority, from -100 to 100").fill("20")
    page.get_by_role("button", name="Change its priority").click()
    expect(receipt).to_contain_text("You changed its priority")
    expect(page.locator("#run-orders")).to_contain_text("Priority 20…")
    give(page, "Resume…", "Let it go on")
    expect(receipt).to_contain_text("You let it go on")
    assert state_of(console, console.run_id) == "running"
    give(page, "Cancel…", "Cancel this run")
    expect(receipt).to_contain_text("You cancelled it:")
    assert state_of(console, console.run_id) == "cancelled"
    expect(page.locator("#run-orders")).not_to_contain_text("Cancel…")
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_orders_of_a_run_are_seen_in_light_and_dark(console: Console, browser: Browser, scheme: str) -> None:
    page = console.signed_in(browser, f"/console/runs/{console.run_id}", MARIA, color_scheme=scheme)
    page.locator("#run-orders").get_by_text("Roll back…").click()
    expect(page.get_by_role("button", name="Undo what it did")).to_be_visible()
    shown(page, f"orders-{scheme}")
    page.set_viewport_size({"width": 360, "height": 800})
    shown(page, f"orders-{scheme}-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.context.close()


def test_a_fork_leads_to_the_new_run_and_back(console: Console, browser: Browser) -> None:
    task = console.rows(
        "select id from task where run_id = %s and parent_id is null order by id limit 1", console.run_id
    )[0][0]
    page = console.signed_in(browser, f"/console/runs/{console.run_id}?task={task}", MARIA)
    inspector = page.locator("#inspector")
    inspector.get_by_text("Fork from here…").click()
    shown(page, "fork")
    inspector.get_by_role("button", name="Fork this run").click()
    expect(page.get_by_role("status")).to_contain_text("You forked a run")
    link = page.locator(".lineage a")
    expect(page.locator(".lineage")).to_contain_text("from run")
    shown(page, "forked")
    assert link.get_attribute("href") == f"/console/runs/{console.run_id}"
    page.context.close()


def test_a_rollback_leads_to_the_run_that_undoes(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, f"/console/runs/{console.run_id}", MARIA)
    give(page, "Roll back…", "Undo what it did")
    expect(page.get_by_role("status")).to_contain_text("You rolled a run back")
    expect(page.locator(".lineage")).to_contain_text("undoes run")
    shown(page, "undoing")
    page.locator(".lineage a").click()
    expect(page.locator(".lineage")).to_contain_text("undone by run")
    expect(page.locator("#run-orders")).not_to_contain_text("Roll back…")
    page.context.close()


def test_who_may_not_steer_is_offered_nothing_and_refused(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, f"/console/runs/{console.run_id}", VIKTOR)
    expect(page.locator("#run-orders summary")).to_have_count(0)
    page.context.close()
    with console.client(VIKTOR) as client:
        assert client.post(f"/console/runs/{console.run_id}/cancel", data={"form_token": "x"}).status_code == 403
    with console.client(JONAS) as client:
        assert client.get(f"/console/runs/{console.run_id}/cancel").status_code == 405
