"""`aos agents token`: an access token for whoever holds an agent's private key; `aos signing-keys`: what signs such tokens."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated, Final

import typer
from rich.text import Text

from aos.cli.failures import usage_error
from aos.cli.output import clean
from aos.cli.registry import Collection
from aos.cli.session import session_of

SIGNING_KEYS: Final = Collection(
    "/signing-keys", "signing-key", ("purpose", "state", "id", "created_at", "retired_at"), shown=False
)
METADATA: Final = "/.well-known/oauth-authorization-server"
TOKEN_PATH: Final = "/oauth/token"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 60
KEY_BYTES_MAX: Final = 65_536

signing_keys = typer.Typer(help="What signs an organization's tokens and checkpoints.", no_args_is_help=True)


def token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME|ID", help="The agent's name or id")],
    key: Annotated[
        str,
        typer.Option(
            "--key", metavar="FILE", help="Its private key: the JWK or the answer that AOS gave, or PEM; - reads it"
        ),
    ],
) -> None:
    """Print an access token for an agent, good for some minutes.

    Signs an assertion with the agent's private key, which stays here: TOKEN=$(aos agents token NAME --key FILE).
    """
    session = session_of(context)
    text = _read(key)
    metadata = session.client.get(METADATA)
    now = int(session.config.now().timestamp())
    claims = {"iss": name, "sub": name, "aud": str(metadata.get("issuer")), "jti": secrets.token_urlsafe(18)}
    try:
        if session.config.sign is None:
            raise ValueError("this command line was started without what signs")
        assertion = session.config.sign(text, {**claims, "iat": now, "exp": now + ASSERTION_SECONDS})
    except ValueError as error:
        raise usage_error(f"`{key}` holds no private Ed25519 key: {error}") from error
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    answer = session.client.post_form(TOKEN_PATH, form)
    session.out.emit(answer, lambda: _whole(answer.get("access_token")))


def _whole(token: object) -> Text:
    return Text(clean(token), no_wrap=True, overflow="ignore")


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(KEY_BYTES_MAX)
        with open(file, encoding="utf-8") as opened:
            return opened.read(KEY_BYTES_MAX)
    except (OSError, UnicodeDecodeError) as error:
        raise usage_error(f"`{file}` cannot be read: {error}") from error


@signing_keys.command("rotate")
def rotate(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """Sign access tokens with the next key from now on.

    Tokens given before count until they expire. It needs the permission key.rotate.
    """
    session = session_of(context)
    session.out.require_yes("Rotate the key that signs access tokens?", yes=yes)
    answer = session.client.post("/signing-keys/rotate")
    session.out.say(answer, f"access tokens are signed with the key {answer.get('id')} now")
