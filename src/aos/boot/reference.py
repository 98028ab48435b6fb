"""`python -m aos.boot.reference`: writes the pages of the reference that follow from the code.

They are those on settings, errors, the manifest, the commands, the catalogue of models, and the states of tasks and runs.

A test holds the pages to what this module would write.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from aos.boot.command_line import cli_config
from aos.boot.commands import local_commands, this_machine
from aos.boot.config import settings_table
from aos.boot.installation import installation_root
from aos.cli.app import build
from aos.cli.reference import cli_reference, manifest_reference
from aos.kernel.doors import DOORS
from aos.kernel.errors import error_table
from aos.kernel.models.catalogue import models
from aos.kernel.models.purposes import MEANINGS, PURPOSES
from aos.kernel.models.values import CatalogueModel, Price
from aos.kernel.money import format_amount
from aos.kernel.workflow.states import (
    FINAL,
    RUN_FINAL,
    RUN_MEANINGS,
    RUN_TRANSITIONS,
    TASK_MEANINGS,
    TRANSITIONS,
    RunState,
    TaskState,
)

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)

NOTE = "<!-- written by `python -m aos.boot.reference`; change the table in the code, not this page -->"


def pages() -> dict[str, str]:
    """Return each page's text by its path from the root of the clone."""
    return {
        "docs/reference/cli.md": cli_page(),
        "docs/reference/config.md": config_page(),
        "docs/reference/doors.md": doors_page(),
        "docs/reference/errors.md": errors_page(),
        "docs/reference/manifest.md": f"{manifest_reference().rstrip()}\n",
        "docs/reference/models.md": models_page(),
        "docs/reference/states.md": states_page(),
    }


def cli_page() -> str:
    """Return the page of commands, those that boot starts included."""
    config = cli_config({"HOME": "/"})
    return f"{cli_reference(build(config, local_commands(this_machine([])))).rstrip()}\n"


