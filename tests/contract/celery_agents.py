"""Agents of the workers that tests start as processes of their own: each notes in one file what it did."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from aos_sdk import AsyncContext


def note(folder: str, name: str, ctx: AsyncContext) -> None:
    """Add a line to a file, at once."""
    with open(Path(folder) / name, "ab", buffering=0) as file:
        file.write(f"{ctx.task_id} {os.getpid()}\n".encode())


async def writes(ctx: AsyncContext) -> Any:
    """Note that the task was worked on."""
    note(ctx.input["folder"], "done", ctx)
    return ctx.input["n"]


async def waits_then_writes(ctx: AsyncContext) -> Any:
    """Note that the task began, wait for the test's word, and note the work."""
    folder = ctx.input["folder"]
    note(folder, "begun", ctx)
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.02)
    note(folder, "done", ctx)
    return ctx.input["n"]
