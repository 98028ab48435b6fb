"""`aos audit`: export the organization's log, prove a record's place in it, and check a log on this machine.

Checking trusts nothing of the server: the log is read line by line and its root computed here. The key inside an export
shows only that the file agrees with itself; `--key` gives one that you have from elsewhere.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from rich.console import RenderableType

from aos.cli.client import path_to
from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.output import detail
from aos.cli.session import Session, session_of
from aos.kernel.errors import AosError
from aos.kernel.ledger.checkpoint import Checkpoint, VerifierKey, key_id, parse_verifier_key
from aos.kernel.ledger.proof import PROOF_BYTES_MAX, check_log, check_proof, parse_header_line, parse_proof

group = typer.Typer(help="The log: export, prove, verify.", no_args_is_help=True)

EXPORT_PATH: Final = "/audit/export"

KeyOption = Annotated[str, typer.Option("--key", help="The log's public key, from elsewhere: NAME+ID+BASE64")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write")]


@group.command("export")
def export(context: typer.Context, output: OutputOption = None) -> None:
    """Save the log to a file anybody can check."""
    session = session_of(context)
    path = output or Path("aos-log.jsonl")
    size = _save(session, EXPORT_PATH, path)
    session.out.say(
        {"file": str(path), "bytes": size}, f"{path}: {size:,} bytes; check it with `aos audit verify {path}`"
    )


@group.command("prove")
def prove(
    context: typer.Context,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="A record's id")],
    output: OutputOption = None,
    key: KeyOption = "",
) -> None:
    """Save the proof that a record is in the log.

    It is checked here first.
    """
    session = session_of(context)
    path = output or Path(f"proof-{record}.json")
    _save(session, path_to("audit", "proof", record), path)
    shown = _check_proof_file(session, path, key)
    session.out.emit(shown, lambda: detail(shown, times=session.out.ago))


@group.command("verify")
def verify(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="An export or a proof; without one the log is fetched")] = None,
    key: KeyOption = "",
) -> None:
    """Check the log, or a proof, on this machine.

    Exits with 1 naming the first difference.
    """
    session = session_of(context)
    if file is not None:
        shown = _check_file(session, file, key)
    else:
        shown = _check_fetched(session, key)
    session.out.note(
        "verified: every record is in its place under the signed checkpoint" if file is None else "verified"
    )
    session.out.emit(shown, lambda: _drawn(session, shown))


def _drawn(session: Session, shown: dict[str, object]) -> RenderableType:
    return detail({name: value for name, value in shown.items() if name != "ok"}, times=session.out.ago)


def _check_fetched(session: Session, key: str) -> dict[str, object]:
    """Check the log as the server exports it, kept meanwhile where it goes with this process, however that ends."""
    with tempfile.TemporaryFile() as file:
        try:
            session.client.download(EXPORT_PATH, file)
            file.seek(0)
        except OSError as error:
            kept = f"the log cannot be kept in `{tempfile.gettempdir()}` ({error.strerror or error}): make room, or set TMPDIR"
            raise usage_error(kept) from error
        return _check_log(session, file, key, name="log.jsonl")


def _save(session: Session, path: str, into: Path) -> int:
    """Fetch into a file beside it first, so that a broken download leaves nothing half."""
    part = into.with_name(f".{into.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            size = session.client.download(path, file)
        part.replace(into)
    except OSError as error:
        raise usage_error(f"`{into}` cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return size


def _check_file(session: Session, path: Path, key: str) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            is_proof = b'"aos-proof/' in file.read(4_096)
    except OSError as error:
        raise CliError(
            "Not found", f"`{path}` cannot be read: {error.strerror or error}", ExitStatus.NOT_FOUND
        ) from error
    return _check_proof_file(session, path, key) if is_proof else _check_log_file(session, path, key)


def _check_proof_file(session: Session, path: Path, key: str) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            proof = parse_proof(file.read(PROOF_BYTES_MAX + 1))
        used = parse_verifier_key(key) if key else proof.key
        record = check_proof(proof, used, verify=session.config.verify)
    except AosError as error:
        raise _broken(path.name, error) from error
    return {
        "ok": True,
        "record": str(record.id),
        "kind": record.kind.value,
        "leaf": proof.leaf_index,
        "records": proof.tree_size,
        **_signer(used, key),
        "file": str(path),
    }


def _check_log_file(session: Session, path: Path, key: str) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return _check_log(session, file, key, name=path.name)
    except OSError as error:
        raise CliError(
            "Not found", f"`{path}` cannot be read: {error.strerror or error}", ExitStatus.NOT_FOUND
        ) from error


def _check_log(session: Session, file: BinaryIO, key: str, *, name: str) -> dict[str, object]:
    try:
        header = parse_header_line(file.readline(PROOF_BYTES_MAX))
        used = parse_verifier_key(key) if key else header.key
        file.seek(0)
        checkpoint: Checkpoint = check_log(_lines(file), used, verify=session.config.verify)
    except AosError as error:
        raise _broken(name, error) from error
    return {
        "ok": True,
        "records": checkpoint.size,
        "bytes": os.fstat(file.fileno()).st_size,
        "root": checkpoint.root.hex(),
        "log": checkpoint.origin,
        **_signer(used, key),
    }


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's lines, none longer than a proof may be: a longer one does not read and is refused."""
    while line := file.readline(PROOF_BYTES_MAX):
        yield line


def _signer(used: VerifierKey, given: str) -> dict[str, object]:
    whence = "given with --key" if given else "inside the file: compare it with one that you have from elsewhere"
    return {"signed_by": f"{used.name}+{key_id(used).hex()}", "key": whence}


def _broken(name: str, error: AosError) -> CliError:
    return CliError(error.title, f"`{name}`: {error.detail}", ExitStatus.FAILED)
