"""Rules of API keys: how one is made, recognised and revoked."""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

from payments import metrics
from payments.api_keys import repository
from payments.api_keys.schemas import ApiKeyView, Caller, CreatedApiKey, KeyEnvironment, NewApiKey, Scope
from payments.clock import Clock, iso
from payments.database import Row
from payments.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from payments.idempotency import repository as idempotency
from payments.idempotency.schemas import Answer, ClaimOutcome, IdempotencyKey
from payments.idempotency.service import settle_claim
from payments.settings import AppEnv, Settings

if TYPE_CHECKING:
    from payments.core import Core
    from payments.database import Database

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_BYTES = 32
SHOWN_CHARACTERS = 12
# A revoked key stops working everywhere within this time.
CACHE_SECONDS = 2.0
CACHED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class _Cached:
    caller: Caller
    expires_at: datetime | None
    stale_at: float


class KeyRing:
    """Recognises credentials, with a short memory of those it has seen.

    Args:
        peppers: the current one first, then the one before while it is rotated.
    """

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        assert settings.api_key_pepper is not None
        previous = settings.api_key_pepper_previous
        self._peppers = [settings.api_key_pepper.get_secret_value().encode()]
        self._peppers += [previous.get_secret_value().encode()] if previous else []
        bootstrap = settings.bootstrap_admin_key
        self._bootstrap = bootstrap.get_secret_value().encode() if bootstrap else None
        self._environment = cast(KeyEnvironment, settings.key_environment)
        self._allows_demo_keys = settings.app_env is AppEnv.LOCAL
        self._database = database
        self._clock = clock
        self._seen: dict[bytes, _Cached] = {}
        self._used: set[UUID] = set()

    def digest(self, key: str) -> bytes:
        """HMAC-SHA256 of a key with the current pepper: what is stored."""
        return hmac.digest(self._peppers[0], key.encode(), "sha256")

    def recognised(self, key: str) -> Caller | None:
        """The caller of `key` if it is in memory, without asking the database."""
        cached = self._seen.get(self.digest(key))
        if cached is None or cached.stale_at < time.monotonic():
            return None
        if cached.expires_at is not None and cached.expires_at <= self._clock.now():
            return None
        return cached.caller

    def lifts_limits(self, key: str) -> bool:
        """Whether `key` had no limits when it was last looked up, a minute ago at most. While it is looked up again
        its requests do not use up the limit of their address: that would lock it out."""
        cached = self._seen.get(self.digest(key))
        return cached is not None and cached.caller.unlimited and time.monotonic() < cached.stale_at + 60

    async def authenticate(self, key: str) -> Caller:
        """The caller of `key`.

        Raises:
            Unauthorized: unknown, revoked or expired; the sentence does not say which.
        """
        caller = self.recognised(key)
        metrics.CACHE_REQUESTS.labels("api_keys", "hit" if caller else "miss").inc()
        if caller is None:
            caller = await self._look_up(key)
        if caller.key_id is not None:
            self._used.add(caller.key_id)
        return caller

    async def _look_up(self, key: str) -> Caller:
        if self._bootstrap is not None and hmac.compare_digest(key.encode(), self._bootstrap):
            return Caller("bootstrap", "bootstrap", self._environment, frozenset(Scope))
        digests = [hmac.digest(pepper, key.encode(), "sha256") for pepper in self._peppers]
        row = await repository.find(self._database, digests)
        expired = row is not None and row["expires_at"] is not None and row["expires_at"] <= self._clock.now()
        # A key without limits belongs to a demonstration: a database copied from a local stack must not open this one.
        demo = row is not None and row["unlimited"] and not self._allows_demo_keys
        if row is None or row["revoked"] or expired or demo:
            self._seen.pop(digests[0], None)
            raise Unauthorized("The API key is not valid: unknown, revoked or expired.")
        scopes = frozenset(Scope) if Scope.ADMIN in row["permissions"] else frozenset(row["permissions"])
        # Administrators decide over money of everybody, make live keys and throw switches: with a key of this network.
        if row["environment"] != self._environment:
            scopes -= {Scope.ADMIN}
        caller = Caller(str(row["id"]), row["user_id"], row["environment"], scopes, row["unlimited"])
        if len(self._seen) >= CACHED_KEYS:
            self._seen.clear()
        self._seen[digests[0]] = _Cached(caller, row["expires_at"], time.monotonic() + CACHE_SECONDS)
        return caller

    def forget(self) -> None:
        """Forget every key, after one was revoked in this process."""
        self._seen.clear()

    async def flush_uses(self) -> None:
        """Write when the keys seen since the last flush were used."""
        used, self._used = self._used, set()
        if used:
            await repository.mark_used(self._database, sorted(used), self._clock.now())


