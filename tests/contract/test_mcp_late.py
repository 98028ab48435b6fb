"""What speaks MCP to servers is loaded by the first process that asks one, and answers as if it had always been there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from aos.boot.mcp_servers import LateMcp
from aos.drivers.model_http.transport import ModelHttp
from aos.kernel.ports import ToolOutcome
from tests.contract.mcp_servers_peer import CONFIG, call, notes, offered, reached, tools_of
from tests.worlds import THIS_MACHINE

LOADED = "import sys, aos.boot.data_plane, aos.boot.worker, aos.boot.grpc; print('mcp.client' in sys.modules)"


def test_no_process_loads_the_client_of_mcp_servers_before_it_asks_one() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", LOADED], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_first_calls_together_load_it_once_and_are_answered(tmp_path: Path) -> None:
    target = reached(notes(tmp_path))
    tools = tools_of("notes", offered(target))

    async def story() -> list[ToolOutcome]:
        transport = ModelHttp(private=THIS_MACHINE)
        late = LateMcp(CONFIG, transport)
        try:
            return await asyncio.gather(
                *(call(late, target, tools["write_note"], {"name": name}) for name in ("a", "b", "c"))
            )
        finally:
            await late.close()
            await transport.close()

    assert sorted(str(each.value) for each in asyncio.run(story())) == [
        str({"name": name, "count": count}) for name, count in sorted([("a", 1), ("b", 1), ("c", 1)])
    ]
