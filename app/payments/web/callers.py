"""Who sends a request and whether it may: limits by address, authentication, scopes, limits by key and user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from payments.api_keys.schemas import Caller, Scope
from payments.core import Core
from payments.errors import Forbidden, Unauthorized
from payments.limits.client_address import client_address, limited_as
from payments.limits.limiter import Limit, WithoutRedis
from payments.switches.schemas import MAINTENANCE

_api_key = APIKeyHeader(name="x-api-key", auto_error=False, description="An API key: sk_test_... or sk_live_...")

_token = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="A user's token, of one of the configured issuers."
)


def core_of(request: Request) -> Core:
    """The running core."""
    core: Core = request.app.state.core
    return core


def address_of(request: Request) -> str:
    """The client's address as trusted proxies report it."""
    settings = core_of(request).settings
    return client_address(
        request.client.host if request.client else "unknown",
        request.headers.getlist("x-forwarded-for"),
        trusted_proxies=settings.trusted_proxies,
        trusted_hops=settings.trusted_hops,
    )


async def _authenticated(core: Core, key: str | None, authorization: str | None) -> Caller:
    """The caller of an API key or of a token. Cookies are nobody's credential here.

    Raises:
        Unauthorized: none, two, or one that is not valid.
    """
    if key and authorization:
        raise Unauthorized("Two credentials were sent: send x-api-key or Authorization, not both.")
    if key:
        assert core.key_ring is not None
        return await core.key_ring.authenticate(key)
    scheme, _, token = (authorization or "").partition(" ")
    if not token or scheme.lower() != "bearer" or core.tokens is None:
        raise Unauthorized(
            "Credentials are missing: send an API key in the header x-api-key, or Authorization: Bearer and a token.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return await core.tokens.authenticate(token.strip())


@dataclass(frozen=True, slots=True)
class Admission:
    """What a route demands of its callers.

    Attributes:
        scope: the permission it takes.
        moves_money: the key's environment must be the network's: no test key on mainnet.
        address_scope: name of the limit by address; `create_invoice` has one of its own.
        key_scope: name of the limit by key; `verify` has one of its own.
        limits_user: also limit what all keys of the user do together, as payouts do.
        without_redis: whether it may go on while Redis is down.
    """

    scope: Scope
    moves_money: bool = False
    address_scope: str = "ip"
    key_scope: str = "key"
    limits_user: bool = False
    without_redis: WithoutRedis = WithoutRedis.OPEN

    async def __call__(
        self,
        request: Request,
        response: Response,
        key: Annotated[str | None, Security(_api_key)],
        token: Annotated[HTTPAuthorizationCredentials | None, Security(_token)],
    ) -> Caller:
        """As a dependency of FastAPI's; `key` and `token` are there for the documentation. The route has admitted the
        caller before it read the body (`StrictRoute`)."""
        caller: Caller = request.state.admitted
        response.headers.update(getattr(request.state, "rate_limit_headers", {}))
        return caller

    async def admit(self, request: Request) -> Caller:
        """Let the caller in.

        Raises:
            RateLimited, ServiceUnavailable, Unauthorized, Forbidden: in this order of checking.
        """
        core = core_of(request)
        key, authorization = request.headers.get("x-api-key"), request.headers.get("authorization")
        assert core.key_ring is not None
        known = core.key_ring.recognised(key) if key and not authorization else None
        if not (key and core.key_ring.lifts_limits(key)):
            await core.limiter.take([self._by_address(core, address_of(request))], self.without_redis)
        caller = known or await _authenticated(core, key, authorization)
        if not caller.unlimited:
            allowance = await core.limiter.take(self._by_caller(core, caller), self.without_redis)
            request.state.rate_limit_headers = allowance.headers()
        if request.method != "GET" and self.scope is not Scope.ADMIN:
            await core.switches.refuse_if_stopped(MAINTENANCE)
        if self.scope not in caller.scopes:
            raise Forbidden(f"This key lacks the permission '{self.scope}'.")
        if self.moves_money and caller.environment != core.settings.key_environment:
            raise Forbidden(
                f"A {caller.environment} key cannot move money on {core.settings.network}: use a "
                f"{core.settings.key_environment} key."
            )
        return caller

    def _by_address(self, core: Core, address: str) -> Limit:
        settings = core.settings
        if self.address_scope == "create_invoice":
            ceiling = settings.create_invoice_rate_limit + settings.create_invoice_burst
        else:
            ceiling = settings.public_rate_limit
        return Limit(self.address_scope, limited_as(address), ceiling)

    def _by_caller(self, core: Core, caller: Caller) -> list[Limit]:
        settings = core.settings
        ceiling = settings.verify_rate_limit if self.key_scope == "verify" else settings.auth_rate_limit
        limits = [Limit(self.key_scope, caller.id, ceiling)]
        if self.limits_user:
            subject = f"{caller.environment}:{caller.user_id}"
            limits.append(Limit("user", subject, settings.user_payment_rate_limit))
        return limits


async def limit_public(request: Request) -> None:
    """The limit by address for routes that need no key."""
    core = core_of(request)
    await core.limiter.take(
        [Limit("ip", limited_as(address_of(request)), core.settings.public_rate_limit)], WithoutRedis.OPEN
    )


Public = Depends(limit_public)
Reader = Annotated[Caller, Depends(Admission(Scope.READ))]
Writer = Annotated[Caller, Depends(Admission(Scope.WRITE))]
InvoiceWriter = Annotated[Caller, Depends(Admission(Scope.WRITE, moves_money=True, address_scope="create_invoice"))]
Verifier = Annotated[Caller, Depends(Admission(Scope.READ, key_scope="verify"))]
Settler = Annotated[Caller, Depends(Admission(Scope.WRITE, moves_money=True, key_scope="verify"))]
Payer = Annotated[
    Caller,
    Depends(Admission(Scope.WRITE, moves_money=True, limits_user=True, without_redis=WithoutRedis.CLOSED)),
]
Admin = Annotated[Caller, Depends(Admission(Scope.ADMIN))]
KeyMaker = Annotated[Caller, Depends(Admission(Scope.ADMIN, without_redis=WithoutRedis.CLOSED))]
