"""`aos apply`: make the organization what the manifest says; and `aos policy check`, which only looks."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aos.cli.client import Object
from aos.cli.failures import CliError, ExitStatus
from aos.cli.manifest_files import ManifestFiles, read_manifest_files, read_manifest_text
from aos.cli.openapi_files import resolve_openapi
from aos.cli.output import STATE_STYLES, clean
from aos.cli.session import Session, session_of
from aos.kernel.agents import RuntimeKind
from aos.kernel.errors import FieldError
from aos.kernel.json import Json
from aos.kernel.manifest.schema import manifest_schema
from aos.kernel.schema import check, pointer

MANIFEST_PATH: Final = "/manifest"

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", help="A file, a folder of files, or - for standard input. Default: aos.yaml, else aos/"
    ),
]


def apply(
    context: typer.Context,
    file: FileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes and make none")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where there is something to change")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Also remove what the manifest does not name")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Make changes marked ! without asking")] = False,
    imports: Annotated[
        bool, typer.Option("--imports/--no-imports", help="Try to import its functions, where AOS runs on this machine")
    ] = True,
) -> None:
    """Make the organization what the manifest says.

    Shows + for what is added, ~ for what changes, - for what is removed, and ! where a permission gets wider: at a
    terminal you are asked before such a change, elsewhere it needs --yes. What you may not give is kept as a draft
    until somebody with the permission policy.publish accepts it. Nothing is removed without --prune.
    """
    session = session_of(context)
    files = read_manifest(file)
    for note in files.notes:
        session.out.note(note)
    if imports:
        check_entries(session, files)
    _say_where(session)
    planned = send_manifest(session, files, dry_run=True, prune=prune)
    changes: list[Object] = planned.get("changes") or []
    wider = [change for change in changes if change.get("mark") == "!" and not change.get("waits")]
    if dry_run or not changes:
        session.out.emit(planned, lambda: draw_changes(changes))
        _say_beside(session, planned, done=False)
    else:
        _confirm(session, changes, wider=wider, yes=yes)
        applied = send_manifest(session, files, dry_run=False, prune=prune)
        session.out.emit(applied, lambda: draw_changes(applied.get("changes") or [], done=True))
        _say_beside(session, applied, done=True)
    if exit_code and changes:
        raise typer.Exit(ExitStatus.FAILED)


def _say_where(session: Session) -> None:
    """Name the organization that the manifest goes to, before anything is asked or changed; under JSON it is not named."""
    if session.out.json:
        return
    try:
        organization = session.client.get("/whoami").get("organization")
    except CliError:
        return  # what stands in the way is said of the manifest itself
    if isinstance(organization, dict):
        session.out.note(f"organization {organization.get('name')}")


def _say_beside(session: Session, answer: Object, *, done: bool) -> None:
    """Say what was warned of, and name what is kept as a draft, who may accept it, and how."""
    for warning in answer.get("warnings") or []:
        session.out.note(f"warning: {clean(warning)}")
    waiting = [change for change in answer.get("changes") or [] if change.get("waits")]
    people = ", ".join(clean(each) for each in answer.get("waits_for") or []) or "nobody here"
    for change in waiting:
        kind, name = clean(change.get("kind", "")), clean(change.get("name", ""))
        how = "waits as a draft" if done else "would wait as a draft"
        session.out.note(
            f"{kind} {name} {how} for the permission policy.publish ({people}), who look at it with: aos {kind} publish {name}"
        )


def _confirm(session: Session, changes: list[Object], *, wider: list[Object], yes: bool) -> None:
    """Ask before a permission gets wider."""
    if not wider or yes:
        return
    counted = "1 change gives" if len(wider) == 1 else f"{len(wider)} changes give"
    if not session.out.asks:
        names = ", ".join(f"{change.get('kind')} {change.get('name')}" for change in wider[:5])
        detail = f"{counted} somebody more than before ({names}): look with --dry-run, then apply with --yes"
        raise CliError("Waits for a person", detail, ExitStatus.WAITS)
    session.out.err.print(draw_changes(changes))
    if not session.out.confirm(f"{counted} somebody more than before. Apply?"):
        raise CliError("Not applied", "nothing was changed", ExitStatus.WAITS)


def read_manifest(file: Path | None) -> ManifestFiles:
    """Return the manifest of a file option, checked against its schema; raises CliError with file, line and column."""
    if file is not None and str(file) == "-":
        files = read_manifest_text(sys.stdin.buffer.read(), "standard input")
    else:
        files = read_manifest_files(file or _default_source())
    _refuse(files, check(files.document, manifest_schema()))
    _refuse(files, resolve_openapi(files))
    return files


def _refuse(files: ManifestFiles, problems: Sequence[FieldError], *, hints: Sequence[str] = ()) -> None:
    """Raise CliError for what is wrong with a manifest, each problem with its place."""
    if not problems:
        return
    located = [files.located(problem) for problem in problems]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    first = f"{located[0].pointer}: {located[0].detail}"
    raise CliError("Invalid manifest", first + more, ExitStatus.USAGE, errors=located if more else (), hints=hints)


PYTHON: Final = RuntimeKind.PYTHON.value
_ENTRIES: Final = (PYTHON, RuntimeKind.LANGGRAPH.value)


def check_entries(session: Session, files: ManifestFiles) -> None:
    """Raise CliError for a function that the hosts here could not import; says nothing of hosts elsewhere."""
    local = session.config.entries
    named = dict(_entries(files.document))
    if local is None or local.url.rstrip("/") != session.config.url or not named:
        return
    problems = local.problems(sorted(set(named.values())))
    wrong = [FieldError(at, problems[entry]) for at, entry in named.items() if entry in problems]
    _refuse(
        files,
        wrong,
        hints=(
            "modules are looked for in the folder that AOS was started in and in those of AOS_AGENT_PATH (then restart it)",
            "`--no-imports` applies it all the same",
        ),
    )


def _entries(document: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the pointer and the text of every `python: module:function` and `langgraph: module:graph`."""
    for part, inner in (("tools", ""), ("agents", "runtime")):
        items = document.get(part)
        for name, item in items.items() if isinstance(items, dict) else ():
            held = item.get(inner) if inner and isinstance(item, dict) else item
            for kind in _ENTRIES:
                entry = held.get(kind) if isinstance(held, dict) else None
                if isinstance(entry, str):
                    steps = (part, name, inner, kind) if inner else (part, name, kind)
                    yield functools.reduce(pointer, steps, ""), entry if kind == PYTHON else f"{kind}={entry}"


