"""What a command prints: one JSON value on standard output, or calm tables for people.

Standard output carries the answer alone; notes, progress and errors go to standard error. Texts of others are shown
without control characters, so that no recorded text can drive the reader's terminal.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.exceptions import Abort

from aos.cli.client import Object
from aos.cli.failures import CliError, ExitStatus
from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.money import Money, money_text, parse_amount

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

STATE_STYLES: Final[Mapping[str, str]] = {
    "active": "green",
    "allow": "green",
    "approved": "green",
    "denied": "red",
    "deny": "red",
    "draft": "yellow",
    "escalate": "yellow",
    "expired": "dim",
    "errored": "red",
    "failed": "red",
    "paused": "yellow",
    "pending": "yellow",
    "performed": "green",
    "quarantined": "red",
    "refused": "red",
    "retired": "dim",
    "running": "cyan",
    "skipped": "dim",
    "succeeded": "green",
    "unknown": "magenta",
    "used": "green",
    "waiting": "yellow",
    "stuck": "red",
    "+": "green",
    "~": "yellow",
    "-": "red",
    "!": "bold magenta",
}
"""How states, outcomes and marks are coloured; colour never says anything that the word does not."""

PLAIN_WIDTH: Final = 200
"""The width of tables where there is no terminal."""


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, *, json: bool, now: Callable[[], datetime], program: str = "aos") -> None:
        self.json = json
        self._program = program
        self._now = now
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def asks(self) -> bool:
        """Say whether a person sits at a terminal to be asked."""
        return not self.json and sys.stdin.isatty() and sys.stderr.isatty()

    def emit(self, value: Json | Object, draw: Callable[[], RenderableType]) -> None:
        """Print the answer: as JSON, or as what `draw` returns; a text that does not wrap is printed whole."""
        if self.json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
        else:
            drawn = draw()
            self.out.print(drawn, soft_wrap=isinstance(drawn, Text) and bool(drawn.no_wrap))

    def say(self, value: Json | Object, text: str) -> None:
        """Print the answer: as JSON, or as one line."""
        self.emit(value, lambda: Text(clean(self.typed(text))))

    def typed(self, text: str) -> str:
        """Return a text with the commands in back-ticks as the person can type them."""
        return text.replace("`aos ", f"`{self._program} ")

    def note(self, text: str) -> None:
        """Print a line beside the answer, on standard error; nothing where JSON was asked for."""
        if not self.json:
            self.err.print(Text(clean(self.typed(text)), style="dim"))

    def ask(self, question: str) -> str:
        """Return the line that the person types; everything is shown on standard error.

        Raises Abort at the end of input.
        """
        self.err.print(Text(f"{clean(question)} "), end="")
        line = sys.stdin.readline()
        if not line:
            raise Abort
        return line.strip()

    def confirm(self, question: str) -> bool:
        """Say whether the person answers yes; anything else is no."""
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")

    def require_yes(self, question: str, *, yes: bool) -> None:
        """Return where the person says yes, or said so on the line; raises Abort, and CliError where nobody can be asked."""
        if yes:
            return
        if not self.asks:
            detail = f"nobody can be asked here ({question}): repeat it with --yes"
            raise CliError("Needs a yes", detail, ExitStatus.USAGE)
        if not self.confirm(question):
            raise Abort

    def fail(self, error: CliError) -> None:
        """Print `title: detail` on standard error, and beneath it what is wrong where; under JSON all of it as one object."""
        if self.json:
            sys.stderr.write(json.dumps(error.document(), ensure_ascii=False, default=str) + "\n")
            return
        self.err.print(Text.assemble((f"{clean(error.title)}: ", "bold red"), clean(self.typed(error.detail))))
        for wrong in error.errors:
            self.err.print(Text(clean(f"  {wrong.pointer or '/'}: {wrong.detail}")))
        for reason in error.reasons:
            self.err.print(Text(clean(f"  {reason}")))
        for hint in error.hints:
            self.err.print(Text(clean(f"  {self.typed(hint)}"), style="dim"))

    def is_past(self, moment: object) -> bool:
        """Say whether a time of an answer is over; one that cannot be read is."""
        try:
            then = datetime.fromisoformat(str(moment))
        except ValueError:
            return True
        return then.tzinfo is None or then <= self._now()

    def ago(self, moment: object) -> str:
        """Return how long ago (or in how long) a time of an answer is."""
        try:
            then = datetime.fromisoformat(str(moment))
        except ValueError:
            return ""
        if then.tzinfo is None:
            return ""
        seconds = int((self._now() - then).total_seconds())
        text = duration_text(abs(seconds))
        return "now" if seconds == 0 else f"{text} ago" if seconds > 0 else f"in {text}"


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def clean(text: object) -> str:
    """Return a text without characters that act on a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def short(id: object) -> str:
    """Return the last eight characters of a UUID, which differ where the first are a time; other texts as they are."""
    text = str(id or "")
    return text[-8:] if _UUID.fullmatch(text) else text


