"""What the demo tells, section by section; every figure is the run's own.

It is read at 80 columns and in a log file alike: no line depends on colour, long lines fold at words.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from examples.month_end.demo_answers import Answer
from examples.month_end.demo_canaries import Canary
from examples.month_end.demo_lines import INDENT, folded
from examples.month_end.demo_proof import Proof
from examples.month_end.demo_results import WORDS, Line, rule_ids
from examples.month_end.money import amount_text

WIDTH_MAX = 104
WORKFLOW = "the workflow"
WIDTH_PLAIN = 100
RULED = {"allow": "allowed", "deny": "refused", "escalate": "put to a person"}
ORIGINS = {
    "trusted": "the vendor record",
    "untrusted": "an e-mail, and from no record",
    "person": "a person",
    "model": "the agent itself",
}

Record = Mapping[str, Any]


def make_console() -> Console:
    """Return where the demo writes: a terminal at its width up to a limit, anything else at a fixed one."""
    console = Console(highlight=False, soft_wrap=False)
    width = min(console.width, WIDTH_MAX) if console.is_terminal else WIDTH_PLAIN
    return Console(highlight=False, soft_wrap=False, width=width)


class Story:
    """The demo's output."""

    def __init__(self, console: Console) -> None:
        """Write to this console."""
        self.console = console

    def title(self, text: str, rest: str) -> None:
        """Write the first line."""
        self.console.print()
        self.console.print(Text(text, style="bold") + Text(f"  {rest}", style="dim"))

    def section(self, title: str) -> None:
        """Begin a section."""
        self.console.print()
        self.console.rule(Text(title, style="bold cyan"), align="left", style="dim", characters="─")

    def line(self, text: str, *, mark: str = " ", style: str = "") -> None:
        """Write a line behind a mark; it folds under itself."""
        self.console.print(folded(self.console, Text(text), mark=mark, style=style), soft_wrap=True)

    def good(self, text: str) -> None:
        """Write what holds."""
        self.line(text, mark="✓", style="green")

    def bad(self, text: str) -> None:
        """Write what does not hold."""
        self.line(text, mark="✗", style="bold red")

    def link(self, address: str) -> None:
        """Write an address whole, however long, so that it can be followed and copied."""
        self.console.print(Text(f"    {address}", style="cyan"), soft_wrap=True)

    def table(self, drawn: Table) -> None:
        """Write a table, indented like the lines."""
        self.console.print(Padding(drawn, (0, 0, 0, INDENT), expand=False))

    def canaries(self, fired: Sequence[Canary], *, governed: bool) -> None:
        """Tell what was refused before anything began."""
        self.good("AOS tried its own canary acts on start: all refused" if governed else "AOS is not governed")
        for each in fired:
            self.good(f"{each.who} {each.what}: {each.status}, {each.said}")

    def plan(self, reports: Sequence[Record]) -> None:
        """Tell what the executive agent set out to do."""
        found = next(
            (each["value"] for each in reports if isinstance(each["value"], dict) and "plan" in each["value"]), {}
        )
        for number, step in enumerate(found.get("plan", ()), start=1):
            self.line(step, mark=f"{number}.")
        for objective in found.get("objectives") or ():
            self.line(f"objective: {objective['name']} ({objective['kpi']} = {objective['target']})", mark="◇")

    def act(self, title: str, action: Record, *, answer: Answer | None = None, who: str = "") -> None:
        """Tell one act: what it was, by which rule it was decided, and who answered where somebody was asked."""
        refused = action["state"] == "refused"
        mark, style = ("✗", "red") if refused else ("✓", "green")
        given = action["arguments"]
        self.line(
            f"{title}: {given['amount']} {given['currency']} for {given['invoice']} to {given['iban']}",
            mark=mark,
            style=style,
        )
        for rule in action["decision"]["rules"]:
            # A permission allows what no rule refuses: of a refusal it says nothing.
            if not (refused and rule["outcome"] == "allow"):
                own = "" if rule["id"].startswith("permission/") else f": {rule['reason']}"
                self.line(f"{RULED[rule['outcome']]} by {rule['id']}{own}")
        if origin := (action["decision"]["facts"] or {}).get("origin.iban"):
            self.line(f"the account number comes from {ORIGINS.get(origin, origin)}")
        if answer is not None:
            self.line(f"answered by {who}: {'yes' if answer.approved else 'no'}, {answer.comment or 'no comment'}")

    def result(self, lines: Sequence[Line]) -> None:
        """Tell the result by invoices and money."""
        drawn = _figures("outcome", "invoices", "worth in EUR", "of them")
        for line in lines:
            foreign = [f"{_money(cents)} {code}" for code, cents in sorted(line.by_currency.items()) if code != "EUR"]
            told = [f"{count} {why}" for why, count in line.why.most_common()] or foreign
            drawn.add_row(WORDS[line.outcome], f"{line.invoices}", _money(line.eur_cents), ", ".join(told))
        drawn.add_section()
        total = sum(line.eur_cents for line in lines)
        drawn.add_row("the month", f"{sum(line.invoices for line in lines)}", _money(total), "", style="bold")
        self.table(drawn)

    def acts(self, actions: Sequence[Record]) -> None:
        """Tell acts and decisions by agent."""
        drawn = _figures("agent", "acts", "done", "of them asked", "refused", "cut off")
        for name in sorted({each["agent"] or WORKFLOW for each in actions}):
            drawn.add_row(name, *_decisions([each for each in actions if (each["agent"] or WORKFLOW) == name]))
        drawn.add_section()
        drawn.add_row("all", *_decisions(actions), style="bold")
        self.table(drawn)

    def costs(self, usage: Record) -> None:
        """Tell what the run cost, by department, against the budgets."""
        drawn = _figures("department", "tasks", "tool calls", "model calls", "runtime", "cost", "budget", "used")
        for each in usage["items"]:
            if not each["tasks"] and not each["budgets"]:
                continue  # the run itself, which belongs to no department and costs nothing
            budget = next(iter(each["budgets"]), None)
            limit = f"{budget['limit']['amount']} {budget['limit']['currency']}" if budget else "none"
            share = (
                f"{100 * Decimal(budget['used']['amount']) / Decimal(budget['limit']['amount']):.1f} %"
                if budget
                else ""
            )
            drawn.add_row(each["name"] or "none", *_used(each), limit, share)
        drawn.add_section()
        drawn.add_row("all", *_used(usage["totals"]), "", "", style="bold")
        self.table(drawn)

    def proof(self, proof: Proof) -> None:
        """Tell the three checks."""
        for checked in (proof.log, proof.record):
            (self.good if checked.proved else self.bad)(checked.said)
        (self.bad if proof.changed.proved else self.good)(
            f"one digit changed in a copy ({proof.change}): {proof.changed.said}"
        )
        self.line("by yourself:")
        self.link(proof.log.command)


