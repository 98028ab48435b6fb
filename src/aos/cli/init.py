"""`aos init`: begin with agents that work, written into this folder to be changed."""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from aos.cli.failures import CliError, ExitStatus
from aos.cli.mcp_manifest import manifest_of
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
        Path | None, typer.Option("--from", metavar="FILE", help="Or a file with `mcpServers`, as mcp.json")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write; here, unless it says so")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there")] = False,
) -> None:
    """Write a manifest with working agents, their tools and a readme into this folder; or one with the servers of an mcp.json.

    The agents of a template need no code: a model leads them through sample tools, under policies and budgets that stand in
    `aos.yaml`. A readme that is there is left as it is. Credentials of an mcp.json become secrets, by name alone; then
    `aos mcp-servers discover` says what each server offers.
    """
    session = session_of(context)
    if source is not None and template is None:
        text, secrets = manifest_of(source)
        names = _write({"aos.yaml": text + "\n"}, folder, force=force)
        session.out.say({"folder": str(folder), "files": names, "secrets": list(secrets)}, "wrote aos.yaml")
        for name in secrets:
            session.out.note(f"the credential is not in it: `aos secrets set {name}`")
        return
    if template is None or source is not None:
        raise CliError("Wrong usage", "give one of --template and --from", ExitStatus.USAGE)
    names = _write(template_files(template), folder, force=force)
    session.out.say(
        {"template": template.value, "folder": str(folder), "files": names},
        f"wrote {', '.join(names)}; next: give the model's key to `aos secrets set openai`, then `aos apply`",
    )


def _write(wanted: dict[str, str], folder: Path, *, force: bool) -> list[str]:
    """Write files into a folder and return their names; raise CliError where one is there already."""
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
    return list(wanted)