def config_page() -> str:
    """Return the page of settings."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "AOS is set up by its environment alone. `aos config` shows what is set, `aos config --all` everything. An empty",
        "value counts as unset. A variable that begins with `AOS_` and is no setting is named in a warning.",
        "",
        "| variable | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for setting in settings_table():
        unit = f" ({setting.unit})" if setting.unit else ""
        secret = " Never shown." if setting.secret else ""
        lines.append(
            f"| `{setting.name}` | {setting.kind}{unit} | {setting.shown_default} | {setting.meaning}{secret} |"
        )
    lines += [
        "",
        "`XDG_DATA_HOME`, `XDG_CONFIG_HOME` and `XDG_RUNTIME_DIR` are heeded as their specification says.",
    ]
    return "\n".join(lines) + "\n"


def doors_page() -> str:
    """Return the page of the doors that agents speak at."""
    lines = [
        "# Agents' doors",
        "",
        NOTE,
        "",
        "All at the one address of AOS (`http://127.0.0.1:8470` unless set), besides REST, which `/docs` and `/openapi.json`",
        "describe. Keys and tokens go into `Authorization: Bearer`, or into `x-api-key`. gRPC has a port of its own:",
        "[agents outside](../guides/outside-agents.md).",
        "",
        "| door | does | the caller shows | guide |",
        "| --- | --- | --- | --- |",
    ]
    for door in DOORS:
        guide = f"[{door.guide}](../guides/{door.guide}.md)"
        lines.append(f"| `{door.method} {door.path}` | {door.does} | {door.takes} | {guide} |")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Return the page of errors."""
    lines = [
        "# Errors",
        "",
        NOTE,
        "",
        "Every door answers with these, each in its own form: REST and the doors as `application/problem+json` (RFC 9457),",
        "whose `type` ends in the slug, gRPC with the code. One that is marked may be tried again as it is.",
        "",
        "| slug | title | HTTP | gRPC | again | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for error in error_table():
        meaning = " ".join((error.__doc__ or "").split())
        again = "yes" if error.retryable else ""
        lines.append(f"| `{error.slug}` | {error.title} | {error.status} | `{error.grpc}` | {again} | {meaning} |")
    return "\n".join(lines) + "\n"


def models_page() -> str:
    """Return the page of the models that AOS knows, and of the purposes that it proposes."""
    sources = sorted({price.source for model in models() for price in model.prices})
    lines = [
        "# Models that AOS knows",
        "",
        NOTE,
        "",
        "A model that is registered under one of these names, or whose `name` is one of them, takes from here what its",
        "registration does not say. Prices are for a million tokens of input and of output, in brackets of input read from",
        "the provider's cache and written to it; `from` names the day or the length of the input from which a price holds.",
        "Strength is AOS's own judgement, from 1 (light) to 5 (strongest). A model that its provider no longer serves may",
        "still be served by Azure or by another server.",
        "",
        "| model | provider | input and output | context | longest output | strength | can | good for | served until |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_model_row(model) for model in models()),
        "",
        "Prices were read from:",
        "",
        *(f"- {source}" for source in sources),
        "",
        "## Purposes that AOS proposes",
        "",
        "| purpose | for | prefers | candidates, in order |",
        "| --- | --- | --- | --- |",
    ]
    for name, purpose in PURPOSES.items():
        candidates = ", ".join(f"`{model}`" for model in purpose.models)
        lines.append(f"| `{name}` | {MEANINGS[name]} | `{purpose.objective}` | {candidates} |")
    return "\n".join(lines) + "\n"


def _model_row(model: CatalogueModel) -> str:
    names = ", ".join(f"`{name}`" for name in (model.name, *model.aliases))
    can = ", ".join(model.capabilities)
    prices = "; ".join(_price_shown(price) for price in model.prices)
    until = str(model.ends) if model.ends else ""
    sizes = f"{model.context_tokens:,} | {model.output_tokens_max:,}"
    tags = ", ".join(model.tags)
    return f"| {names} | {model.provider} | {prices} | {sizes} | {model.strength} | {can} | {tags} | {until} |"


def _price_shown(price: Price) -> str:
    if not price.input and not price.output:
        return "free"
    cached = [format_amount(rate) for rate in (price.cached, price.cache_writes) if rate is not None]
    conditions = [str(price.since)] if price.since.year > 1970 else []
    conditions += [f"{price.above_tokens:,} tokens"] if price.above_tokens else []
    shown = f"{format_amount(price.input)} and {format_amount(price.output)}"
    shown += f" ({', '.join(cached)})" if cached else ""
    return f"{shown} {price.currency}" + (f" from {' and '.join(conditions)}" if conditions else "")


def states_page() -> str:
    """Return the page of the states of tasks and runs, with the pictures of their moves."""
    lines = [
        "# States of tasks and runs",
        "",
        NOTE,
        "",
        "These are all the states there are and every move between them: no statement makes another, and a test watches",
        "each row against the same tables. A move is made by a worker that holds the task, by the end of what the task",
        "waits for, by its time, or by a person.",
        "",
        "## Tasks",
        "",
        *_picture(TaskState.BLOCKED, TRANSITIONS, FINAL),
        "",
        "A task without anything before it is born `ready`.",
        "",
        *_meanings(TASK_MEANINGS),
        "",
        "## Runs",
        "",
        *_picture(RunState.RUNNING, RUN_TRANSITIONS, RUN_FINAL),
        "",
        *_meanings(RUN_MEANINGS),
    ]
    return "\n".join(lines) + "\n"


def _picture(first: State, moves: Mapping[tuple[State, Event], State], final: Collection[State]) -> list[str]:
    """Return a diagram in Mermaid; moves between the same two states share an arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, event), after in moves.items():
        arrows.setdefault((before, after), []).append(event.value)
    drawn = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    ends = [f"    {state} --> [*]" for state in type(first) if state in final]
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *drawn, *ends, "```"]


def _meanings(meanings: Mapping[State, str]) -> list[str]:
    rows = [f"| `{state}` | {meaning} |" for state, meaning in meanings.items()]
    return ["| state | meaning |", "| --- | --- |", *rows]


def main(root: Path) -> int:
    """Write every page that differs and say which."""
    for path, text in pages().items():
        file = root / path
        if not file.is_file() or file.read_text("utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(installation_root()))
