"""One AOS with the agents of all templates: a model's server that plays their parts, and the systems that their readmes name.

Sales, operations and product development work on systems as their readmes show them: an API described by OpenAPI, a database
and a mail server take the place of the sample tools. The five workflows are played once, side by side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML

from aos.cli.init import Template, template_files
from tests.contract.model_upstream import Line, Upstream, serving_upstream, whole
from tests.contract.test_email_tools import Mailbox, mail_server
from tests.databases import PASSWORD, Server, cloned
from tests.e2e.installation import Installation, installation
from tests.e2e.template_parts import play
from tests.store.embedded_home import wait_until

RUNS: Final[dict[str, Any]] = {
    "finance-month-end": {"month": "2026-10"},
    "support-tickets": None,
    "sales-leads": None,
    "operations-stock": None,
    "product-review": {"product": "lamp"},
}
DENIED: Final = ("refund of 900", "60 % off")
"""What the person who answers says no to."""
TEXT: Final = {"type": "string"}
CRM: Final = {
    "/customers/{customer}": {"get": {"operationId": "getCustomer", "parameters": [
        {"name": "customer", "in": "path", "required": True, "schema": TEXT}]}}}  # fmt: skip
TRACKER: Final = {
    "/feedback": {"get": {"operationId": "listFeedback", "parameters": [
        {"name": "product", "in": "query", "required": True, "schema": TEXT}]}},
    "/proposals": {"post": {"operationId": "propose", "requestBody": {"required": True, "content": {"application/json": {
        "schema": {"type": "object", "properties": dict.fromkeys(("product", "title", "reason"), TEXT),
                   "required": ["product", "title", "reason"], "additionalProperties": False}}}}}},
}  # fmt: skip
ANSWERS: Final[dict[str, Any]] = {
    "/customers/oak": {"customer": "oak", "email": "buy@oak.example", "bought_before": "12000.00"},
    "/customers/elm": {"customer": "elm", "email": "office@elm.example", "bought_before": "0.00"},
    "/feedback?product=lamp": [{"id": "F-2", "text": "Mine got hot after an hour."}],
    "/proposals": {"proposed": True},
    "/orders": {"part": "P-1", "ordered": 500},
}


@dataclass(frozen=True)
class Company:
    """What became of the runs, and all that was said and sent on the way."""

    made: Installation
    token: str
    model: Upstream
    systems: Upstream
    mail: Mailbox

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, self.made.url + path, json=body, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def run(self, workflow: str) -> Any:
        """Return the run of a workflow."""
        (run,) = [each for each in self.rest("GET", "/runs")["items"] if each["workflow"] == workflow]
        return self.rest("GET", f"/runs/{run['id']}")

    def acts(self, tool: str) -> list[Any]:
        """Return the acts on a tool."""
        return list(self.rest("GET", f"/actions?limit=200&name={tool}")["items"])

    def states(self, tool: str) -> list[str]:
        """Return what became of the acts on a tool."""
        return sorted(act["state"] for act in self.acts(tool))

    def reported(self, workflow: str, kind: str) -> list[Any]:
        """Return what a run's agents reported of a kind."""
        return list(self.rest("GET", f"/runs/{self.run(workflow)['id']}/reports?kind={kind}")["items"])

    def noted(self, template: str, kind: str, *names: str) -> list[tuple[Any, ...]]:
        """Return what the sample tools wrote down of a kind, sorted."""
        lines = (self.made.folder / f"{template}_demo.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return sorted(tuple(row[name] for name in names) for row in rows if row["kind"] == kind)

    def sent(self, path: str) -> list[Any]:
        """Return what was sent to the systems at an address."""
        return [each.json for each in self.systems.received if each.path == path]


@contextmanager
def played(server: Server) -> Iterator[Company]:
    """Yield a company whose five workflows have been played to their ends."""
    with ExitStack() as stack:
        model = stack.enter_context(serving_upstream(play))
        systems = stack.enter_context(serving_upstream(_answer))
        mail = stack.enter_context(mail_server())
        made = stack.enter_context(installation())
        (database,) = stack.enter_context(_stock(server))
        _write(made, model, systems, mail)
        (link,) = set(re.findall(r"aosl_[A-Za-z0-9_-]+", made.up()))
        made.aos("login", link)
        token = json.loads(made.aos("tokens", "create", "test", "--json"))["token"]
        company = Company(made, token, model, systems, mail)
        for name, value in (("stock", database), *((each, f"key-of-the-{each}") for each in ("crm", "erp", "tracker"))):
            company.rest("POST", "/secrets", {"name": name, "value": value})
        made.aos("apply", "--yes")
        _play(company)
        yield company


def _play(company: Company) -> None:
    """Start every workflow, and answer what waits for a person until all have ended."""
    runs = [company.rest("POST", "/runs", {"workflow": name, "input": given})["id"] for name, given in RUNS.items()]

    def ended() -> bool:
        for each in company.rest("GET", "/approvals?status=pending")["items"]:
            shown = company.rest("GET", f"/approvals/{each['id']}")
            no = any(words in shown["reason"] for words in DENIED)
            body = {"comment": "as the rules say", **({} if no else {"digest": shown["digest"]})}
            company.rest("POST", f"/approvals/{each['id']}/{'deny' if no else 'approve'}", body)
        listed = {each["id"]: each["state"] for each in company.rest("GET", "/runs")["items"]}
        return not any(listed[run] in ("running", "paused") for run in runs)

    wait_until(ended, "every run ended")


async def _answer(line: Line) -> None:
    """Answer as the systems of the company do, to who shows their key."""
    path = line.received.path
    found = ANSWERS.get(path)
    keys = ("key-of-the-crm", "key-of-the-erp", "key-of-the-tracker")
    known = line.received.headers.get("authorization") in [f"Bearer {key}" for key in keys]
    status = "200 OK" if known and found is not None else "403 Forbidden"
    await whole(found, status=status)(line)


@contextmanager
def _stock(server: Server) -> Iterator[tuple[str]]:
    """Yield the address of a database with the stock of the operations template in it."""
    for made in cloned(server):
        with psycopg.connect(server.superuser, dbname=made.name, autocommit=True) as connection:
            connection.execute(
                "create table stock (part text, name text, on_hand int, needed_a_week int, supplier text)"
            )
            connection.execute(
                "insert into stock values ('P-1', 'hinge', 12, 40, 'ferro'), ('P-2', 'board', 900, 60, 'holz')"
            )
            said = conninfo_to_dict(server.superuser)
        host = "127.0.0.1" if str(said.get("host", "")).startswith("/") else said.get("host", "127.0.0.1")
        yield (f"postgresql://{said['user']}:{said.get('password') or PASSWORD}@{host}:{said['port']}/{made.name}",)


def _write(made: Installation, model: Upstream, systems: Upstream, mail: Mailbox) -> None:
    """Write the templates as `aos init` does, and one manifest of all, with the servers of the test in the places named."""
    said = made.aos("init", "--template", "finance")
    assert "aos.yaml" in said
    yaml = YAML(typ="safe")
    whole_of_it: dict[str, Any] = {}
    for template in Template:
        files = template_files(template)
        for name in files:
            if name.endswith(".py"):
                (made.folder / name).write_text(files[name], "utf-8")
        _merge(whole_of_it, yaml.load(files["aos.yaml"]))
        for block in re.findall(r"```yaml\n(.*?)```", files["README.md"], re.DOTALL):
            _merge(whole_of_it, yaml.load(_here(block, systems, mail)))
    (name,) = whole_of_it["models"]
    price = {"input_per_million": "1.00 USD", "output_per_million": "2.00 USD"}
    whole_of_it["models"][name] = {"provider": "openai-compatible", "base_url": model.url, "price": price}
    whole_of_it["organization"]["hosts"] = [model.host, systems.host, "127.0.0.1"]
    (made.folder / "aos.yaml").write_text(json.dumps(whole_of_it), "utf-8")
    for document, paths in (("crm.yaml", CRM), ("tracker.yaml", TRACKER)):
        text = {
            "openapi": "3.1.0",
            "info": {"title": "it", "version": "1"},
            "servers": [{"url": f"http://{systems.host}"}],
        }
        (made.folder / document).write_text(json.dumps({**text, "paths": paths}), "utf-8")


def _here(block: str, systems: Upstream, mail: Mailbox) -> str:
    """Return what a readme shows, with the test's servers where it has examples."""
    block = re.sub(r"https://[a-z]+\.example\.com", f"http://{systems.host}", block)
    ours = f'"127.0.0.1:{mail.port}", tls: none'
    return block.replace('"smtp.example.com:587", username: sales, password: {secret: smtp}', ours)


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Add one manifest to another; of a tool that both name, the later counts."""
    for key, value in other.items():
        if isinstance(value, dict) and key in into:
            into[key] = {**into[key], **value}
        elif isinstance(value, list) and key in into:
            into[key] = [*into[key], *value]
        else:
            into[key] = value
