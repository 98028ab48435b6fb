"""gRPC as its own process: started by `aos up` with TLS, shown, restarted when it is killed, while clients ask again."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.contract.grpc_certificates import Certificates, make_certificates
from tests.e2e.installation import Installation, free_port, installation

SECONDS = 30
RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
"""What gRPC's own clients are told to do while a server restarts."""


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def healthy(channel: grpc.Channel) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service="aos.v1.Aos"), timeout=SECONDS, wait_for_ready=True)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def process(aos: Installation) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in aos.state()["processes"] if each["kind"] == "grpc")
    return found


def test_it_serves_under_tls_and_comes_back_at_the_same_address(certificates: Certificates) -> None:
    port = free_port()
    settings: dict[str, Any] = {
        "AOS_GRPC_PORT": str(port), "AOS_GRPC_CERT": str(certificates.server_cert),
        "AOS_GRPC_KEY": str(certificates.server_key),
    }  # fmt: skip
    with installation(**settings) as aos:
        aos.up()
        status = aos.status()
        assert (status["ready"], status["governed"]) == (True, True)
        assert aos.state()["grpc"] == f"127.0.0.1:{port}"
        credentials = grpc.ssl_channel_credentials(certificates.authority.read_bytes())
        with grpc.secure_channel(f"localhost:{port}", credentials, [("grpc.service_config", RETRIES)]) as channel:
            assert healthy(channel)
            before = process(aos)
            os.kill(before["pid"], signal.SIGKILL)
            assert healthy(channel)
        after = process(aos)
        assert (after["restarts"], after["pid"] != before["pid"]) == (1, True)
        aos.aos("down")


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with installation(AOS_GRPC_PORT=str(holder.getsockname()[1])) as aos:
            said = aos.aos("up", "--detach", status=1)
    assert f"is taken by pid {os.getpid()}" in said
    assert "AOS_GRPC_PORT (0: no gRPC)" in said
