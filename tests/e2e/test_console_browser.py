"""The console in a browser: what a person sees, with which hands they can work, in light and dark, narrow and wide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.console_pages import Console

pytestmark = pytest.mark.browser

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 768, 2560, 1280)

# Every text against what lies behind it: [contrast, text, colour, ground] of each that is below what WCAG 2.2 AA asks.
FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest('svg, script, .hidden-text, .skip')) continue;
    const a = light(rgb(getComputedStyle(element).color)), b = light(ground(element));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push([contrast.toFixed(2), text.slice(0, 40), element.className]);
  }
  return found;
}"""


def test_a_link_signs_in_and_the_address_asked_for_is_shown(console: Console, browser: Browser) -> None:
    page = browser.new_page(base_url=console.url)
    page.goto(f"/console/runs/{console.run_id}")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"/console/sign-in?link={console.links['jonas@larkspur.example']}&next=/console/approvals")
    page.wait_for_url("**/console/approvals")
    expect(page.get_by_role("heading", name="Approvals")).to_be_visible()
    cookie = next(each for each in page.context.cookies() if each["name"] == "aos_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    console.cookies["jonas@larkspur.example"] = cookie["value"]
    page.close()


def test_a_run_says_what_it_did_why_it_was_allowed_and_what_it_cost(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, f"/console/runs/{console.run_id}")
    expect(page.locator("h1")).to_have_text("Close October 2026")
    for title in ("What it did", "Why it was allowed", "What it cost", "Who says so"):
        expect(page.get_by_text(title, exact=True)).to_be_visible()
    assert page.locator(".graph .cell").count() == 24
    assert page.locator(".graph .cell.waits").count() == 3
    assert page.locator(".graph .cell.bad").count() == 1
    page.get_by_role("link", name="Decisions").click()
    tree = page.locator("#tree")
    expect(tree).to_contain_text("large-payments: payment of 18240.00 EUR to Brandt Stahl GmbH is over the limit")
    expect(tree).to_contain_text("account-from-record: LT121000011101001000 is not the account in the vendor's record")
    page.get_by_role("link", name="Acts in time").click()
    assert page.locator("#acts tbody tr").count() == 50
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("#acts")).to_contain_text("payments.create")
    page.context.close()


def test_an_act_shows_where_each_argument_came_from_and_its_place_in_the_log(
    console: Console, browser: Browser
) -> None:
    page = console.signed_in(browser, console.addresses()["act"])
    inspector = page.locator("#inspector")
    expect(inspector).to_contain_text("Pay 3,120.00 EUR to Kloos Verpakking BV at LT121000011101001000")
    expect(inspector).to_contain_text("Refused by account-from-record: a denial outweighs every permission.")
    expect(inspector).to_contain_text('origin.iban != "trusted"')
    expect(inspector.locator("tr", has_text="LT121000011101001000").first).to_contain_text("from a message")
    expect(inspector.locator("tr", has_text="act.refused")).to_contain_text("leaf")
    page.context.close()


def test_an_act_outside_of_runs_is_found_by_its_id_and_says_why_it_was_refused(
    console: Console, browser: Browser
) -> None:
    page = console.signed_in(browser, "/console/runs")
    page.get_by_role("link", name="Acts outside of runs").click()
    assert page.locator("#acts tbody tr").count() == 3, "two acts, and the fact that a rule looked up"
    page.get_by_role("link", name="Refused").click()
    assert page.locator("#acts tbody tr").count() == 1
    page.goto(f"{console.url}/console/search?q={console.outside()}")
    inspector = page.locator("#inspector")
    expect(inspector).to_contain_text("Refused by account-from-record: a denial outweighs every permission.")
    expect(inspector.locator("tr", has_text="act.refused")).to_contain_text("leaf")
    page.context.close()


