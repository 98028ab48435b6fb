"""Check what AOS says about its log, with nothing of AOS: this file and Python 3.9 or newer, no package.

    python verify_proof.py proof.json [--key KEY]
    python verify_proof.py --log export.jsonl [--key KEY] [--kept NOTE]

KEY is the log's public key: as notes write it (`name+id+base64`), or 32 bytes in base64 or hex. Get it from someone
other than who sent the file: without --key, the key inside the file is used, which shows only that the file agrees
with itself. NOTE is a file with a checkpoint that you kept earlier: the log must still begin with what it signs.

Prints in one sentence what was proved and exits 0; else names what differs and exits 1.

What it computes: Merkle hashes of RFC 9162 (section 2.1), signed notes and checkpoints of C2SP (signed-note,
tlog-checkpoint), Ed25519 of RFC 8032 (section 5.1). It reads one spelling of each value, so that no changed byte goes
unseen. A log is read as a stream: memory does not grow with it.
"""

from __future__ import annotations

import argparse
import binascii
import hashlib
import json
import sys
from typing import Any, BinaryIO, NamedTuple, NoReturn

LINE_BYTES_MAX = 1_048_576
PATH_MAX = 64


class Refused(Exception):
    """What was given does not prove what it should; the text names what differs."""


class Key(NamedTuple):
    """A public key, and the name it signs under (None: not said)."""

    name: str | None
    public: bytes


class Checkpoint(NamedTuple):
    """A signed tree head, once its signature holds."""

    origin: str
    size: int
    root: bytes


# Ed25519 (RFC 8032, section 5.1): points are (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.
Point = tuple[int, int, int, int]
PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, PRIME) % PRIME
ROOT_OF_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)
ZERO: Point = (0, 1, 1, 0)


def decode_point(data: bytes) -> Point | None:
    """Read a point (section 5.1.3); None when the bytes are not the one spelling of a point on the curve."""
    number = int.from_bytes(data, "little")
    odd, y = number >> 255, number & (2**255 - 1)
    if y >= PRIME:
        return None
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * ROOT_OF_MINUS_ONE % PRIME
    if (x * x - square) % PRIME or (x == 0 and odd):
        return None
    if x & 1 != odd:
        x = PRIME - x
    return x, y, 1, x * y % PRIME


def add_points(left: Point, right: Point) -> Point:
    """Add two points (section 5.1.4); the formula is complete, so it doubles as well."""
    a = (left[1] - left[0]) * (right[1] - right[0])
    b = (left[1] + left[0]) * (right[1] + right[0])
    c = 2 * left[3] * right[3] * CURVE_D
    d = 2 * left[2] * right[2]
    e, f, g, h = (b - a) % PRIME, (d - c) % PRIME, (d + c) % PRIME, (b + a) % PRIME
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


