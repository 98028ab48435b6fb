"""Where requests to models' servers may go: listed hosts alone, and public addresses unless the host itself is listed."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aos.drivers.model_http import ModelHttp
from aos.drivers.model_http.addresses import Listed, is_public, listed, locate, resolve
from aos.kernel.errors import UpstreamFailed
from aos.kernel.private_hosts import LOOPBACK, PrivateHosts, read_private_hosts
from tests.contract.model_http_peer import LOOPS, Peer, peer, with_peer
from tests.worlds import THIS_MACHINE

PRIVATE = """
127.0.0.1 127.1.2.3 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255 224.0.0.1 240.0.0.1
192.0.2.1 198.18.0.1 :: ::1 fe80::1 fe80::1%eth0 fc00::1 ff02::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a00:1::
""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_known_in_every_form(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "104.18.6.192", "2606:4700::6812:6c0", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is_public_is_known_too(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "permitted", "how"),
    [
        ("https://api.openai.com/v1", ("api.openai.com",), Listed.ANY),
        ("https://API.OpenAI.com/v1", ("Api.openai.COM",), Listed.ANY),
        ("https://api.openai.com/v1", ("api.openai.com:443",), Listed.ANY),
        ("https://api.openai.com:8443/v1", ("api.openai.com:443",), Listed.NOT),
        ("https://api.openai.com:8443/v1", ("api.openai.com",), Listed.ANY),
        ("https://api.openai.com.evil.example/", ("api.openai.com", "*.openai.com"), Listed.NOT),
        ("https://evilopenai.com/", ("*.openai.com", "openai.com"), Listed.NOT),
        ("https://x.openai.azure.com/", ("*.openai.azure.com",), Listed.PUBLIC),
        ("https://x.openai.azure.com/", ("*", "x.openai.azure.com"), Listed.ANY),
        ("http://[::1]:11434/v1", ("[::1]:11434",), Listed.ANY),
        ("http://[::1]:11434/v1", ("::1",), Listed.ANY),
        ("http://anything/", (), Listed.NOT),
        ("http://anything/", ("*",), Listed.PUBLIC),
    ],
)
def test_a_host_stands_in_the_list_by_itself_with_its_port_or_by_a_pattern(
    url: str, permitted: tuple[str, ...], how: Listed
) -> None:
    assert listed(locate(url).server, permitted) is how


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com/v1", "ftp://a/b", "http://", "http:///v1", "http://user:key@host/", "http://user@host/", "http://host:99999/",
     "http://h\u00f6st/", "http://host/a b", "http://host/\u00e4", "http://[fe80::1%25eth0]/", "file:///etc/passwd", "http://[::1"],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        locate(url)
    assert not caught.value.sent


@pytest.mark.parametrize("loop", LOOPS)
def test_a_host_that_is_not_listed_is_not_connected_to_also_where_a_connection_is_kept(loop: str) -> None:
    async def test(served: Peer, http: ModelHttp) -> None:
        await (await http.send(served.request())).read(at_most=2)
        for permitted in ((), ("api.openai.com",), ("127.0.0.1:1",), ("*",), ("*.0.0.1",)):
            with pytest.raises(UpstreamFailed) as caught:
                await http.send(served.request(permitted=permitted))
            assert not caught.value.sent
            assert "127.0.0.1" in caught.value.detail
        assert (served.connections, len(served.requests)) == (1, 1)

    with_peer(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_name_that_stands_for_a_private_address_needs_to_be_listed_itself(loop: str) -> None:
    async def test(served: Peer, http: ModelHttp) -> None:
        url = f"http://localhost:{served.port}/"
        with pytest.raises(UpstreamFailed, match="which is no public address"):
            await http.send(served.request(url=url, permitted=("*",)))
        assert (await http.send(served.request(url=url, permitted=("localhost",)))).status == 200
        # Found at its second address, where the first of the name (::1) does not answer.
        assert served.connections == 1

    with_peer(loop, test)


@pytest.mark.parametrize("name", ["no-such-name.invalid", "a" * 64 + ".example"])
def test_a_name_that_cannot_be_resolved_did_nothing(name: str) -> None:
    with pytest.raises(UpstreamFailed, match="cannot be resolved") as caught:
        asyncio.run(resolve(locate(f"https://{name}/").server, Listed.ANY, private=PrivateHosts()))
    assert not caught.value.sent


def test_a_header_with_a_line_break_is_not_sent() -> None:
    async def test(served: Peer, http: ModelHttp) -> None:
        for value in (b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b"):
            with pytest.raises(UpstreamFailed, match="line break") as caught:
                await http.send(served.request(headers=((b"authorization", value),)))
            assert not caught.value.sent
            assert "x: y" not in caught.value.detail
        assert served.connections == 0

    with_peer("asyncio", test)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write an authority that certifies itself for `name`; return the files of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_certificate_counts_for_its_name_alone_and_only_of_a_known_authority(loop: str, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)

    async def ask(served: Peer, host: str, tls: ssl.SSLContext | None, size: int = 10) -> bytes:
        http = ModelHttp(tls, private=THIS_MACHINE)
        try:
            got = b""
            for _ in range(2):
                request = served.request(url=f"https://{host}:{served.port}/", permitted=(host,), body=b"x" * size)
                got = await (await http.send(request)).read(at_most=1_000)
            return got
        finally:
            await http.close()

    async def run() -> None:
        async with asyncio.timeout(30), peer(tls=serving) as served:
            trusted = ssl.create_default_context(cafile=str(cert))
            assert await ask(served, "localhost", trusted, 2_000_000) == b"{}"
            assert len(served.requests) == 2
            for host, tls in (("127.0.0.1", trusted), ("localhost", None)):
                with pytest.raises(UpstreamFailed, match="certificate verify failed") as caught:
                    await ask(served, host, tls)
                assert not caught.value.sent
            assert len(served.requests) == 2

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("opened", [(), ("10.0.0.0/8",), ("127.0.0.1:1", "localhost:1")])
def test_an_organization_alone_opens_no_address_that_is_not_public(loop: str, opened: tuple[str, ...]) -> None:
    async def test(served: Peer, http: ModelHttp) -> None:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(UpstreamFailed, match="AOS_PRIVATE_HOSTS") as caught:
                await http.send(served.request(url=f"http://{host}:{served.port}/", permitted=(host,)))
            assert not caught.value.sent
        assert served.connections == 0

    with_peer(loop, test, http=lambda: ModelHttp(private=read_private_hosts(opened)))


def test_the_operator_alone_opens_no_host_either_and_both_together_open_it() -> None:
    async def test(served: Peer, http: ModelHttp) -> None:
        url = f"http://localhost:{served.port}/"
        for permitted in ((), ("*",), ("127.0.0.1",)):
            with pytest.raises(UpstreamFailed):
                await http.send(served.request(url=url, permitted=permitted))
        assert served.connections == 0
        assert (await http.send(served.request(url=url, permitted=("localhost",)))).status == 200

    with_peer("asyncio", test, http=lambda: ModelHttp(private=read_private_hosts(LOOPBACK)))


def test_a_connection_of_aos_own_is_not_lent_to_an_organization() -> None:
    async def test(served: Peer, http: ModelHttp) -> None:
        assert await (await http.send(replace(served.request(), permitted=(), own=True))).read(at_most=2) == b"{}"
        with pytest.raises(UpstreamFailed, match="AOS_PRIVATE_HOSTS"):
            await http.send(served.request())
        assert served.connections == 1

    with_peer("asyncio", test, http=ModelHttp)
