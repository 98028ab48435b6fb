"""The peer of the gateway benchmark: LiteLLM's proxy, in a virtual environment of its own that is removed at the end.

It runs as its documentation advises for production, with one worker and without a database, keys, budgets or logs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench._environments import MissingPeer, make_environment
from bench._installation import free_port
from tests.folders import new_folder

VERSION: Final = "1.109.1"
_LOOSENED: Final = ("litellm-proxy-extras>=0.4", "certifi>=2024")
"""Its pins of what plays no part here: an index may lag behind them."""
READY_SECONDS: Final = 90


@contextmanager
def litellm_proxy(upstream: int) -> Iterator[tuple[int, int]]:
    """Run the proxy in front of a model's server and yield its port and its pid; raises MissingPeer."""
    folder = new_folder("litellm")
    try:
        make_environment(folder, [f"litellm[proxy]=={VERSION}"], overrides=_LOOSENED)
        model = {"model": "openai/bench", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "none"}
        settings = {
            "model_list": [{"model_name": "bench", "litellm_params": model}],
            "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
        }
        (folder / "config.yaml").write_text(json.dumps(settings))
        port = free_port()
        with (folder / "log").open("wb") as log:
            proxy = subprocess.Popen(_command(folder, port), env=_environment(folder), stdout=log, stderr=log)
        try:
            _wait(proxy, port, folder / "log")
            yield port, proxy.pid
        finally:
            proxy.kill()
            proxy.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _command(folder: Path, port: int) -> list[str]:
    """Return the command without its terminal's wrapper, so that the pid is the proxy's own."""
    program = [str(folder / "venv/bin/python"), str(folder / "venv/bin/litellm")]
    served = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    return [*program, "--config", str(folder / "config.yaml"), *served]


def _environment(folder: Path) -> dict[str, str]:
    quiet = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **quiet}


def _wait(proxy: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and proxy.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise MissingPeer(f"litellm did not start: {log.read_text(errors='replace')[-400:]}")
