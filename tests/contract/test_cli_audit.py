"""The log is checked on the reader's machine: a changed byte, a missing leaf or another's key is found and named."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aos.kernel.ledger.checkpoint import Checkpoint, VerifierKey, log_origin, sign_checkpoint, verifier_key_text
from aos.kernel.ledger.proof import LogEntry, LogHeader, Proof, entry_line, header_line, proof_document
from aos.kernel.ledger.record import Record, RecordKind, record_bytes
from aos.kernel.ledger.tree import CompactRange, append_leaves, leaf_hash, node_hash, tree_root
from tests.contract.cli_peer import Cli, Peer

ORGANIZATION = UUID("01998a3e-0000-7000-8000-000000000001")
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey(log_origin(ORGANIZATION), PRIVATE.public_key().public_bytes_raw())


def record(number: int) -> bytes:
    return record_bytes(
        Record(
            at="2026-03-31T12:00:00.000000Z",
            id=UUID(int=number),
            kind=RecordKind.GATE_PROBED,
            organization_id=ORGANIZATION,
            status="ok",
        )
    )


RECORDS = [record(1), record(2)]
LEAVES = [leaf_hash(each) for each in RECORDS]
NOTE = sign_checkpoint(
    Checkpoint(KEY.name, 2, tree_root(append_leaves(CompactRange(), LEAVES)[0])), KEY.public, sign=PRIVATE.sign
)
LOG = header_line(LogHeader(ORGANIZATION, NOTE, KEY)) + b"".join(
    entry_line(LogEntry(index, leaf, each)) for index, (leaf, each) in enumerate(zip(LEAVES, RECORDS, strict=True))
)
PROOF = proof_document(Proof(RECORDS[0], 0, 2, (LEAVES[1],), NOTE, KEY))


def test_the_sample_is_a_tree_of_two() -> None:
    assert tree_root(append_leaves(CompactRange(), LEAVES)[0]) == node_hash(*LEAVES)


def test_a_log_is_fetched_and_checked_here(aos: Cli, peer: Peer) -> None:
    peer.give("GET /audit/export", LOG, type="application/jsonl")
    shown = aos("audit", "verify", "--json").json
    assert (shown["ok"], shown["records"], shown["root"], shown["log"]) == (True, 2, node_hash(*LEAVES).hex(), KEY.name)
    assert "records" in aos("audit", "verify", "--key", verifier_key_text(KEY)).out


def test_an_export_is_saved_whole_or_not_at_all(
    aos: Cli, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    peer.give("GET /audit/export", LOG, type="application/jsonl")
    peer.refuse("GET /audit/export", 503, "Unavailable")
    assert aos("audit", "export").status == 0
    assert Path("aos-log.jsonl").read_bytes() == LOG
    assert aos("audit", "export", "-o", "other.jsonl").status == 7
    assert sorted(each.name for each in tmp_path.iterdir()) == ["aos-log.jsonl"]


def test_a_proof_is_saved_once_it_holds(aos: Cli, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    peer.give(f"GET /audit/proof/{UUID(int=1)}", PROOF)
    shown = aos("audit", "prove", str(UUID(int=1)), "--json").json
    assert (shown["record"], shown["leaf"], shown["records"]) == (str(UUID(int=1)), 0, 2)
    assert aos("audit", "verify", shown["file"]).status == 0


def altered(data: bytes, at: bytes) -> bytes:
    place = data.index(at) + len(at)
    return data[:place] + (b"B" if data[place : place + 1] == b"A" else b"A") + data[place + 1 :]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (altered(LOG, b'"i":1,"r":"eyJh'), "leaf 1"),
        (LOG.replace(b'"i":1', b'"i":2'), "leaf 1 is missing"),
        (LOG[: LOG.rindex(b'{"i":1')], "has 1 leaves"),
        (altered(LOG, b"aos.local/"), ""),
        (b"{}\n", "header"),
        (b"", "header"),
        (b"x" * 3_000_000, "header"),
        (altered(PROOF, b'"path":["'), "leaf 0"),
        (PROOF.replace(b'"leaf_index":0', b'"leaf_index":1'), "leaf 1"),
    ],
)
def test_a_difference_is_named_and_exits_with_1(data: bytes, said: str, aos: Cli, tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    path.write_bytes(data)
    done = aos("audit", "verify", str(path), "--json")
    assert (done.status, done.out) == (1, "")
    assert "given.jsonl" in done.err
    assert said in done.err


def test_a_log_signed_by_another_key_is_refused(aos: Cli, tmp_path: Path) -> None:
    other = VerifierKey(KEY.name, Ed25519PrivateKey.from_private_bytes(b"x" * 32).public_key().public_bytes_raw())
    path = tmp_path / "log.jsonl"
    path.write_bytes(LOG)
    assert aos("audit", "verify", str(path), "--key", verifier_key_text(other)).status == 1