def _default_source() -> Path:
    found = [Path(name) for name in ("aos.yaml", "aos.yml") if Path(name).is_file()]
    if found or Path("aos").is_dir():
        return found[0] if found else Path("aos")
    detail = "there is neither `aos.yaml` nor a folder `aos/` here: name a file with -f"
    raise CliError("Not found", detail, ExitStatus.NOT_FOUND)


def send_manifest(session: Session, files: ManifestFiles, *, dry_run: bool, prune: bool) -> Object:
    """Send the manifest; what the server finds wrong is given its place in the files."""
    body = {"manifest": files.document, "dry_run": dry_run, "prune": prune}
    try:
        return session.client.post(MANIFEST_PATH, body)
    except CliError as error:
        errors = [files.located(_without_prefix(each)) for each in error.errors]
        detail = f"{errors[0].pointer}: {errors[0].detail}" if errors else error.detail
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise CliError(
            error.title,
            detail + more,
            error.status,
            errors=errors if more else (),
            reasons=error.reasons,
            problem=error.problem,
        ) from error


def _without_prefix(error: FieldError) -> FieldError:
    """Take off where the manifest stands in the request's body."""
    return FieldError(error.pointer.removeprefix("/manifest"), error.detail)


def draw_changes(changes: list[Object], *, done: bool = False) -> RenderableType:
    """Draw changes by their marks."""
    if not changes:
        return Text("nothing to change", style="dim")
    drawn = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    for _ in range(3):
        drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for change in changes:
        mark = str(change.get("mark", ""))
        style = STATE_STYLES.get(mark, "")
        drawn.add_row(
            Text(mark, style=style),
            clean(change.get("kind", "")),
            Text(clean(change.get("name", "")), style=style),
            Text(("waits: " if change.get("waits") else "") + clean(change.get("detail", "")), style="dim"),
        )
    drawn.caption = f"{len(changes)} {'applied' if done else 'to apply'}"
    drawn.caption_justify = "left"
    return drawn


def policy_check(context: typer.Context, file: FileOption = None) -> None:
    """Check a manifest's policies, conditions included, without changing anything."""
    session = session_of(context)
    files = read_manifest(file)
    planned = send_manifest(session, files, dry_run=True, prune=False)
    rules = files.document.get("policies") or []
    count = len(rules) if isinstance(rules, list) else 0
    session.out.say(
        {"ok": True, "policies": count, "changes": planned.get("changes") or []}, f"{count} policies are sound"
    )