BASE = decode_point((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"))


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the signature holds (section 5.1.7): the encoding of [S]B - [k]A must be R."""
    key = decode_point(public) if len(public) == 32 else None
    if key is None or BASE is None or len(signature) != 64:
        return False
    first, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    if scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(first + public + message).digest(), "little") % ORDER
    minus_key = (PRIME - key[0], key[1], 1, PRIME - key[3])
    # Both multiples share the doublings: for each bit pair, add the base, the key or their sum.
    addends = (ZERO, BASE, minus_key, add_points(BASE, minus_key))
    total = ZERO
    for bit in range(252, -1, -1):
        total = add_points(total, total)
        choice = (scalar >> bit & 1) | (challenge >> bit & 1) << 1
        if choice:
            total = add_points(total, addends[choice])
    inverse = pow(total[2], -1, PRIME)
    x, y = total[0] * inverse % PRIME, total[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little") == first


def read_base64(text: Any, what: str, length: int | None = None) -> bytes:
    """Read standard base64 in its exact spelling."""
    try:
        data = binascii.a2b_base64(text)
        # Decoding passes over stray characters and unused bits; writing it again does not.
        exact = binascii.b2a_base64(data, newline=False).decode() == text
    except (TypeError, ValueError):
        data, exact = b"", False
    if not exact:
        raise Refused(f"{what} is not base64 in its exact form")
    if length is not None and len(data) != length:
        raise Refused(f"{what} has {len(data)} bytes and should have {length}")
    return data


def read_object(data: bytes, what: str, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read one JSON object that has exactly these members."""

    def closed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Refused(f"{what} names a member twice")
        return found

    try:
        value = json.loads(data.decode(), object_pairs_hook=closed)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict) or not set(names) <= set(value) <= {*names, *optional}:
        raise Refused(f"{what} does not have exactly the members {', '.join(names)}")
    return value


def read_count(value: Any, what: str) -> int:
    """Read a whole number of 0 or more."""
    if type(value) is not int or value < 0:
        raise Refused(f"{what} is not a whole number")
    return value


def key_id(name: str, public: bytes) -> bytes:
    """Name a key in four bytes (signed-note, Ed25519 signatures)."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def read_key(text: Any) -> Key:
    """Read a public key, as a note's key or as 32 bytes in base64 or hex."""
    if not isinstance(text, str):
        raise Refused("the key is not a text")
    parts = text.strip().split("+", 2)
    if len(parts) == 3 and len(parts[1]) == 8:
        encoded = read_base64(parts[2], "the key", 33)
        if encoded[0] != 1 or key_id(parts[0], encoded[1:]).hex() != parts[1]:
            raise Refused("the key's id is not that of an Ed25519 key of this name")
        return Key(parts[0], encoded[1:])
    if len(text.strip()) == 64:
        try:
            return Key(None, bytes.fromhex(text.strip()))
        except ValueError as error:
            raise Refused("the key is not hex") from error
    return Key(None, read_base64(text.strip(), "the key", 32))


def split_note(note: Any) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Part a note at its last empty line into the signed text and its signatures."""
    if not isinstance(note, str) or any(char < " " and char != "\n" for char in note):
        raise Refused("the checkpoint is not a note")
    text, gap, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if not gap or len(lines) < 2 or lines.pop() or len(lines) > 16:
        raise Refused("the checkpoint is not a text, an empty line and signature lines")
    signatures = []
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014" or not words[1]:
            raise Refused("a signature line of the checkpoint is malformed")
        signatures.append((words[1], read_base64(words[2], "a signature of the checkpoint")))
    return (text + "\n").encode(), signatures


def read_checkpoint(note: Any) -> Checkpoint:
    """Read what a checkpoint says; its signature is checked by `check_signature`."""
    text, _ = split_note(note)
    lines = text.decode().split("\n")
    if len(lines) != 4 or not lines[0]:
        raise Refused("the checkpoint does not have three lines")
    size = lines[1]
    if not (size.isascii() and size.isdigit()) or len(size) > 18 or str(int(size)) != size:
        raise Refused("the checkpoint's size is not a whole number")
    return Checkpoint(lines[0], int(size), read_base64(lines[2], "the checkpoint's root", 32))


def check_signature(note: str, key: Key) -> None:
    """Refuse unless the key signed the note under the origin's name."""
    text, signatures = split_note(note)
    origin = text.decode().split("\n")[0]
    if key.name not in (None, origin):
        raise Refused(f"the checkpoint is of the log {origin}, the key is for {key.name}")
    wanted = (origin, key_id(origin, key.public))
    mine = [raw[4:] for name, raw in signatures if (name, raw[:4]) == wanted]
    if not mine:
        raise Refused(f"the checkpoint is not signed by the key {key.public.hex()}")
    if not all(verify_ed25519(key.public, text, signature) for signature in mine):
        raise Refused("the checkpoint's signature does not hold: its text or the signature was altered")


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Climb from a leaf to the root that the path leads to (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise Refused(f"leaf {index} is not in a tree of {size} leaves")
    position, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Refused("the path is longer than the tree is high")
        if position & 1 or position == last:
            current = hashlib.sha256(b"\x01" + sibling + current).digest()
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            current = hashlib.sha256(b"\x01" + current + sibling).digest()
        position, last = position >> 1, last >> 1
    if last:
        raise Refused("the path is shorter than the tree is high")
    return current


def read_record(data: bytes) -> dict[str, Any]:
    """Read a record's bytes, which must be canonical (RFC 8785; records hold no floats and only ASCII keys)."""
    try:
        record = json.loads(data.decode())
        again = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(f"the record is not JSON: {error}") from error
    if again != data or not isinstance(record, dict):
        raise Refused("the record is not a JSON object in canonical form")
    return record


def trusted(inside: Key, given: str | None) -> tuple[Key, str]:
    """Choose the key to check with, and say what that is worth."""
    if given is None:
        return inside, f"; the key came with the file: compare it with the published one ({inside.public.hex()})"
    key = read_key(given)
    if key.public != inside.public:
        raise Refused(f"the file names the key {inside.public.hex()}, you gave {key.public.hex()}")
    return key, ""


def check_proof(data: bytes, given: str | None) -> str:
    """Verify a proof document and return the sentence that says what it proves."""
    names = ("format", "record", "leaf_index", "tree_size", "path", "checkpoint", "key")
    proof = read_object(data, "the proof", names)
    if proof["format"] != "aos-proof/1":
        raise Refused(f"the format {proof['format']!r} is not aos-proof/1")
    key, caution = trusted(read_key(proof["key"]), given)
    checkpoint = read_checkpoint(proof["checkpoint"])
    index, size = read_count(proof["leaf_index"], "the leaf index"), read_count(proof["tree_size"], "the tree size")
    if size != checkpoint.size:
        raise Refused(f"the proof is for {size} leaves, its checkpoint for {checkpoint.size}")
    if not isinstance(proof["path"], list) or len(proof["path"]) > PATH_MAX:
        raise Refused(f"the path is not a list of at most {PATH_MAX} hashes")
    data = read_base64(proof["record"], "the record")
    path = [read_base64(step, "a hash of the path", 32) for step in proof["path"]]
    root = root_from_path(hashlib.sha256(b"\x00" + data).digest(), index, size, path)
    if root != checkpoint.root:
        raise Refused(
            f"the record or its path was altered: they lead to the root {root.hex()}, "
            f"the checkpoint signs {checkpoint.root.hex()}"
        )
    check_signature(proof["checkpoint"], key)
    record = read_record(data)
    if not checkpoint.origin.endswith(f"/{record.get('organization_id')}"):
        raise Refused(f"the record belongs to another organization than the log {checkpoint.origin}")
    return (
        f"proved: record {record.get('id')} ({record.get('kind')}, {record.get('at')}) is leaf {index} of the "
        f"{size} that the log {checkpoint.origin} signed{caution}"
    )


def read_leaf(line: bytes, index: int) -> tuple[bytes, bool]:
    """Return a line's leaf hash, and whether its bytes are there."""
    if len(line) > LINE_BYTES_MAX:
        raise Refused(f"the line of leaf {index} is longer than {LINE_BYTES_MAX} bytes")
    try:
        entry = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise Refused(f"the line of leaf {index} is not JSON: {error}") from error
    if not isinstance(entry, dict) or type(entry.get("i")) is not int or not {"i"} < entry.keys() <= {"i", "r", "h"}:
        raise Refused(f"the line of leaf {index} does not have the members i and r or h")
    if entry["i"] != index:
        raise Refused(f"leaf {index} is missing: leaf {entry['i']} stands in its place")
    stated = entry.get("h")
    if "r" not in entry:
        return read_hex(stated, index), False
    leaf = hashlib.sha256(b"\x00" + read_base64(entry["r"], f"the record of leaf {index}")).digest()
    if "h" in entry and stated != leaf.hex():
        raise Refused(f"the record of leaf {index} was altered: it does not have the hash beside it")
    return leaf, True


def read_hex(text: Any, index: int) -> bytes:
    """Read a hash in lower-case hex."""
    try:
        data = bytes.fromhex(text)
    except (TypeError, ValueError):
        data = b""
    if len(data) != 32 or data.hex() != text:
        raise Refused(f"the hash of leaf {index} is not 32 bytes in lower-case hex")
    return data


def fold(peaks: list[bytes]) -> bytes:
    """Join the roots of complete subtrees, largest first, into the root over all."""
    if not peaks:
        return hashlib.sha256(b"").digest()
    current = peaks[-1]
    for peak in reversed(peaks[:-1]):
        current = hashlib.sha256(b"\x01" + peak + current).digest()
    return current


def check_log(log: BinaryIO, given: str | None, kept: str | None) -> str:
    """Verify an exported log and return the sentence that says what it proves."""
    names = ("format", "organization", "checkpoint", "key")
    header = read_object(log.readline(LINE_BYTES_MAX), "the first line", names)
    if header["format"] != "aos-log/1":
        raise Refused(f"the format {header['format']!r} is not aos-log/1")
    key, caution = trusted(read_key(header["key"]), given)
    checkpoint = read_checkpoint(header["checkpoint"])
    check_signature(header["checkpoint"], key)
    if not checkpoint.origin.endswith(f"/{header['organization']}"):
        raise Refused(f"the log {checkpoint.origin} is not that of organization {header['organization']}")
    earlier = None if kept is None else read_kept(kept, key, checkpoint)
    earlier_root = fold([]) if earlier is not None and earlier.size == 0 else None
    peaks: list[bytes] = []
    index = with_bytes = 0
    while line := log.readline(LINE_BYTES_MAX + 1):
        leaf, has_bytes = read_leaf(line, index)
        with_bytes += has_bytes
        position = index
        while position & 1:
            leaf = hashlib.sha256(b"\x01" + peaks.pop() + leaf).digest()
            position >>= 1
        peaks.append(leaf)
        index += 1
        if earlier is not None and index == earlier.size:
            earlier_root = fold(peaks)
    if index != checkpoint.size:
        raise Refused(f"the file has {index} leaves, its checkpoint signs {checkpoint.size}")
    if earlier is not None and earlier_root != earlier.root:
        raise Refused(
            f"the first {earlier.size} leaves are not those of the checkpoint you kept: history was rewritten"
        )
    if fold(peaks) != checkpoint.root:
        raise Refused(
            f"a leaf was altered, added or moved: the root over the {index} leaves is {fold(peaks).hex()}, "
            f"the checkpoint signs {checkpoint.root.hex()}"
        )
    extends = "" if earlier is None else f", and it begins with the {earlier.size} of the checkpoint you kept"
    return (
        f"proved: these are all {index} leaves, in order, that the log {checkpoint.origin} signed "
        f"({with_bytes} with their records, {index - with_bytes} as hashes alone){extends}{caution}"
    )


def read_kept(note: str, key: Key, checkpoint: Checkpoint) -> Checkpoint:
    """Read the earlier checkpoint and check that it is of this log and signed by its key."""
    earlier = read_checkpoint(note)
    check_signature(note, key)
    if earlier.origin != checkpoint.origin:
        raise Refused(f"the checkpoint you kept is of the log {earlier.origin}, not {checkpoint.origin}")
    if earlier.size > checkpoint.size:
        raise Refused(f"the checkpoint you kept signs {earlier.size} leaves, this log has only {checkpoint.size}")
    return earlier


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="check a proof or an exported log of AOS, without AOS")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("proof", nargs="?", help="a proof document (aos audit prove)")
    what.add_argument("--log", metavar="FILE", help="an exported log (aos audit export)")
    parser.add_argument("--key", help="the log's public key, from elsewhere than the file")
    parser.add_argument("--kept", metavar="NOTE", help="with --log: a file with a checkpoint that you kept earlier")
    arguments = parser.parse_args()
    if arguments.kept and not arguments.log:
        parser.error("--kept needs --log")
    return arguments


def main() -> NoReturn:
    """Check what the command line names; exit 0 when it is proved, 1 when not."""
    arguments = read_arguments()
    try:
        if arguments.log:
            kept = None
            if arguments.kept:
                with open(arguments.kept, encoding="utf-8", newline="") as file:
                    kept = file.read()
            with open(arguments.log, "rb") as log:
                sentence = check_log(log, arguments.key, kept)
        else:
            with open(arguments.proof, "rb") as document:
                sentence = check_proof(document.read(LINE_BYTES_MAX), arguments.key)
    except (Refused, OSError, UnicodeError) as error:
        sys.exit(f"not proved: {error}")
    print(sentence)
    sys.exit(0)


if __name__ == "__main__":
    main()
