"""The connections to models' servers: HTTP/1.1 on a small pool of kept connections.

`ModelHttp` is all that is used from outside.
"""

from __future__ import annotations

from aos.drivers.model_http.transport import ModelHttp

__all__ = ["ModelHttp"]
