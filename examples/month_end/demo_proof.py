"""The proof at the end: the log is checked by a file without AOS code, in a process of its own that imports nothing of ours;
then a copy with one digit changed, which must not pass.
"""

import base64
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from examples.month_end.demo_aos import ROOT, Aos, DemoError

VERIFIER = ROOT / "examples" / "verify_proof.py"
LOG_FILE = "log.jsonl"
PROOF_FILE = "proof.json"
CHANGED_FILE = "log-with-one-digit-changed.jsonl"
_COST = re.compile(rb'"nanos":"(\d)(\d*)"')


@dataclass(frozen=True, slots=True)
class Checked:
    """One run of the verifier: the command as a person would type it, whether it passed, and its sentence."""

    command: str
    proved: bool
    said: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The three checks, and what was changed in the copy."""

    log: Checked
    record: Checked
    changed: Checked
    change: str

    @property
    def holds(self) -> bool:
        """Say whether both documents pass and the altered one does not."""
        return self.log.proved and self.record.proved and not self.changed.proved


def prove(auditor: Aos, folder: Path, *, record_id: str) -> Proof:
    """Export the log and one record's proof into a folder, check both against the published key, then an altered copy."""
    key = auditor.get("/audit/checkpoint")["key"]
    log, proof, changed = folder / LOG_FILE, folder / PROOF_FILE, folder / CHANGED_FILE
    proof.write_bytes(auditor.download(f"/audit/proof/{record_id}"))
    log.write_bytes(auditor.download("/audit/export"))
    content, change = change_one_digit(log.read_bytes(), record_id)
    changed.write_bytes(content)
    return Proof(
        log=check(["--log", str(log)], key),
        record=check([str(proof)], key),
        changed=check(["--log", str(changed)], key),
        change=change,
    )


def check(arguments: list[str], key: str) -> Checked:
    """Run the verifier isolated from this environment and its packages."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(VERIFIER), *arguments, "--key", key],
        capture_output=True,
        text=True,
        env={},
        check=False,
    )
    shown = f"python3 -I -S {VERIFIER.relative_to(ROOT)} {' '.join(arguments)} --key {key}"
    return Checked(shown, done.returncode == 0, (done.stdout or done.stderr).strip())


def change_one_digit(log: bytes, record_id: str) -> tuple[bytes, str]:
    """Return an exported log in which one digit of one record is another, and a sentence that says which.

    The stated leaf hash beside the record, where there is one, is left out, as a forger would.
    """
    lines = log.splitlines(keepends=True)
    for index, line in enumerate(lines[1:], start=1):
        entry = json.loads(line)
        record = base64.b64decode(entry.get("r", ""))
        if record_id.encode() not in record:
            continue
        found = _COST.search(record)
        if found is None:
            break
        digit = found.group(1)
        other = b"9" if digit != b"9" else b"1"
        altered = record[: found.start(1)] + other + record[found.end(1) :]
        entry = {"i": entry["i"], "r": base64.b64encode(altered).decode()}
        lines[index] = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        before, after = (int(one + found.group(2)) / 1e9 for one in (digit, other))
        return b"".join(lines), f"in leaf {entry['i']} the payment's cost is {after:.2f} instead of {before:.2f}"
    raise DemoError("the exported log does not hold the payment's record")
