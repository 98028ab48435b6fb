"""`aos init`: begin with agents that work, written into this folder to be changed."""

from __future__ import annotations

import json
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.graph_manifest import GRAPHS, manifest_of_graphs
from aos.cli.mcp_manifest import SERVERS, manifest_of
from aos.cli.openapi_files import manifest_of_operations, read_document
from aos.cli.session import session_of
from aos.kernel.manifest.outside_tools import OPENAPI

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
        Path | None,
        typer.Option("--from", metavar="FILE", help="Or a file to begin from: mcp.json, langgraph.json, openapi.json"),
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write; here, unless it says so")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there")] = False,
) -> None:
    """Write a manifest with working agents, their tools and a readme into this folder; or what a file of another tool becomes.

    The agents of a template need no code: a model leads them through sample tools, under policies and budgets that stand in
    `aos.yaml`. A readme that is there is left as it is. Of an mcp.json the servers are taken, its credentials as secrets, by name
    alone (then `aos mcp-servers discover` says what each offers); of a langgraph.json each graph becomes an agent; of an OpenAPI
    document each operation becomes a tool.
    """
    session = session_of(context)
    if (template is None) == (source is None):
        raise usage_error("say --template, or --from with a file")
    secrets: tuple[str, ...] = ()
    following = "give the model's key to `aos secrets set openai`"
    if template is not None:
        wanted = template_files(template)
        place = f"AOS_AGENT_PATH={folder.resolve()}"
        following = f"start AOS with {place}, where the sample tools are, unless it was started there; {following}"
    else:
        assert source is not None
        text, secrets, following = _made_of(source, folder)
        wanted = {"aos.yaml": text}
    names = _write(wanted, folder, force=force)
    session.out.say(
        {
            "template": template.value if template else None,
            "folder": str(folder),
            "files": names,
            "secrets": list(secrets),
        },
        f"wrote {', '.join(names)}; next: {following}, then `aos apply`",
    )


def _made_of(source: Path, folder: Path) -> tuple[str, tuple[str, ...], str]:
    """Return the manifest that a file becomes, the secrets to be set, and what a person does next; raise CliError."""
    try:
        yaml = source.suffix in (".yaml", ".yml")
        said = read_document(source) if yaml else json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CliError("Not read", f"`{source}` is no file of JSON: {error}", ExitStatus.USAGE) from error
    if isinstance(said, dict) and GRAPHS in said:
        return manifest_of_graphs(source), (), "say which tools and models each may use"
    if isinstance(said, dict) and SERVERS in said:
        text, secrets = manifest_of(source)
        told = " and ".join(f"`aos secrets set {name}`" for name in secrets)
        return f"{text}\n", secrets, told or "look at what each server is started with"
    if isinstance(said, dict) and OPENAPI in said:
        text, secrets = manifest_of_operations(source, said, folder)
        told = " and ".join(f"`aos secrets set {name}`" for name in secrets)
        return f"{text}\n", secrets, told or "say which agents may call what"
    detail = f"`{source}` has neither `{SERVERS}`, as an mcp.json, nor `{GRAPHS}`, as a langgraph.json, nor `{OPENAPI}`"
    raise CliError("Not read", detail, ExitStatus.USAGE)


def _write(given: dict[str, str], folder: Path, *, force: bool) -> list[str]:
    """Write files into a folder and return their names; raise CliError where one is there already."""
    wanted = dict(given)
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
