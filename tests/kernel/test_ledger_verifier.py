"""The checker for outsiders runs without AOS and without any package, and agrees with other implementations."""

from __future__ import annotations

import ast
import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from aos.kernel.ledger.checkpoint import Checkpoint, VerifierKey, log_origin, sign_checkpoint, verifier_key_text
from aos.kernel.ledger.proof import LogEntry, LogHeader, Proof, entry_line, header_line, proof_document
from aos.kernel.ledger.record import Record, RecordKind, record_bytes
from aos.kernel.ledger.tree import CompactRange, append_leaves, inclusion_path, leaf_hash, tree_root

FILE = Path(__file__).parents[2] / "examples" / "verify_proof.py"
ORGANIZATION = UUID(int=7)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey(log_origin(ORGANIZATION), PRIVATE.public_key().public_bytes_raw())
KEY_TEXT = verifier_key_text(KEY)
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_proof", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFIER = load()


def a_record(number: int) -> bytes:
    kind, at = RecordKind.ACT_PERFORMED, "2026-11-23T02:42:00.000001Z"
    return record_bytes(
        Record(id=UUID(int=number), organization_id=ORGANIZATION, kind=kind, at=at, action_id=UUID(int=1))
    )


RECORDS = [a_record(number) for number in range(13)]


def a_note(records: list[bytes], private: Ed25519PrivateKey = PRIVATE) -> str:
    tree, _ = append_leaves(CompactRange(), map(leaf_hash, records))
    public = private.public_key().public_bytes_raw()
    return sign_checkpoint(Checkpoint(KEY.name, tree.size, tree_root(tree)), public, sign=private.sign)


def a_proof(index: int, size: int) -> bytes:
    stored = {(0, at): leaf_hash(record) for at, record in enumerate(RECORDS)}
    path = inclusion_path(index, size, stored)
    return proof_document(Proof(RECORDS[index], index, size, path, a_note(RECORDS[:size]), KEY))


