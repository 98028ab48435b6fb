"""Every metric of AOS, declared once, and their exposition in Prometheus's text format over all processes.

Names carry their unit last. Labels are closed sets: no tenant, agent, tool or address is one. Processes share what they
count through files in one folder, which whoever starts them names in PROMETHEUS_MULTIPROC_DIR.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

REQUESTS: Final = Counter(
    "aos_requests", "Requests answered on the one port, by door and HTTP status.", ["door", "status"]
)
REQUEST_SECONDS: Final = Histogram(
    "aos_request_seconds",
    "Time from a request's first byte to the last of its answer, by door.",
    ["door"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CANARIES: Final = Counter(
    "aos_canary_failures", "Canary acts that were not refused when a process started; above zero is not governed."
)
LOG_LINES: Final = Counter("aos_log_lines", "Log lines of level warning and above, by level.", ["level"])


def exposition(folder: Path) -> bytes:
    """Return the sum over every process that counts in `folder`."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)