def new_secret(environment: str, clock: Clock) -> str:
    """A new key: sk_<environment>_ and 256 random bits in base 62."""
    number = int.from_bytes(clock.random_bytes(SECRET_BYTES), "big")
    letters: list[str] = []
    while len(letters) < 43:
        number, rest = divmod(number, 62)
        letters.append(_ALPHABET[rest])
    return f"sk_{environment}_{''.join(letters)}"


def _view(row: Row) -> ApiKeyView:
    return ApiKeyView(
        id=row["id"],
        prefix=row["prefix"],
        name=row["name"],
        userId=row["user_id"],
        environment=row["environment"],
        permissions=row["permissions"],
        unlimited=row["unlimited"],
        createdAt=iso(row["created_at"]),
        expiresAt=iso(row["expires_at"]) if row["expires_at"] else None,
        revoked=row["revoked"],
        lastUsedAt=iso(row["last_used_at"]) if row["last_used_at"] else None,
    )


def _check(core: Core, new: NewApiKey) -> None:
    if new.unlimited and core.settings.app_env is not AppEnv.LOCAL:
        raise Forbidden("Unlimited keys are made on local stacks only.")
    if new.environment == "live" and core.settings.key_environment != "live":
        raise InvalidInput(
            f"Live keys are made on mainnet only, and this is {core.settings.network}: ask for environment 'test'."
        )
    if "admin" in new.permissions and new.environment != core.settings.key_environment:
        raise InvalidInput(
            f"Administrators of {core.settings.network} have {core.settings.key_environment} keys: a {new.environment} "
            "key may read and write."
        )
    if new.expiresAt is not None and (new.expiresAt.tzinfo is None or new.expiresAt <= core.clock.now()):
        raise InvalidInput("expiresAt must be in the future and name its time zone.")


async def create(core: Core, caller: Caller, new: NewApiKey, key: IdempotencyKey) -> CreatedApiKey:
    """Make a key; its secret is in the result and nowhere else.

    Raises:
        Forbidden, InvalidInput: the rules of environments and unlimited keys.
        Conflict: this Idempotency-Key has made a key already. The secret is not shown a second time.
    """
    _check(core, new)
    assert core.key_ring is not None
    key_id = core.clock.new_id()
    if key.key is not None:
        claim = await settle_claim(lambda: idempotency.claim(core.database, key, key_id, core.settings.lease_seconds))
        if claim.outcome is ClaimOutcome.REPLAY:
            raise Conflict(
                f"This Idempotency-Key has made the API key {claim.subject_id}; its secret was shown once. Revoke that "
                "key and send a new Idempotency-Key to make another.",
                details={"id": str(claim.subject_id)},
            )
        key_id = claim.subject_id
    secret = new_secret(new.environment, core.clock)
    now = core.clock.now()
    permissions: Sequence[str] = sorted(set(new.permissions), key=["read", "write", "admin"].index)
    async with core.database.transaction() as connection:
        await repository.insert(
            connection,
            key_id=key_id,
            digest=core.key_ring.digest(secret),
            pepper_version=core.settings.api_key_pepper_version,
            prefix=secret[:SHOWN_CHARACTERS],
            name=new.name,
            user_id=new.userId,
            environment=new.environment,
            permissions=permissions,
            unlimited=new.unlimited,
            expires_at=new.expiresAt,
            created_at=now,
            actor=caller.actor,
        )
        # The stored answer marks the key as used; it does not hold the secret.
        stored = Answer.of(201, {"id": str(key_id)})
        if key.key is not None and not await idempotency.complete_within(connection, key, stored):
            raise Conflict("Another request with this Idempotency-Key was faster: list the API keys.")
    return CreatedApiKey(
        id=key_id,
        key=secret,
        prefix=secret[:SHOWN_CHARACTERS],
        name=new.name,
        userId=new.userId,
        environment=new.environment,
        permissions=list(permissions),
        unlimited=new.unlimited,
        createdAt=iso(now),
        expiresAt=iso(new.expiresAt) if new.expiresAt else None,
    )


async def listed(core: Core, caller: Caller) -> list[ApiKeyView]:
    """The keys of the caller's user; of everybody for the bootstrap credential."""
    user = None if caller.id == "bootstrap" else caller.user_id
    rows = await repository.of_user(core.database, user, caller.environment, 200)
    return [_view(row) for row in rows]


async def revoke(core: Core, caller: Caller, key_id: UUID) -> ApiKeyView:
    """Revoke a key for good.

    Raises:
        NotFound: there is none with this id.
    """
    row = await repository.revoke(core.database, key_id, caller.actor)
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    assert core.key_ring is not None
    core.key_ring.forget()
    return _view(row)
