"""The official package's own example servers, fetched from the registry as it publishes them, and run.

They are not part of this repository: they are in the source distribution of the version of `mcp` that is installed here, which is
fetched when a test asks, and gone with it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from aos.kernel.mcp_servers import McpServer
from tests.doors import START_SECONDS, until


def fetch_examples(into: Path) -> Path:
    """Fetch the source distribution and return the folder with the servers, each in a folder of its own."""
    run = lambda *words: subprocess.run(words, cwd=into, check=True, capture_output=True, timeout=300)  # noqa: E731
    run(sys.executable, "-m", "venv", "fetching")
    pip = ("fetching/bin/python", "-m", "pip", "download", "-q")
    run(*pip, "--no-binary", "mcp", "--no-deps", f"mcp=={version('mcp')}")
    (archive,) = into.glob("mcp-*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")
    return into / archive.name.removesuffix(".tar.gz") / "examples" / "servers"


def over_stdio(examples: Path, name: str, module: str, *, called: str) -> McpServer:
    """Return the registration of a server that is started by its first call."""
    return McpServer(called, command=(sys.executable, "-m", module), folder=str(examples / name))


@contextmanager
def over_http(examples: Path, name: str, module: str, *, called: str, more: Sequence[str] = ()) -> Iterator[McpServer]:
    """Run a server until the end of the block and return its registration."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", str(port), *more], cwd=examples / name,
        env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def serves() -> bool:
        with socket.socket() as tried:
            tried.settimeout(START_SECONDS)
            return tried.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(serves)
        yield McpServer(called, url=f"http://127.0.0.1:{port}/mcp")
    finally:
        process.kill()
        process.wait()