@dataclass
class Looked:
    """What was wrong with any page: what it said that it should not, where it was too wide, what nobody can read."""

    said: list[str] = field(default_factory=list)
    wide: list[tuple[str, int]] = field(default_factory=list)
    faint: list[tuple[str, str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def looked(console: Console, browser: Browser) -> Looked:
    """Every page, opened once: at each width, in light and dark, and with the keys that open something."""
    found = Looked()
    context = console.context(browser, reduced_motion="reduce")
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective))"
    )
    page = context.new_page()
    page.on("console", lambda message: found.said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.said.append(str(error)))
    for name, path in {**console.addresses(), "sign-in": "/console/sign-in"}.items():
        page.goto(path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("innerWidth") == width
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.wide.append((name, width))
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (scheme == "dark")
            found.faint += [(name, scheme, each) for each in page.evaluate(FAINT)]
        page.keyboard.press("j")
        page.keyboard.press("?")
    context.close()
    return found


def test_nothing_breaks_the_content_security_policy(looked: Looked) -> None:
    # The tests' server has no data plane, so the run's stream is not there; the page then looks by itself.
    assert [each for each in looked.said if "404" not in each] == []


def test_no_page_is_wider_than_the_screen(looked: Looked) -> None:
    assert looked.wide == []


def test_every_text_can_be_read_against_its_ground(looked: Looked) -> None:
    assert looked.faint == []


def test_the_theme_follows_the_system_until_a_person_chooses_and_is_kept(console: Console, browser: Browser) -> None:
    def ground(page: Page) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page = console.signed_in(browser, color_scheme="light")
    light = ground(page)
    page.emulate_media(color_scheme="dark")
    dark = ground(page)
    assert light != dark
    page.get_by_role("button", name="Light or dark").click()
    assert ground(page) == light
    page.reload()
    assert ground(page) == light
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.context.close()


def test_everything_can_be_reached_by_keys(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    for letter, place in {
        "a": "approvals",
        "s": "schedules",
        "f": "fleet",
        "p": "policies",
        "c": "cost",
        "l": "audit",
        "r": "runs",
    }.items():
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_url(f"**/console/{place}")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/runs/{console.run_id}")
    page.context.close()


def test_an_id_is_copied_whole_by_a_click(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, "/console/runs", permissions=["clipboard-read", "clipboard-write"])
    page.locator("button.id").first.click()
    expect(page.locator("button.id.copied").first).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == console.run_id
    page.context.close()


def test_the_pages_work_without_script(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, f"/console/runs/{console.run_id}", java_script_enabled=False)
    page.get_by_role("link", name="Decisions").click()
    page.locator("a.leaf", has_text="account-from-record").first.click()
    assert "Refused by" in page.content()
    page.get_by_role("button", name="Light or dark").click()
    assert 'data-theme="dark"' in page.content()
    page.context.close()


def test_search_leads_from_an_id_to_its_page_and_from_a_word_to_what_is_called_so(
    console: Console, browser: Browser
) -> None:
    page = console.signed_in(browser)
    page.get_by_role("searchbox").fill(console.run_id)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/runs/{console.run_id}")
    page.get_by_role("searchbox").fill("vendor-desk")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Settle the open invoices of one vendor")
    page.context.close()


def test_a_page_can_be_printed(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, console.addresses()["act"])
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    expect(page.locator(".rail")).to_be_hidden()
    expect(page.locator("#inspector")).to_contain_text("Refused by")
    page.context.close()


def test_an_agents_page_shows_its_version_and_what_of_it_passes_the_gate(console: Console, browser: Browser) -> None:
    page = console.signed_in(browser, "/console/fleet")
    page.get_by_role("link", name="traveller", exact=True).click()
    expect(page.locator("h1")).to_have_text("traveller")
    expect(page.locator("#agent-head")).to_contain_text("functional, version 1")
    coverage = page.locator("#coverage")
    expect(coverage).to_contain_text("shell in traces only")
    expect(coverage).to_contain_text("Model calls governed; tools 1 of 2 governed, in traces only: shell")
    expect(coverage).to_contain_text("write_todos acts on the graph's own state")
    page.context.close()


def test_the_fleet_shows_which_agent_outside_is_there_and_which_tool_is_held(
    console: Console, browser: Browser
) -> None:
    page = console.signed_in(browser, "/console/fleet")
    expect(page.locator("#agents tr", has_text="courier")).to_contain_text("not connected, last 2 h ago")
    expect(page.locator("#held")).to_contain_text("the schema of search changed")
    expect(page.locator("#held")).to_contain_text("mcp-servers accept notes")
    page.get_by_role("link", name="courier", exact=True).click()
    expect(page.locator("main")).to_contain_text("It is not connected: it was last here 2 h ago.")
    page.context.close()


def test_the_spans_of_a_graph_stand_in_the_inspector_of_its_task_and_of_its_act(
    console: Console, browser: Browser
) -> None:
    query = "select t.run_id, t.id, (select min(a.id::text) from action a where a.task_id = t.id) from task t where t.name = 'book'"
    ((run, task, act),) = console.rows(query)
    page = console.signed_in(browser, f"/console/runs/{run}?task={task}")
    expect(page.locator("#spans tr")).to_contain_text(["chain LangGraph", "node plan", "model gpt Timeout"])
    page.goto(f"/console/runs/{run}?view=acts&action={act}")
    expect(page.locator("#inspector #spans")).to_contain_text("node plan")
    page.context.close()
