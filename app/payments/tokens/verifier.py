"""Verifying tokens by design section 4, rule 12.

The (unverified) `iss` picks the configured issuer and nothing else; that issuer's one algorithm and its own keys verify
the signature, whatever the token's header says; then iss, aud, sub and exp must all be there and right.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry
from pydantic import TypeAdapter, ValidationError

from payments.api_keys.schemas import Caller, KeyEnvironment, Scope, UserId
from payments.clock import Clock
from payments.errors import InvalidInput, Unauthorized
from payments.settings import Settings
from payments.tokens.jwks import KeySource, PublicKey
from payments.web.strict_json import parse

MAXIMUM_LENGTH = 8192
LEEWAY_SECONDS = 30
_user_id: TypeAdapter[str] = TypeAdapter(UserId)
_REFUSED = "The token is not valid: malformed, expired, or not of an issuer, an audience and a key that we accept."


@dataclass(frozen=True, slots=True)
class _Issuer:
    name: str
    audience: str
    algorithm: str
    scopes: frozenset[str]
    user_prefix: str
    secrets: Sequence[OctKey] = ()
    keys: KeySource | None = None

    async def candidates(self, kid: str) -> Sequence[OctKey | PublicKey]:
        """Keys that may have signed: the current and the previous secret, or the issuer's own public key."""
        if self.keys is None:
            return self.secrets
        return await self.keys.find(kid)


def _part(encoded: str) -> dict[str, Any]:
    """A part of a token, read as strictly as a body: with a name twice, two readers could see two tokens."""
    try:
        value = parse(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (InvalidInput, ValueError, binascii.Error):
        raise Unauthorized(_REFUSED) from None
    if not isinstance(value, dict):
        raise Unauthorized(_REFUSED)
    return value


class TokenVerifier:
    """Recognises users by their tokens."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._environment = cast(KeyEnvironment, settings.key_environment)
        self._issuers: dict[str, _Issuer] = {}
        secrets = [secret for secret in (settings.jwt_secret, settings.jwt_secret_previous) if secret is not None]
        if secrets:
            self._issuers[settings.jwt_issuer] = _Issuer(
                settings.jwt_issuer,
                settings.jwt_audience,
                "HS256",
                frozenset({Scope.READ, Scope.WRITE}),
                "",
                secrets=[OctKey.import_key(secret.get_secret_value()) for secret in secrets],
            )
        for one in settings.jwt_issuers:
            source = KeySource(one.jwks_url, one.algorithm, lifetime_seconds=settings.jwks_lifetime_seconds)
            self._issuers[one.issuer] = _Issuer(
                one.issuer, one.audience, one.algorithm, frozenset(one.scopes), one.user_prefix, keys=source
            )

    async def authenticate(self, token: str) -> Caller:
        """The caller that a token names.

        Raises:
            Unauthorized: anything is wrong with it; the sentence does not say what.
            ServiceUnavailable: the issuer's keys cannot be had.
        """
        parts = token.split(".")
        if len(parts) != 3 or len(token) > MAXIMUM_LENGTH or not token.isascii():
            raise Unauthorized(_REFUSED)
        header, unverified = _part(parts[0]), _part(parts[1])
        named, kid = unverified.get("iss"), header.get("kid", "")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        # No extension of JWS is understood here, so none can be critical (RFC 7515, section 4.1.11).
        if issuer is None or not isinstance(kid, str) or "crit" in header:
            raise Unauthorized(_REFUSED)
        claims = self._verified(issuer, token, await issuer.candidates(kid))
        return self._caller(issuer, claims)

    def _verified(self, issuer: _Issuer, token: str, keys: Sequence[OctKey | PublicKey]) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer.name},
            aud={"essential": True, "value": issuer.audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        # An unknown header that is not critical is harmless, and large issuers send some.
        accepted = JWSRegistry(algorithms=[issuer.algorithm], strict_check_header=False)
        for key in keys:
            try:
                read = jwt.decode(token, key, registry=accepted)
                registry.validate(read.claims)
            except (JoseError, ValueError, TypeError, RecursionError):
                continue
            return read.claims
        raise Unauthorized(_REFUSED)

    def _caller(self, issuer: _Issuer, claims: dict[str, Any]) -> Caller:
        try:
            user = _user_id.validate_python(issuer.user_prefix + claims["sub"], strict=True)
        except (ValidationError, TypeError):
            raise Unauthorized("The token's subject cannot be a user id here.") from None
        claimed = claims.get("scope", "read")
        wanted = frozenset(claimed.split()) if isinstance(claimed, str) else frozenset[str]()
        scopes = wanted & issuer.scopes
        if Scope.ADMIN in scopes:
            scopes = frozenset(Scope)
        return Caller(f"token:{issuer.name}:{user}", user, self._environment, scopes)