def duration_text(seconds: float) -> str:
    """Return a duration in its one or two largest units: `3m 20s`."""
    if seconds < 1:
        return f"{int(seconds * 1000)}ms" if seconds else "0s"
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in units:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def cost_text(wire: Mapping[str, Any]) -> str:
    """Return money of an answer as the console shows it too; what is no amount as it is."""
    amount, currency = str(wire.get("amount")), str(wire.get("currency"))
    try:
        return money_text(Money(parse_amount(amount), currency))
    except InvalidRequest:
        return f"{amount} {currency}"


def cell(value: object, name: str = "") -> Text:
    """Return a value of an answer as a table shows it."""
    if value is None or value == "" or value == []:
        return Text("-", style="dim")
    if isinstance(value, Mapping) and set(value) == {"amount", "currency"}:
        return Text(clean(cost_text(value)))
    if isinstance(value, Mapping):
        shown = ", ".join(f"{key}={_inline(item)}" for key, item in value.items())
    elif isinstance(value, list | tuple) and name == "command":
        shown = shlex.join(map(str, value))
    elif isinstance(value, list | tuple):
        shown = ", ".join(_inline(item) for item in value)
    elif isinstance(value, bool):
        shown = "yes" if value else "no"
    else:
        shown = short(value) if name == "id" or name.endswith("_id") else str(value)
    style = STATE_STYLES.get(shown, "") if name in ("status", "state", "outcome", "mark", "decision") else ""
    return Text(clean(shown), style=style)


def _inline(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def table(
    items: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str, times: Callable[[object], str]
) -> RenderableType:
    """Return items as a table of the given columns; columns that no item has are left out."""
    shown = [name for name in columns if any(item.get(name) not in (None, "", []) for item in items)]
    if not items or not shown:
        return Text(empty, style="dim")
    drawn = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for name in shown:
        drawn.add_column(name.removesuffix("_at").replace("_", " "), overflow="fold")
    for item in items:
        drawn.add_row(*(_table_cell(item.get(name), name, times) for name in shown))
    return drawn


def detail(item: Mapping[str, Any], *, times: Callable[[object], str]) -> RenderableType:
    """Return one object, field beneath field; texts in full."""
    drawn = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in item.items():
        if value not in (None, "", [], {}):
            full = value if name == "id" or name.endswith("_id") else None
            shown = Text(clean(full)) if isinstance(full, str) else _detail_cell(value, name, times)
            drawn.add_row(name.replace("_", " "), shown)
    return drawn


def _table_cell(value: object, name: str, times: Callable[[object], str]) -> Text:
    if name.endswith("_at") and value:
        return Text(times(value) or clean(value))
    if name == "held" and value:
        return Text("held", style="red")  # why, and since when, stands where the tool is shown by itself
    return cell(value, name)


def _detail_cell(value: object, name: str, times: Callable[[object], str]) -> Text:
    if name.endswith("_at"):
        ago = times(value)
        return Text(f"{clean(value)} ({ago})" if ago else clean(value))
    if isinstance(value, dict | list) and any(isinstance(each, dict | list) for each in _members(value)):
        return Text(clean(json.dumps(value, ensure_ascii=False, indent=2)))
    return cell(value, name)


def _members(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
