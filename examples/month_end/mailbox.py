"""The mailbox: vendors' messages as they lie in a folder, and letters that go out.

What a message says is written by strangers: these functions hand it on word for word and judge nothing.
"""

import hashlib
import os
import re
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from examples.month_end.folder import INBOX_FOLDER, OUTBOX_FOLDER, CompanyError, folder, of_company

MESSAGES_PER_ANSWER_MAX = 100
_MESSAGE = re.compile(r"M-[0-9]{4}")
_ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")


@of_company
def list_messages(*, about: str | None = None) -> dict[str, Any]:
    """List the inbox by number, at most 100 messages; `about` keeps those whose sender, subject or text contains it."""
    found = []
    for path in sorted((folder() / INBOX_FOLDER).glob("*.eml")):
        message = _read(path)
        words = f"{message['from']}\n{message['subject']}\n{message['text']}".casefold()
        if about is None or about.casefold() in words:
            found.append({key: message[key] for key in ("message", "from", "subject", "sent_at")})
    return {"messages": found[:MESSAGES_PER_ANSWER_MAX]}


@of_company
def read_message(*, message: str) -> dict[str, Any]:
    """Return a message: its headers and its plain text.

    Raises CompanyError when there is none of that number.
    """
    path = folder() / INBOX_FOLDER / f"{message}.eml"
    if not _MESSAGE.fullmatch(message) or not path.is_file():
        raise CompanyError(f"there is no message `{message}`")
    return _read(path)


@of_company
def send_message(*, to: str, subject: str, text: str, idempotency_key: str) -> dict[str, Any]:
    """Put a letter in the outbox under its key; the same key with the same letter sends nothing more.

    Raises CompanyError for a bad address or subject, and for a key that stands for another letter.
    """
    if not _ADDRESS.fullmatch(to):
        raise CompanyError(f"`{to}` is no mail address")
    if not subject or not subject.isprintable():
        raise CompanyError("a subject is one line of printable text")
    letter = EmailMessage(policy=policy.SMTP)
    letter["From"], letter["To"], letter["Subject"] = "accounts-payable@larkspur.example", to, subject
    letter["Message-ID"] = f"<{hashlib.sha256(idempotency_key.encode()).hexdigest()[:24]}@larkspur.example>"
    letter.set_content(text)
    outbox = folder() / OUTBOX_FOLDER
    outbox.mkdir(exist_ok=True)
    path = outbox / f"{hashlib.sha256(idempotency_key.encode()).hexdigest()[:24]}.eml"
    repeated = not _place(path, letter.as_bytes())
    return {"message": path.stem, "to": to, "subject": subject, "repeated": repeated}


def _place(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all and say whether it is new; a link is atomic and fails if the name is taken."""
    with NamedTemporaryFile(dir=path.parent, suffix=".draft", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft = Path(file.name)
    try:
        os.link(draft, path)
    except FileExistsError:
        if path.read_bytes() != content:
            raise CompanyError("the idempotency key stands for another letter") from None
        return False
    finally:
        draft.unlink()
        _sync_folder(path.parent)
    return True


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> dict[str, Any]:
    message = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    body = message.get_body(preferencelist=("plain", "html"))
    return {
        "message": path.stem,
        "from": str(message["From"]),
        "to": str(message["To"]),
        "subject": str(message["Subject"]),
        "sent_at": message["Date"].datetime.isoformat(),
        "text": body.get_content().strip() if body is not None else "",
    }