def _figures(*names: str) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for index, name in enumerate(names):
        texts = name == "of them"
        drawn.add_column(name, justify="left" if index == 0 or texts else "right", no_wrap=not texts)
    return drawn


def _money(cents: int) -> str:
    return f"{Decimal(amount_text(cents)):,.2f}"


def _decisions(actions: Sequence[Record]) -> list[str]:
    """Count acts by what was decided: an act that a person said yes to is both asked and performed."""
    states = Counter(each["state"] for each in actions)
    asked = sum(1 for each in actions if each["approval"] is not None and each["state"] == "performed")
    counts = (len(actions), states["performed"], asked, states["refused"], states["unknown"])
    return [f"{count:,}" for count in counts]


def _used(usage: Record) -> list[str]:
    cost = usage["cost"]
    return [
        f"{usage['tasks']}",
        f"{usage['tool_calls']:,}",
        f"{usage['model_calls']:,}",
        f"{usage['runtime_seconds']:.1f} s",
        f"{cost['amount']} {cost['currency']}" if cost else "0",
    ]


def choose_acts(payments: Sequence[Record]) -> dict[str, Record]:
    """Return the three payments that are told: one allowed, one that asked a person, one refused for the account's origin."""
    chosen: dict[str, Record] = {}
    for each in payments:
        if each["state"] == "refused" and "account-from-record" in rule_ids(each):
            chosen.setdefault("origin", each)
        elif each["approval"] is not None and each["state"] == "performed":
            chosen.setdefault("asked", each)
        elif each["approval"] is None and each["state"] == "performed":
            chosen.setdefault("allowed", each)
    return chosen


def count_findings(audited: Record) -> Counter[str]:
    """Count the observer's findings by their code."""
    return Counter(each["code"] for each in audited["findings"])
