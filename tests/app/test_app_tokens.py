"""Tokens: one algorithm and one key an issuer, chosen by the settings and never by the token (design 4, rule 12)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from payments.core import Core
from payments.errors import ServiceUnavailable
from payments.tokens.jwks import REFETCH_SECONDS, KeySource
from tests.app.conftest import SECRETS, RedisServer, TestDatabase, client_of, core_for, settings_for
from tests.app.memory_rail import MemoryRail

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})
PREVIOUS = "9f8e7d6c" * 8
ISSUER, AUDIENCE = "https://id.example", "payments"
ROUTE = "/v1/ledger"


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bob", "exp": now + 600, "scope": "read write", **changed}
    return {name: value for name, value in said.items() if value is not None}


def signed(key: Any, algorithm: str, said: dict[str, Any], **header: Any) -> str:
    return jwt.encode({"alg": algorithm, **header}, said, key, algorithms=[algorithm])


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: dict[str, Any], said: dict[str, Any], secret: bytes) -> str:
    """HS256 by hand: a library would refuse a public key as an HMAC secret."""
    text = f"{encoded(header)}.{encoded(said)}"
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def pem() -> bytes:
    return RSA.as_pem(private=False)


class Keys:
    """An issuer's JWKS on loopback."""

    def __init__(self) -> None:
        self.document: Any = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                body = json.dumps(outer.document).encode()
                self.send_response(200 if outer.document else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def keys() -> Iterator[Keys]:
    serving = Keys()
    yield serving
    serving.close()


@pytest.fixture
async def core(database: TestDatabase, redis_server: RedisServer, rail: MemoryRail, keys: Keys) -> AsyncIterator[Core]:
    issuers = [
        {"issuer": ISSUER, "audience": AUDIENCE, "algorithm": "RS256", "jwks_url": keys.url, "user_prefix": "id."},
        {"issuer": "https://ec.example", "audience": AUDIENCE, "algorithm": "ES256", "jwks_url": keys.url},
    ]
    settings = settings_for(
        database,
        redis_server.url,
        jwt_secret_previous=PREVIOUS,
        jwt_issuers=json.dumps(issuers),
        public_rate_limit=10**6,
    )
    made = core_for(settings, rail)
    await made.start()
    yield made
    await made.close()


async def status(core: Core, token: str, **headers: str) -> int:
    async with client_of(core, Authorization=f"Bearer {token}", **headers) as client:
        return (await client.get(ROUTE)).status_code


OWN = {"iss": "railyard-payments"}
SECRET = OctKey.import_key(SECRETS["jwt_secret"])


class TestGoodTokens:
    async def test_each_issuer_is_verified_by_its_own_algorithm(self, core: Core) -> None:
        assert await status(core, signed(SECRET, "HS256", claims(**OWN))) == 200
        assert await status(core, signed(RSA, "RS256", claims(), kid="rsa-1")) == 200
        assert await status(core, signed(EC, "ES256", claims(iss="https://ec.example"), kid="ec-1")) == 200

    async def test_the_previous_secret_verifies_during_rotation(self, core: Core) -> None:
        assert await status(core, signed(OctKey.import_key(PREVIOUS), "HS256", claims(**OWN))) == 200

    async def test_the_subject_is_the_user_under_the_issuers_prefix(self, core: Core) -> None:
        assert core.tokens is not None
        caller = await core.tokens.authenticate(signed(RSA, "RS256", claims(), kid="rsa-1"))
        assert (caller.user_id, caller.environment, caller.key_id) == ("id.bob", "test", None)
        assert caller.actor == f"token:{ISSUER}:id.bob"

    async def test_scopes_are_those_claimed_and_allowed(self, core: Core) -> None:
        assert core.tokens is not None
        said = claims(**OWN, scope="read admin")
        caller = await core.tokens.authenticate(signed(SECRET, "HS256", said))
        assert caller.scopes == {"read"}, "no token of JWT_SECRET makes an administrator"
        async with client_of(core, Authorization="Bearer " + signed(SECRET, "HS256", said)) as client:
            assert (await client.get("/api-keys")).status_code == 403
            answer = await client.post("/api/lightning/create-invoice", json={"amount": 1})
            assert answer.status_code == 403, "write was not claimed"

    async def test_a_user_moves_money_with_a_token(self, core: Core) -> None:
        async with client_of(core, Authorization="Bearer " + signed(SECRET, "HS256", claims(**OWN))) as client:
            answer = await client.post("/api/lightning/create-invoice", json={"amount": 1})
            assert answer.status_code == 200, answer.text


def attacks() -> dict[str, str]:
    """Tokens that must not pass; each is one known attack."""
    now = int(time.time())
    jwk = STRANGER.as_dict(private=False)
    evil = {"jku": "https://evil.example/jwks.json", "x5u": "https://evil.example/x.pem"}
    return {
        "HS256 with the RSA public key (PEM)": forged({"alg": "HS256", "kid": "rsa-1"}, claims(), pem()),
        "HS256 with the RSA modulus": forged(
            {"alg": "HS256", "kid": "rsa-1"}, claims(), str(RSA.as_dict()["n"]).encode()
        ),
        "none": f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
        "none for HS256": f"{encoded({'alg': 'none'})}.{encoded(claims(**OWN))}.",
        "None in capitals": f"{encoded({'alg': 'NONE'})}.{encoded(claims(**OWN))}.",
        "no alg": f"{encoded({})}.{encoded(claims())}.{encoded(b'x')}",
        "empty signature": signed(RSA, "RS256", claims(), kid="rsa-1").rsplit(".", 1)[0] + ".",
        "jwk in the header": signed(STRANGER, "RS256", claims(), jwk=jwk),
        "jwk and its kid": signed(STRANGER, "RS256", claims(), jwk=jwk, kid="rsa-1"),
        "jku and x5u in the header": signed(STRANGER, "RS256", claims(), kid="rsa-1", **evil),
        "kid as a path": forged({"alg": "HS256", "kid": "../../dev/null"}, claims(), b""),
        "another algorithm of the same key": signed(RSA, "RS512", claims(), kid="rsa-1"),
        "RS256 for the issuer of HS256": signed(RSA, "RS256", claims(**OWN), kid="rsa-1"),
        "HS256 for the issuer of RS256": signed(SECRET, "HS256", claims()),
        "one issuer's key for another": signed(RSA, "RS256", claims(iss="https://ec.example"), kid="rsa-1"),
        "unknown issuer": signed(SECRET, "HS256", claims(iss="https://evil.example")),
        "no issuer": signed(SECRET, "HS256", claims(iss=None)),
        "issuers in a list": signed(SECRET, "HS256", claims(iss=["railyard-payments"])),
        "another audience": signed(SECRET, "HS256", claims(**OWN, aud="elsewhere")),
        "no audience": signed(SECRET, "HS256", claims(**OWN, aud=None)),
        "no subject": signed(SECRET, "HS256", claims(**OWN, sub=None)),
        "a subject that is no user id": signed(SECRET, "HS256", claims(**OWN, sub="a:b\n")),
        "a subject that is a number": signed(SECRET, "HS256", claims(**OWN, sub=7)),
        "no expiry": signed(SECRET, "HS256", claims(**OWN, exp=None)),
        "expired": signed(SECRET, "HS256", claims(**OWN, exp=now - 60)),
        "expiry as a word": signed(SECRET, "HS256", claims(**OWN, exp="never")),
        "not yet valid": signed(SECRET, "HS256", claims(**OWN, nbf=now + 600)),
        "a critical extension": forged(
            {"alg": "HS256", "crit": ["b64"], "b64": False}, claims(**OWN), SECRETS["jwt_secret"].encode()
        ),
        "another secret": signed(OctKey.import_key("77" * 32), "HS256", claims(**OWN)),
        "two parts": "e30.e30",
        "not base64": "%.%.%",
        "payload that is no object": forged({"alg": "HS256"}, [1], SECRETS["jwt_secret"].encode()),  # type: ignore[arg-type]
        "too long": "a" * 9000,
        "empty": "",
    }


class TestAttacks:
    async def test_every_one_is_refused(self, core: Core) -> None:
        assert {name: await status(core, token) for name, token in attacks().items()} == dict.fromkeys(attacks(), 401)

    async def test_a_changed_payload_is_refused(self, core: Core) -> None:
        header, _, signature = signed(SECRET, "HS256", claims(**OWN)).split(".")
        assert await status(core, f"{header}.{encoded(claims(**OWN, sub='alice'))}.{signature}") == 401

    async def test_two_credentials_are_refused(self, core: Core) -> None:
        token = signed(SECRET, "HS256", claims(**OWN))
        assert await status(core, token, **{"x-api-key": SECRETS["bootstrap_admin_key"]}) == 401

    async def test_a_cookie_is_no_credential(self, core: Core) -> None:
        token = signed(SECRET, "HS256", claims(**OWN))
        async with client_of(core, cookie=f"__Host-session={token}; token={token}; x-api-key={token}") as client:
            answer = await client.get(ROUTE)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_the_refusal_does_not_repeat_the_token(self, core: Core, capsys: pytest.CaptureFixture[str]) -> None:
        token = signed(OctKey.import_key("77" * 32), "HS256", claims(**OWN))
        async with client_of(core, Authorization=f"Bearer {token}") as client:
            assert token not in (await client.get(ROUTE)).text
        assert token not in capsys.readouterr().out


class TestKeySource:
    async def test_keys_are_fetched_once_and_again_for_a_new_kid_only_now_and_then(self, keys: Keys) -> None:
        now = 1000.0
        source = KeySource(keys.url, "RS256", lifetime_seconds=300, now=lambda: now)
        assert await source.find("rsa-1")
        for number in range(20):
            assert await source.find(f"made-up-{number}") == []
        assert keys.asked == 1, "made-up kids must not make us ask the issuer each time"
        fresh = RSAKey.generate_key(2048, {"kid": "rsa-2"})
        keys.document = {"keys": [fresh.as_dict(private=False)]}
        now += REFETCH_SECONDS + 1
        assert await source.find("rsa-2")
        assert keys.asked == 2
        assert await source.find("rsa-1") == [], "a key that the issuer withdrew is not believed"

    async def test_an_issuer_that_is_down_is_believed_for_a_while(self, keys: Keys) -> None:
        now = 1000.0
        source = KeySource(keys.url, "RS256", lifetime_seconds=300, now=lambda: now)
        assert await source.find("rsa-1")
        keys.document = None
        now += 400
        assert await source.find("rsa-1")
        now += 400
        with pytest.raises(ServiceUnavailable):
            await source.find("rsa-1")

    @pytest.mark.filterwarnings("ignore:Key size should be")
    async def test_weak_and_foreign_keys_are_left_out(self, keys: Keys) -> None:
        weak = RSAKey.generate_key(1024, {"kid": "weak"}).as_dict(private=False)
        secret = {"kty": "oct", "k": encoded(b"s" * 32), "kid": "oct"}
        for_encryption = {**RSA.as_dict(private=False), "kid": "enc", "use": "enc"}
        keys.document = {"keys": [weak, secret, for_encryption, {"kty": "RSA"}, 7, EC.as_dict(private=False)]}
        source = KeySource(keys.url, "RS256", lifetime_seconds=300)
        with pytest.raises(ServiceUnavailable):
            await source.find("weak")


async def test_the_issuers_outage_is_a_503_and_no_401(
    database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
) -> None:
    issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "algorithm": "RS256", "jwks_url": "http://127.0.0.1:1/jwks"}]
    core = core_for(settings_for(database, redis_server.url, jwt_issuers=json.dumps(issuers)), rail)
    await core.start()
    assert await status(core, signed(RSA, "RS256", claims(), kid="rsa-1")) == 503
    await core.close()
