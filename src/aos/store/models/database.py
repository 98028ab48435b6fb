"""What the models need that Django has not: defaults that the database computes, and the type of transaction ids."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.deconstruct import deconstructible


@deconstructible(path="aos.store.models.database.AosNow")
class AosNow(models.Func):
    """The database's clock, the only one that rows are dated by."""

    function = "aos_now"
    arity = 0
    output_field = models.DateTimeField()


@deconstructible(path="aos.store.models.database.CurrentTransaction")
class CurrentTransaction(models.Func):
    """The 64-bit id of the writing transaction."""

    function = "pg_current_xact_id"
    arity = 0


class TransactionIdField(models.BigIntegerField):
    """A column of type xid8: a 64-bit number that never wraps."""

    def db_type(self, connection: Any) -> str:
        """Return the column's type."""
        return "xid8"
