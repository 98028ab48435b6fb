"""Reads one MCP server of a manifest, and keeps what was accepted of tools when a manifest leaves it out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from aos.kernel.json import Json
from aos.kernel.manifest.parts import Part
from aos.kernel.manifest.values import ToolSpec
from aos.kernel.mcp_servers import Given, McpServer, SecretName
from aos.kernel.tools import ToolTransport

_OURS: Final = frozenset(
    """
    PATH HOME TMPDIR TMP TEMP SHELL ENV IFS PS4 PROMPT_COMMAND CDPATH FPATH ZDOTDIR EDITOR VISUAL PAGER BROWSER
    CLASSPATH JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS JAVA_HOME JAVA_OPTS GCONV_PATH LOCPATH NLSPATH HOSTALIASES
    RESOLV_HOST_CONF GLIBC_TUNABLES MALLOC_TRACE OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES SSLKEYLOGFILE
    RUSTC_WRAPPER GTK_MODULES QT_PLUGIN_PATH ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS R_PROFILE R_HOME TCLLIBPATH
    """.split()
)
_LOADERS: Final = re.compile(
    r"(LD_|DYLD_|BASH_|PYTHON|NODE_|NPM_|YARN_|PNPM_|COREPACK_|BUN_|DENO_|ELECTRON_|GIT_|SSH_ASKPASS|SSH_AUTH_SOCK|PERL|RUBY|GEM_|BUNDLE_|"
    r"UV_|PIP_|POETRY_|CONDA_|VIRTUAL_ENV|DOTNET_|CORECLR_|COR_|COMPLUS_|MONO_|PHP|LUA_|CARGO_|GO(PATH|ROOT|FLAGS|TOOLCHAIN)|"
    r"ELIXIR_|GUILE_|XDG_|AOS_).*",
    re.IGNORECASE,
)
"""Variables by which a program can be made to run or load another one: they are no setting of the program's own."""
_BARE: Final[Json] = {"type": "object", "additionalProperties": False}


def read_mcp_server(name: str, part: Part) -> McpServer:
    """Read one MCP server; a variable that could make the program load another is noted."""
    for wrong, other in (("env", "url"), ("folder", "url"), ("headers", "command")):
        if wrong in part.fields and other in part.fields:
            part.note(wrong, f"`{wrong}` has no meaning beside `{other}`")
    variables = _given(part, "env")
    for variable in variables:
        if variable.upper() in _OURS or _LOADERS.fullmatch(variable):
            part.sub("env").note(variable, f"`{variable}` could make the program load another: it is not given on")
    return McpServer(
        name=name,
        command=part.texts("command"),
        env=variables,
        folder=part.text("folder"),
        url=part.text("url"),
        headers=_given(part, "headers"),
        concurrency=part.count("concurrency"),
    )


def _given(part: Part, name: str) -> Given:
    fields = part.sub(name).fields
    return {
        key: SecretName(str(value["secret"])) if isinstance(value, dict) else str(value)
        for key, value in sorted(fields.items())
    }


def keep_pins(current: Iterable[ToolSpec], wanted: Iterable[ToolSpec]) -> list[ToolSpec]:
    """Return the tools wanted; one of an MCP server's that names no digest keeps the one that was accepted of it."""
    before = {each.name: each for each in current}
    return [_kept(before.get(each.name), each) for each in wanted]


def _kept(old: ToolSpec | None, new: ToolSpec) -> ToolSpec:
    if old is None or new.transport is not ToolTransport.MCP or "digest" in new.options:
        return new
    digest = old.options.get("digest")
    if digest is None or {**new.options, "digest": digest} != old.options:
        return new
    return replace(
        new,
        options=old.options,
        schema=old.schema if new.schema == _BARE else new.schema,
        money=old.money if new.schema == _BARE else new.money,
        description=new.description or old.description,
    )
