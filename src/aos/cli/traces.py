"""`aos trace`: the decision tree of a run: who asked for what, what was decided, by which rule, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from aos.cli.client import Object, path_to
from aos.cli.failures import CliError, ExitStatus
from aos.cli.output import STATE_STYLES, clean, cost_text, short
from aos.cli.run_tree import awaited_text
from aos.cli.session import find_id, session_of

DEPTH_MAX: Final = 40
REFUSED: Final = frozenset({"deny", "denied", "escalate", "refused"})

_BELOW: Final = ("actions", "tasks", "children")
"""Where a tree's node holds what it did and what stands below it."""


def trace(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the end of its id, or last")] = "last",
    only: Annotated[str, typer.Option("--only", metavar="refused", help="Only what was denied or escalated")] = "",
) -> None:
    """Draw a run's decision tree."""
    if only not in ("", "refused"):
        raise typer.BadParameter(f"`{only}` is not `refused`", param_hint="--only")
    session = session_of(context)
    try:
        id = find_id(session, "/runs", run)
    except CliError as error:
        if run == "last" and error.status is ExitStatus.NOT_FOUND:
            outside = "what agents did outside of runs: aos actions list --where run=none"
            raise CliError(error.title, error.detail, error.status, hints=(*error.hints, outside)) from error
        raise
    found = session.client.get(path_to("traces", id, "tree"))
    kept = prune_tree(found) if only else found
    session.out.emit(kept or {}, lambda: draw_tree(kept, empty="nothing was refused"))


def prune_tree(node: Object) -> Object | None:
    """Return the node with only those branches in which something was refused, None where nothing was."""
    kept: Object = {
        name: [part for each in node.get(name) or [] if (part := prune_tree(each)) is not None]
        for name in _BELOW
        if name in node
    }
    return {**node, **kept} if any(kept.values()) or _was_refused(node) else None


def draw_tree(root: Mapping[str, Any] | None, *, empty: str) -> RenderableType:
    """Draw a decision tree."""
    if not root:
        return Text(empty, style="dim")
    tree = Tree(_line(_plain(root)), guide_style="dim")
    _grow(tree, root, depth=0)
    _grow_spans(tree, root.get("spans") or [])
    return tree


def _grow(branch: Tree, node: Mapping[str, Any], *, depth: int) -> None:
    answered = _answered(node)
    for rule in _plain(node).get("rules") or []:
        branch.add(_rule_line(rule if isinstance(rule, dict) else {"id": rule}, answered))
    for child in (each for name in _BELOW for each in node.get(name) or []):
        twig = branch.add(_line(_plain(child)))
        if depth < DEPTH_MAX:
            _grow(twig, child, depth=depth + 1)


def _grow_spans(tree: Tree, spans: Sequence[Mapping[str, Any]]) -> None:
    """Add what agents' own code said that it did, apart from what is recorded."""
    if not spans:
        return
    evidence = tree.add(Text("seen by the agents' own code (evidence, no record)", style="dim"))
    branches: dict[str, Tree] = {}
    for span in spans:
        above = branches.get(str(span.get("parent")), evidence)
        line = Text(clean(f"{span.get('kind')}:{span.get('name')}"), style="dim")
        if span.get("error"):
            line.append(f"  {clean(span['error'])}", style=STATE_STYLES.get("failed", ""))
        branches[str(span.get("id"))] = above.add(line)


def _plain(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a node's own fields: those of its run, its task or its decision beside what it holds."""
    inner = [node[name] for name in ("run", "task", "decision") if isinstance(node.get(name), dict)]
    return {**node, **inner[0]} if inner else node


def _was_refused(node: Mapping[str, Any]) -> bool:
    plain = _plain(node)
    return bool({str(plain.get("outcome")), str(plain.get("state"))} & REFUSED)


def _answered(node: Mapping[str, Any]) -> str:
    """Return what a person said to an act, and who; empty where nobody answered."""
    approval = node.get("approval")
    if not isinstance(approval, dict) or not approval.get("answered_by"):
        return ""
    word = "approved" if approval.get("status") == "used" else approval.get("status")
    return f"{clean(word)} by {clean(approval['answered_by'])}"


MISSING: Final = "what it needed did not succeed"


def _why(node: Mapping[str, Any], *, is_act: bool) -> str:
    """Return why a task or a run failed, or why an act was refused or came to nothing."""
    outcome, state = str(node.get("outcome") or ""), str(node.get("state") or "")
    if is_act and not {outcome, state} & REFUSED:
        told = [node.get("error"), node.get("summary")] if state in ("failed", "unknown") else []
    elif is_act:
        told = [node.get("reason") or node.get("error")]
    elif state == "skipped":
        told = ["left out: " + ("its condition did not hold" if node.get("error") == "condition" else MISSING)]
    else:
        told = [node.get("reason") or node.get("error"), node.get("detail")]
    return ": ".join(str(each) for each in told if each)


def _line(node: Mapping[str, Any]) -> Text:
    outcome, state = str(node.get("outcome") or ""), str(node.get("state") or "")
    is_act = "intended_at" in node or bool(outcome)
    name = str(node.get("label") or node.get("name") or short(node.get("id")))
    line = Text(clean(f"{node.get('kind') or 'act'}:{name}" if is_act else name), style="" if is_act else "bold")
    about = str(node.get("subject") or "").removeprefix(name).removeprefix(": ")
    if is_act and about:
        line.append(f"  {clean(about)}", style="dim")
    if node.get("agent") and not is_act:
        line.append(f"  {clean(node['agent'])}", style="dim")
    for word in dict.fromkeys(each for each in (outcome, state) if each):
        line.append(f"  {clean(word)}", style=STATE_STYLES.get(word, "dim"))
    if not is_act and (awaited := awaited_text(node)):
        line.append(f"  {clean(awaited)}", style="dim")
    if why := _why(node, is_act=is_act):
        line.append(f"  {clean(why)}")
    if (answered := _answered(node)) and not any(rule.get("satisfied") for rule in node.get("rules") or []):
        line.append(f"  {answered}", style="dim")
    cost = node.get("cost")
    if isinstance(cost, dict):
        line.append(f"  {clean(cost_text(cost))}", style="dim")
    return line


def _rule_line(rule: Mapping[str, Any], answered: str) -> Text:
    outcome = str(rule.get("outcome") or "")
    line = Text.assemble(("rule ", "dim"), clean(rule.get("id", "")))
    if rule.get("version"):
        line.append(f" v{clean(rule['version'])}", style="dim")
    if outcome:
        line.append(f"  {outcome}", style=STATE_STYLES.get(outcome, ""))
    for name, lead in (("when", "when "), ("reason", "")):
        if rule.get(name) and rule[name] != f"allowed by `{rule.get('id')}`":
            line.append(f"  {lead}{clean(rule[name])}", style="dim")
    if rule.get("satisfied"):
        line.append(f"  {answered or 'approved'}", style="green")
    if rule.get("failed"):
        line.append("  its condition could not be evaluated", style="magenta")
    return line
