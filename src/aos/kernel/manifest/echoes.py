"""Tools whose results would make a caller's own words trusted records.

The fields of a trusted tool's outcome count as trusted records. A tool that repeats an argument in its outcome would thus
launder whatever it was given. What a tool returns is not declared: warned of is what shows in its declaration, a trusted
tool with arguments that direct its effect.
"""

from __future__ import annotations

from collections.abc import Iterable

from aos.kernel.manifest.values import ToolSpec
from aos.kernel.tools import ResultTrust


def echo_warnings(tools: Iterable[ToolSpec]) -> list[str]:
    """Return a sentence for each trusted tool that lists sinks, in the order given."""
    return [
        f"tool `{tool.name}` is `result_trust: trusted` and has the sinks {', '.join(f'`{each}`' for each in tool.sinks)}: "
        "if its result repeats one, whatever an agent passes becomes a trusted record; declare `own`"
        for tool in tools
        if tool.result_trust is ResultTrust.TRUSTED and tool.sinks
    ]
