"""`aos init`: begin with agents that work, written into this folder to be changed."""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.graph_manifest import manifest_of_graphs
from aos.cli.session import session_of

_PACKAGE: Final = "aos.cli.templates"


class Template(StrEnum):
    """The templates by name."""

    FINANCE = "finance"
    CUSTOMER_SUPPORT = "customer-support"
    SALES = "sales"
    OPERATIONS = "operations"
    PRODUCT_DEVELOPMENT = "product-development"


def template_files(template: Template) -> dict[str, str]:
    """Return what a template writes, by the name of each file."""
    package, module = files(_PACKAGE), f"{template.value.replace('-', '_')}_tools.py"
    folder = package / template.value
    return {
        "aos.yaml": (folder / "aos.yaml").read_text("utf-8"),
        module: (package / module).read_text("utf-8"),
        "README.md": (folder / "README.md").read_text("utf-8"),
    }


def init(
    context: typer.Context,
    template: Annotated[Template | None, typer.Option("--template", help="Which agents to begin with")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A langgraph.json, whose graphs become agents")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write; here, unless it says so")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there")] = False,
) -> None:
    """Write a manifest with working agents, their tools and a readme into this folder.

    The agents need no code: a model leads them through sample tools, under policies and budgets that stand in `aos.yaml`. A
    readme that is there is left as it is.
    """
    session = session_of(context)
    if (template is None) == (source is None):
        raise usage_error("say --template, or --from with a file")
    wanted = template_files(template) if template is not None else {"aos.yaml": manifest_of_graphs(_given(source))}
    if (folder / "README.md").exists() and not force:
        wanted.pop("README.md", None)
    there = [name for name in wanted if (folder / name).exists()]
    if there and not force:
        detail = f"`{folder / there[0]}` is there already: name another --folder, or write over it with --force"
        raise CliError("Not written", detail, ExitStatus.CONFLICT)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in wanted.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise CliError("Not written", f"`{folder}`: {error.strerror or error}", ExitStatus.USAGE) from error
    names = ", ".join(wanted)
    following = (
        "give the model's key to `aos secrets set openai`" if template else "say which tools and models each may use"
    )
    session.out.say(
        {"template": template.value if template else None, "folder": str(folder), "files": list(wanted)},
        f"wrote {names}; next: {following}, then `aos apply`",
    )


def _given(source: Path | None) -> Path:
    assert source is not None
    return source
