"""The pages of the frameworks hold: each program asks its model through AOS, with tools, keys and refusals as the page says.

Frameworks of the extra `dev` are tried as they are installed here; the long test installs what each page names. Where
AOS_TEST_FRAMEWORKS names a folder, what is installed stays there for the next time.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aos.kernel.limits import REFUSALS_ALIKE_MAX
from tests.contract.framework_pages import (
    ANSWER,
    ASKED,
    DENIED,
    FOLDER,
    HEADERS,
    PROGRAM,
    REASON,
    REFUSAL,
    STUBBORN,
    TOOLS,
    Child,
    Desk,
    Page,
    child,
    environment_of,
    open_desk,
    pages,
)
from tests.databases import Database

PAGES = pages()
INDEX = (FOLDER / "README.md").read_text("utf-8")
HERE = ("langchain", "langgraph", "deepagents")
TWICE = [("model", "gpt", "performed")] * 2
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("AOS_TEST_FRAMEWORKS")
    return Path(kept) if kept else tmp_path_factory.mktemp("frameworks")


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as opened:
        yield opened


def definition(page: Page) -> str:
    return page.blocks(PROGRAM)[0]


def run(page: Page) -> str:
    return page.blocks(PROGRAM)[1]


def put(block: str, model: str) -> str:
    """Return a block that asks for another model."""
    return re.sub(r"\bauto\b", model, block)


def needs_base_url_and_key_alone(page: Page, made: Child, desk: Desk) -> None:
    printed, raised = made.run(definition(page), run(page), name="program")
    assert raised is None, raised
    assert ANSWER in printed
    assert desk.acts() == TWICE


def repeats_nothing_under_keys(page: Page, made: Child, desk: Desk) -> None:
    """Run a program that waits for a person at each of its two requests, and is started again after each yes."""
    (keyed,) = page.blocks(HEADERS)
    program = [put(block, ASKED) for block in (definition(page), keyed, run(page))]
    before = len(desk.upstream.received)
    for _ in range(2):
        printed, _ = made.run(*program, name="headers")
        assert ANSWER not in printed
        assert desk.approve_all() == 1
    printed, raised = made.run(*program, name="headers")
    assert raised is None, raised
    assert ANSWER in printed
    assert len(desk.upstream.received) - before == 2
    assert [act for act in desk.acts() if act[2] == "performed"] == [("model", ASKED, "performed")] * 2


def reaches_tools_by_mcp(page: Page, made: Child, desk: Desk) -> None:
    (tools,) = page.blocks(TOOLS)
    # What the program's own run imports, the block may use.
    imports = "\n".join(line for line in run(page).splitlines() if line.startswith(("import ", "from ")))
    printed, raised = made.run(definition(page), imports, tools, name="tools")
    assert raised is None, raised
    assert ANSWER in printed
    assert sorted(desk.acts()) == [*TWICE, ("tool", "orders.status", "performed")]


def shows_refusals(page: Page, made: Child, desk: Desk) -> None:
    (refusal,) = page.blocks(REFUSAL)
    imports = "\n".join(line for line in run(page).splitlines() if line.startswith(("import ", "from ")))
    printed, raised = made.run(put(definition(page), DENIED), imports, refusal, name="refusal")
    assert raised is None, raised
    assert REASON in printed
    assert desk.acts() == [("model", DENIED, "refused")]
    printed, raised = made.run(put(definition(page), ASKED), imports, refusal, name="refusal")
    assert raised is None, raised
    ((waiting,),) = desk.door.world.rows("select id from approval where status = 'pending'")
    assert str(waiting) in printed
    desk.approve_all()
    desk.acts()


def is_ended_in_a_loop(page: Page, made: Child, desk: Desk) -> None:
    """Run a program whose model asks for a refused tool whatever it is told: the framework gives up, or AOS ends it."""
    (tools,) = page.blocks(TOOLS)
    imports = "\n".join(line for line in run(page).splitlines() if line.startswith(("import ", "from ")))
    told = made.run(put(definition(page), STUBBORN), imports, put(tools, STUBBORN), name="loop")
    acts = desk.acts()
    assert 1 <= acts.count(("tool", "orders.status", "refused")) <= REFUSALS_ALIKE_MAX, (acts, told)


@each_page
def test_a_page_is_whole_and_stands_in_the_index_with_what_was_tried(page: Page) -> None:
    assert [len(page.blocks(section)) for section in (PROGRAM, HEADERS, TOOLS, REFUSAL)] == [2, 1, 1, 1]
    assert "## What is covered" in page.text
    (row,) = re.findall(rf"^\| \[[^]]+\]\({page.name}\.md\) \| (\S+) \|", INDEX, re.MULTILINE)
    pinned = dict(each.split("==") for each in page.requirements if "==" in each)
    assert row == next(iter(pinned.values()))
    for made in pinned.values():
        assert made in page.text.partition("```")[0]


def test_pages_hold_with_what_is_installed_here(desk: Desk, tmp_path: Path) -> None:
    """In one process, for what is slow is the frameworks' import."""
    with child(sys.executable, desk, tmp_path) as made:
        for page in PAGES:
            if page.name in HERE:
                needs_base_url_and_key_alone(page, made, desk)
                repeats_nothing_under_keys(page, made, desk)
                shows_refusals(page, made, desk)


@pytest.mark.long
@each_page
def test_a_page_holds_with_what_it_installs(page: Page, desk: Desk, folder: Path, tmp_path: Path) -> None:
    with child(environment_of(page, folder), desk, tmp_path) as made:
        needs_base_url_and_key_alone(page, made, desk)
        repeats_nothing_under_keys(page, made, desk)
        reaches_tools_by_mcp(page, made, desk)
        shows_refusals(page, made, desk)
    # A process of its own: LangChain keeps asynchronous clients for the process, past the loop in which they were opened.
    with child(environment_of(page, folder), desk, tmp_path) as made:
        is_ended_in_a_loop(page, made, desk)
