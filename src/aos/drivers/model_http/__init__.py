"""The connections to models' and tools' servers: HTTP/1.1 on a small pool of kept connections.

`ModelHttp` sends requests; `ListedAddresses` says by the same rules where other connections may go.
"""

from __future__ import annotations

from aos.drivers.model_http.addresses import ListedAddresses
from aos.drivers.model_http.transport import ModelHttp

__all__ = ["ListedAddresses", "ModelHttp"]
