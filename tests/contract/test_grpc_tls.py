"""gRPC under TLS and mutual TLS, with official clients and certificates made here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc
import pytest

from aos.boot.config import Config
from aos.boot.grpc import read_tls
from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.server import Tls
from aos.kernel.errors import Misconfigured
from tests.contract.grpc_certificates import Certificates, make_certificates
from tests.contract.grpc_peer import api_key, serving
from tests.contract.mcp_peer import PAY
from tests.databases import Database
from tests.working import working
from tests.worlds import World, agent, make_world, payments


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database, agents=[agent("finance", "payments.create")], tools=[payments()])


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def settings(made: Certificates, *, mutual: bool) -> Tls:
    """Return what boot reads of the settings."""
    authority = made.authority if mutual else None
    tls = read_tls(Config(grpc_cert=made.server_cert, grpc_key=made.server_key, grpc_client_ca=authority))
    assert tls is not None
    return tls


def called(world: World, tls: Tls, credentials: grpc.ChannelCredentials | None) -> object:
    """Call a tool and return its value, or the code of the refusal."""

    async def main() -> object:
        async with (
            working(world, started=False) as aos,
            serving(aos, tls=tls, credentials=credentials) as peer,
        ):
            request = aos_pb2.CallToolRequest(name="payments.create", arguments=json.dumps(PAY).encode())
            try:
                done = await peer.call("CallTool", request, api_key(world, "finance"), timeout=5)
            except grpc.aio.AioRpcError as error:
                return error.code()
            return json.loads(done.value)

    return asyncio.run(main())


def test_a_client_that_trusts_the_authority_is_served_and_one_without_tls_is_not(
    world: World, made: Certificates
) -> None:
    tls = settings(made, mutual=False)
    assert called(world, tls, grpc.ssl_channel_credentials(made.authority.read_bytes())) == "ok"
    assert called(world, tls, grpc.ssl_channel_credentials()) is grpc.StatusCode.UNAVAILABLE
    assert called(world, tls, None) is grpc.StatusCode.UNAVAILABLE


def test_under_mutual_tls_only_a_client_with_a_certificate_of_the_authority_is_served(
    world: World, made: Certificates
) -> None:
    tls = settings(made, mutual=True)
    root = made.authority.read_bytes()
    ours = grpc.ssl_channel_credentials(root, made.client_key.read_bytes(), made.client_cert.read_bytes())
    stranger = grpc.ssl_channel_credentials(root, made.stranger_key.read_bytes(), made.stranger_cert.read_bytes())
    assert called(world, tls, ours) == "ok"
    assert called(world, tls, stranger) is grpc.StatusCode.UNAVAILABLE
    assert called(world, tls, grpc.ssl_channel_credentials(root)) is grpc.StatusCode.UNAVAILABLE


def test_half_a_certificate_or_a_file_that_is_not_there_is_named(made: Certificates, tmp_path: Path) -> None:
    assert read_tls(Config()) is None
    with pytest.raises(Misconfigured, match="both AOS_GRPC_CERT and AOS_GRPC_KEY"):
        read_tls(Config(grpc_cert=made.server_cert))
    with pytest.raises(Misconfigured, match="AOS_GRPC_KEY `.*none` cannot be read"):
        read_tls(Config(grpc_cert=made.server_cert, grpc_key=tmp_path / "none"))


def test_what_is_no_certificate_keeps_the_server_from_starting(world: World, made: Certificates) -> None:
    with pytest.raises(Misconfigured, match="AOS_GRPC_CERT"):
        called(world, Tls(b"no certificate", made.server_key.read_bytes()), None)
