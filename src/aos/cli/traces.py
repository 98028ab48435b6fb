"""`aos trace`: the decision tree of a run: who asked for what, what was decided, by which rule, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from aos.cli.client import Object, path_to
from aos.cli.output import STATE_STYLES, clean, short
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
    id = find_id(session, "/runs", run)
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
    return tree


def _grow(branch: Tree, node: Mapping[str, Any], *, depth: int) -> None:
    for rule in _plain(node).get("rules") or []:
        branch.add(_rule_line(rule if isinstance(rule, dict) else {"id": rule}))
    for child in (each for name in _BELOW for each in node.get(name) or []):
        twig = branch.add(_line(_plain(child)))
        if depth < DEPTH_MAX:
            _grow(twig, child, depth=depth + 1)


def _plain(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a node's own fields: those of its run, its task or its decision beside what it holds."""
    inner = [node[name] for name in ("run", "task", "decision") if isinstance(node.get(name), dict)]
    return {**node, **inner[0]} if inner else node


def _was_refused(node: Mapping[str, Any]) -> bool:
    plain = _plain(node)
    return bool({str(plain.get("outcome")), str(plain.get("state"))} & REFUSED)


def _line(node: Mapping[str, Any]) -> Text:
    outcome, state = str(node.get("outcome") or ""), str(node.get("state") or "")
    is_act = "intended_at" in node or bool(outcome)
    name = str(node.get("label") or node.get("name") or short(node.get("id")))
    line = Text(clean(f"{node.get('kind') or 'act'}:{name}" if is_act else name), style="" if is_act else "bold")
    if node.get("agent") and not is_act:
        line.append(f"  {clean(node['agent'])}", style="dim")
    for word in dict.fromkeys(each for each in (outcome, state) if each):
        line.append(f"  {clean(word)}", style=STATE_STYLES.get(word, "dim"))
    reason = node.get("reason") or node.get("error")
    if reason and (not is_act or {outcome, state} & (REFUSED | {"failed", "unknown"})):
        line.append(f"  {clean(reason)}")
    approval, cost = node.get("approval"), node.get("cost")
    if isinstance(approval, dict) and approval.get("answered_by"):
        line.append(f"  {clean(approval.get('status'))} by {clean(approval['answered_by'])}", style="dim")
    if isinstance(cost, dict):
        line.append(f"  {clean(cost.get('amount'))} {clean(cost.get('currency'))}", style="dim")
    return line


def _rule_line(rule: Mapping[str, Any]) -> Text:
    outcome = str(rule.get("outcome") or "")
    line = Text.assemble(("rule ", "dim"), clean(rule.get("id", "")))
    if rule.get("version"):
        line.append(f" v{clean(rule['version'])}", style="dim")
    if outcome:
        line.append(f"  {outcome}", style=STATE_STYLES.get(outcome, ""))
    for name, lead in (("when", "when "), ("reason", "")):
        if rule.get(name):
            line.append(f"  {lead}{clean(rule[name])}", style="dim")
    if rule.get("satisfied"):
        line.append("  approved", style="green")
    if rule.get("failed"):
        line.append("  its condition could not be evaluated", style="magenta")
    return line
