"""An agent and its tools for tests of what a killed worker leaves behind; the hosts import them by name."""

from __future__ import annotations

import select
from pathlib import Path
from typing import Any

from aos_sdk import AsyncContext, ToolFailed

TRIES, PAID, WAITING, GO = "tries", "paid", "waiting", "go"


async def pays_after_a_failure(ctx: AsyncContext) -> Any:
    """Pay, again where the till failed, then wait for somebody outside."""
    receipt = None
    while receipt is None:
        try:
            receipt = await ctx.tool("till.pay", amount="12.30", currency="EUR")
        except ToolFailed:
            await ctx.report("the till failed once")
    await ctx.tool("till.wait")
    return receipt


def pay(*, amount: str, currency: str, idempotency_key: str, folder: str) -> dict[str, Any]:
    """Fail at the first try under a key; later pay once under it."""
    tries, paid = Path(folder) / TRIES, Path(folder) / PAID
    tried_before = tries.exists() and idempotency_key in tries.read_text().split()
    _append(tries, idempotency_key)
    if not tried_before:
        raise ValueError("the till is jammed")
    _append(paid, f"{idempotency_key} {amount}{currency}")
    return {"paid": amount}


def wait(*, folder: str) -> str:
    """Say that it waits, and return once it may go on."""
    (Path(folder) / WAITING).touch()
    while not (Path(folder) / GO).exists():
        select.select([], [], [], 0.02)
    return "went on"


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")