def a_log(records: list[bytes], dropped: int | None = None) -> bytes:
    header = header_line(LogHeader(ORGANIZATION, a_note(records), KEY))
    found = [LogEntry(at, leaf_hash(record), None if at == dropped else record) for at, record in enumerate(records)]
    return header + b"".join(map(entry_line, found))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the file where neither AOS nor any installed package can be imported."""
    command = [sys.executable, "-I", "-S", str(FILE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def refused(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 1
    assert not done.stdout
    assert done.stderr.startswith("not proved: ")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_file_imports_only_the_standard_library() -> None:
    found = ast.walk(ast.parse(FILE.read_text()))
    names = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    found = ast.walk(ast.parse(FILE.read_text()))
    names |= {node.module or "" for node in found if isinstance(node, ast.ImportFrom)}
    assert names
    assert names <= sys.stdlib_module_names


def test_a_good_proof_is_proved_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(a_proof(6, 13))
    raw = KEY.public
    for key in (KEY_TEXT, raw.hex(), base64.b64encode(raw).decode()):
        done = run(str(file), "--key", key)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"proved: record {UUID(int=6)} (act.performed")
        assert done.stdout.count("\n") == 1
        assert "compare it" not in done.stdout


def test_without_a_key_from_elsewhere_the_sentence_says_so(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(a_proof(6, 13))
    done = run(str(file))
    assert done.returncode == 0
    assert "the key came with the file" in done.stdout


def test_one_digit_changed_in_a_record_fails_the_proof(tmp_path: Path) -> None:
    document = json.loads(a_proof(6, 13))
    record = base64.b64decode(document["record"]).replace(b"2026-11-23", b"2026-11-24")
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(document | {"record": base64.b64encode(record).decode()}))
    assert "the record or its path was altered" in refused(str(file), "--key", KEY_TEXT)


def test_a_proof_signed_by_a_stranger_fails_against_the_published_key(tmp_path: Path) -> None:
    document = json.loads(a_proof(6, 13))
    public = STRANGER.public_key().public_bytes_raw()
    stranger_key = verifier_key_text(VerifierKey(KEY.name, public))
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(document | {"checkpoint": a_note(RECORDS, STRANGER), "key": stranger_key}))
    assert run(str(file)).returncode == 0
    assert "you gave" in refused(str(file), "--key", KEY_TEXT)
    file.write_text(json.dumps(document | {"checkpoint": a_note(RECORDS, STRANGER)}))
    assert "not signed by the key" in refused(str(file), "--key", KEY_TEXT)


def test_an_exported_log_is_proved_and_says_what_was_kept_as_hashes(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_bytes(a_log(RECORDS, dropped=3))
    done = run("--log", str(file), "--key", KEY_TEXT)
    assert done.returncode == 0
    assert "all 13 leaves" in done.stdout
    assert "12 with their records, 1 as hashes alone" in done.stdout


def test_an_altered_log_is_refused_and_the_leaf_named(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    lines = a_log(RECORDS).splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], entry_line(LogEntry(4, leaf_hash(RECORDS[4]), RECORDS[3])), *lines[6:]]))
    assert "the record of leaf 4 was altered" in refused("--log", str(file), "--key", KEY_TEXT)
    file.write_bytes(b"".join(lines[:-1]))
    assert "12 leaves, its checkpoint signs 13" in refused("--log", str(file), "--key", KEY_TEXT)
    file.write_bytes(lines[0] + b"".join(a_log(RECORDS[1:] + RECORDS[:1]).splitlines(keepends=True)[1:]))
    assert "a leaf was altered, added or moved" in refused("--log", str(file), "--key", KEY_TEXT)


@pytest.mark.parametrize("size", [0, 1, 8, 13])
def test_a_log_begins_with_what_a_kept_checkpoint_signs(tmp_path: Path, size: int) -> None:
    log, note = tmp_path / "export.jsonl", tmp_path / "note.txt"
    log.write_bytes(a_log(RECORDS))
    note.write_text(a_note(RECORDS[:size]))
    done = run("--log", str(log), "--key", KEY_TEXT, "--kept", str(note))
    assert done.returncode == 0
    assert f"begins with the {size} of the checkpoint you kept" in done.stdout


def test_a_rewritten_log_is_found_by_a_kept_checkpoint(tmp_path: Path) -> None:
    log, note = tmp_path / "export.jsonl", tmp_path / "note.txt"
    log.write_bytes(a_log([a_record(99), *RECORDS[1:]]))
    note.write_text(a_note(RECORDS[:8]))
    assert "history was rewritten" in refused("--log", str(log), "--key", KEY_TEXT, "--kept", str(note))
    note.write_text(a_note([*RECORDS, a_record(13)]))
    assert "this log has only 13" in refused("--log", str(log), "--key", KEY_TEXT, "--kept", str(note))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, b'{"format":"aos-log/1"}'])
def test_a_file_that_is_no_proof_and_no_log_is_refused_without_a_crash(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    refused(str(file))
    refused("--log", str(file))
    file.write_bytes(a_log([]) + content)
    if content:
        refused("--log", str(file))


def test_a_missing_file_is_refused_without_a_crash(tmp_path: Path) -> None:
    assert "No such file" in refused(str(tmp_path / "nothing.json"))


@pytest.mark.parametrize("size", range(1, 14))
def test_every_leaf_of_every_small_log_is_proved(size: int) -> None:
    for index in range(size):
        assert VERIFIER.check_proof(a_proof(index, size), KEY_TEXT).startswith("proved: ")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_one_bit_changed_anywhere_in_a_proof_is_found(data: st.DataObject) -> None:
    document = a_proof(6, 13)
    bit = data.draw(st.integers(0, len(document) * 8 - 1))
    altered = bytearray(document)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VERIFIER.Refused):
        VERIFIER.check_proof(bytes(altered), KEY_TEXT)


# RFC 8032, section 7.1: secret key, public key, message, signature of tests 1 to 3.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_ed25519_holds_the_vectors_of_rfc_8032(public: str, message: str, signature: str) -> None:
    key, text, signed = (bytes.fromhex(value) for value in (public, message, signature))
    assert VERIFIER.verify_ed25519(key, text, signed)
    assert not VERIFIER.verify_ed25519(key, text + b"x", signed)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 511))
@settings(max_examples=40, deadline=None)
def test_ed25519_agrees_with_another_implementation(seed: bytes, message: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert VERIFIER.verify_ed25519(public, message, signature)
    altered = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not VERIFIER.verify_ed25519(public, message, altered)


def test_ed25519_refuses_a_second_spelling_of_a_signature() -> None:
    public, signature = KEY.public, PRIVATE.sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + VERIFIER.ORDER
    assert not VERIFIER.verify_ed25519(public, b"m", signature[:32] + scalar.to_bytes(32, "little"))
    assert not VERIFIER.verify_ed25519(public, b"m", signature[:-1])
    assert not VERIFIER.verify_ed25519(b"\xff" * 32, b"m", signature)
