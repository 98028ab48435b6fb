"""What `aos models explain` prints: who was asked for what, and the choice in lines, as it comes out when made again."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from aos.cli.client import Object
from aos.cli.output import STATE_STYLES, clean, short


def draw_choice(found: Object) -> RenderableType:
    """Draw one choice of a model."""
    state = str(found.get("state") or "")
    head = Text.assemble((f"model:{clean(found.get('model'))}", "bold"), f"  asked for as {clean(found.get('asked'))}")
    head.append(f"  {clean(state)}", style=STATE_STYLES.get(state, "dim"))
    head.append(f"  act {clean(short(found.get('action_id')))}", style="dim")
    lines = [head, *(Text(f"  {clean(reason)}") for reason in found.get("reasons") or [])]
    used = [clean(name) for name in found.get("used") or []]
    if used and used != [clean(found.get("model"))]:
        lines.append(Text(f"  answered by {used[-1]}; used: {', '.join(used)}"))
    if not found.get("agrees"):
        told = "made again, the choice begins with another model: the rules of choosing have changed since"
        lines.append(Text(f"  {told}", style="yellow"))
    return Group(*lines)
