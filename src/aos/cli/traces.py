"""`aos trace`: the decision tree of a run, who asked for what, what was decided, by which rule, and what came of it."""

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
    inner = found.get("root")
    root: Object = inner if isinstance(inner, dict) else found
    kept = prune_tree(root) if only else root
    session.out.emit(found if not only else (kept or {}), lambda: draw_tree(kept, empty="nothing was refused"))


def prune_tree(node: Object) -> Object | None:
    """Return the node with only those branches in which something was refused, None where nothing was."""
    children = [kept for each in _children(node) if (kept := prune_tree(each)) is not None]
    if not children and not _was_refused(node):
        return None
    return {**node, "children": children}


def draw_tree(root: Mapping[str, Any] | None, *, empty: str) -> RenderableType:
    """Draw a decision tree."""
    if not root:
        return Text(empty, style="dim")
    tree = Tree(_line(root), guide_style="dim")
    _grow(tree, root, depth=0)
    return tree


def _grow(branch: Tree, node: Mapping[str, Any], *, depth: int) -> None:
    for matched in _rules(node):
        branch.add(_rule_line(matched))
    for child in _children(node):
        twig = branch.add(_line(child))
        if depth < DEPTH_MAX:
            _grow(twig, child, depth=depth + 1)


def _children(node: Mapping[str, Any]) -> list[Object]:
    found = node.get("children") or node.get("tasks") or node.get("actions") or []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _rules(node: Mapping[str, Any]) -> list[Object]:
    decision = node.get("decision")
    found = (
        node.get("matched") or node.get("rules") or (decision.get("matched") if isinstance(decision, dict) else None)
    )
    return [each if isinstance(each, dict) else {"id": each} for each in found] if isinstance(found, list) else []


def _outcome(node: Mapping[str, Any]) -> str:
    decision = node.get("decision")
    return str(decision.get("outcome") or "") if isinstance(decision, dict) else str(decision or "")


def _was_refused(node: Mapping[str, Any]) -> bool:
    return bool({_outcome(node), str(node.get("state") or node.get("status") or "")} & REFUSED)


def _line(node: Mapping[str, Any]) -> Text:
    name = node.get("label") or node.get("action") or node.get("name") or node.get("kind") or short(node.get("id"))
    line = Text(clean(name), style="bold" if node.get("kind") in ("run", "task") else "")
    if node.get("agent"):
        line.append(f"  {clean(node['agent'])}", style="dim")
    outcome, state = _outcome(node), str(node.get("state") or node.get("status") or "")
    for word in dict.fromkeys(each for each in (outcome, state) if each):
        line.append(f"  {clean(word)}", style=STATE_STYLES.get(word, "dim"))
    decision = node.get("decision")
    reason = node.get("reason") or (decision.get("reason") if isinstance(decision, dict) else "")
    if reason and (outcome in REFUSED or state in REFUSED):
        line.append(f"  {clean(reason)}")
    if node.get("cost"):
        cost = node["cost"]
        line.append(f"  {clean(cost.get('amount'))} {clean(cost.get('currency'))}" if isinstance(cost, dict) else "")
    return line


def _rule_line(matched: Mapping[str, Any]) -> Text:
    outcome = str(matched.get("outcome") or "")
    line = Text.assemble(("rule ", "dim"), clean(matched.get("id", "")))
    if matched.get("version"):
        line.append(f" v{clean(matched['version'])}", style="dim")
    if outcome:
        line.append(f"  {outcome}", style=STATE_STYLES.get(outcome, ""))
    if matched.get("reason"):
        line.append(f"  {clean(matched['reason'])}", style="dim")
    if matched.get("failed"):
        line.append("  its condition could not be evaluated", style="magenta")
    return line
