"""People, their sessions and their tokens: deployment tables, found before the organization is known."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from aos.store.models.database import AosNow


class Person(AbstractBaseUser):
    """A human being who signs in; Django's user, without Django's permissions."""

    id = models.UUIDField(primary_key=True)
    email = models.TextField(unique=True)
    name = models.TextField()
    password = models.TextField(db_default="!")
    last_login = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        db_table = "person"


class Session(models.Model):
    """A signed-in browser or terminal, known by its token's hash."""

    id = models.UUIDField(primary_key=True)
    person_id = models.UUIDField()
    token_hash = models.BinaryField(unique=True)
    issuer_id = models.UUIDField()
    organization_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "session"


class PersonToken(models.Model):
    """A personal token, or a link that signs in once."""

    id = models.UUIDField(primary_key=True)
    person_id = models.UUIDField()
    kind = models.TextField()
    issuer_id = models.UUIDField()
    label = models.TextField(db_default="")
    token_hash = models.BinaryField(unique=True)
    created_at = models.DateTimeField(db_default=AosNow())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "person_token"
        indexes = [
            models.Index(fields=["person_id"], name="person_token_person"),
        ]
