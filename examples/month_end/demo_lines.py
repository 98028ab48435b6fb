"""How the demo writes a line: behind a mark, folded at words under its own beginning, nothing at the ends of lines."""

from rich.console import Console
from rich.text import Text

INDENT = 4


def folded(console: Console, text: Text, *, mark: str = " ", style: str = "", indent: int = INDENT) -> Text:
    """Return a text behind a mark, its further lines under the first; a word longer than a line is cut by the terminal."""
    lines = text.wrap(console, max(20, console.width - indent))
    for line in lines:
        line.rstrip()
    return Text(f"{mark:>{indent - 1}} ", style=style) + Text(f"\n{' ' * indent}").join(lines)
