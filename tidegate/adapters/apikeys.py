"""Keys of those who may ask the gateway: made here, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.schema import api_keys
from tidegate.errors import UsageError

Role = Literal["predict", "label", "read", "admin"]
ROLES: dict[str, tuple[str, ...]] = {
    "predict": ("predict",),
    "label": ("label",),
    "read": ("read",),
    "admin": ("predict", "label", "read"),
}
"""What each role may do: ask for predictions, send labels, read metrics and plans."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is kept: never the key itself."""

    name: str
    role: str
    digest: str
    known_at: datetime
    ended_by: str | None
    ended_at: datetime | None


class ApiKeys:
    """The keys of one namespace; one that was revoked keeps its row."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def add(self, name: str, role: Role, *, owner: str, at: datetime) -> str:
        """A new key of 256 random bits; it can be read here and nowhere else again."""
        if role not in ROLES:
            raise UsageError("role of a key", f"one of {', '.join(ROLES)}", repr(role))
        if any(k.name == name for k in self.running()):
            raise UsageError("name of a key", "one that no running key has", repr(name), f"tidegate keys revoke {name}")
        key = f"tg_{secrets.token_urlsafe(32)}"
        with self.control.write(durable=True) as c:
            c.execute(insert(api_keys).values(namespace=self.namespace, owner=owner, name=name, role=role,
                                              digest=digest_of(key), known_at=at))  # fmt: skip
        return key

    def revoke(self, name: str, *, by: str, at: datetime) -> None:
        """End a key; raises `UsageError` if no running key has the name."""
        k = api_keys.c
        running = (k.namespace == self.namespace) & (k.name == name) & k.ended_at.is_(None)
        with self.control.write(durable=True) as c:
            if not c.execute(update(api_keys).where(running).values(ended_by=by, ended_at=at)).rowcount:
                raise UsageError(f"key {name}", "a running key", "none of that name", "look at tidegate keys list")

    def all(self) -> list[ApiKey]:
        """Every key that ever was, oldest first."""
        with self.control.read() as c:
            rows = c.execute(select(api_keys).where(api_keys.c.namespace == self.namespace).order_by(api_keys.c.id))
            return [_key(r) for r in rows]

    def running(self) -> list[ApiKey]:
        """The keys that are valid now."""
        return [k for k in self.all() if k.ended_at is None]


def digest_of(key: str) -> str:
    """What is kept of a key. It has 256 random bits, so one round of SHA-256 is enough: there is nothing to guess."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(row.name, row.role, row.digest, row.known_at, row.ended_by, row.ended_at)


__all__ = ["ROLES", "ApiKey", "ApiKeys", "Role", "digest_of"]
