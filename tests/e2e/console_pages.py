"""Fixtures for tests of the console: a seeded server for each test module, its addresses, and Debian's chromium.

def test_something(console, browser): page = console.signed_in(browser)
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.databases import Database, Server, cloned, watching

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
MARIA, JONAS, VIKTOR = "maria@larkspur.example", "jonas@larkspur.example", "viktor@larkspur.example"


@dataclass
class Console:
    """One seeded console: its address, what stands in it, and a cookie for each person who has signed in."""

    url: str
    database: Database
    run_id: str
    other_run_id: str
    links: dict[str, str]
    cookies: dict[str, str] = field(default_factory=dict)

    def client(self, email: str = MARIA) -> httpx.Client:
        """Return a client that is signed in and says that it is a page of ours."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        return httpx.Client(base_url=self.url, cookies={"aos_session": self.cookie(email)}, headers=headers)

    def cookie(self, email: str) -> str:
        """Return a person's session, opened by their link the first time."""
        if email not in self.cookies:
            sent = {"link": self.links[email]}
            answer = httpx.post(f"{self.url}/console/sign-in", data=sent, headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 302, answer.text
            self.cookies[email] = answer.cookies["aos_session"]
        return self.cookies[email]

    def context(self, browser: Browser, email: str = MARIA, **more: Any) -> BrowserContext:
        """Return a browser's context in which a person is signed in."""
        context = browser.new_context(base_url=self.url, **more)
        context.add_cookies([{"name": "aos_session", "value": self.cookie(email), "url": self.url}])
        return context

    def signed_in(self, browser: Browser, path: str = "/console/", email: str = MARIA, **more: Any) -> Page:
        """Return a page on which a person is signed in."""
        page = self.context(browser, email, **more).new_page()
        page.goto(path)
        return page

    def rows(self, query: str, *params: Any) -> list[Any]:
        """Ask the database as its owner."""
        cursor = watching(self.database).execute(query.encode(), params)
        return cursor.fetchall() if cursor.description else []

    def action(self, name: str, rule: str) -> str:
        """Return the id of the run's act of this name that a rule matched."""
        query = "select id from action where run_id = %s and name = %s and rules::text like %s order by id limit 1"
        return str(self.rows(query, self.run_id, name, f"%{rule}%")[0][0])

    def approval(self, rule: str) -> str:
        """Return the id of a pending approval of the run that a rule asked for."""
        query = "select id from approval where run_id = %s and status = 'pending' and rules::text like %s order by id"
        return str(self.rows(query, self.run_id, f"%{rule}%")[0][0])

    def outside(self) -> str:
        """Return the id of the act that was refused outside of any run."""
        return str(self.rows("select id from action where run_id is null and state = 'refused'")[0][0])

    def addresses(self) -> dict[str, str]:
        """Return every kind of page by name."""
        run = f"/console/runs/{self.run_id}"
        return {
            "runs": "/console/runs",
            "run": run,
            "acts": f"{run}?view=acts",
            "decisions": f"{run}?view=decisions",
            "act": f"{run}?view=decisions&action={self.action('payments.create', 'account-from-record')}",
            "outside": f"/console/acts/{self.outside()}",
            "approvals": "/console/approvals?status=all",
            "approval": f"/console/approvals/{self.approval('large-payments')}",
            "fleet": "/console/fleet",
            "schedules": "/console/schedules",
            "cost": "/console/cost",
            "policies": "/console/policies",
            "audit": "/console/audit",
            "search": "/console/search?q=vendor",
            "missing": "/console/no-such-page",
        }


@pytest.fixture(scope="module")
def console(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console over a company's month-end run, in a process of its own."""
    for database in cloned(postgres_server):
        given = {
            "owner": database.owner,
            "app": database.app,
            "machine": database.machine,
            "keys": str(tmp_path_factory.mktemp("keys") / "kek"),
        }
        command = [sys.executable, "-m", "tests.e2e.console_server"]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            yield Console(told["url"], database, told["run_id"], told["other_run_id"], told["links"])
        finally:
            process.stdin.close()
            process.wait(timeout=20)
            process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield running
        running.close()
