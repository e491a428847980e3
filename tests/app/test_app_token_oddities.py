"""Tokens and key sets that are well signed and still not what they should be, and issuers that misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from payments.core import Core
from payments.errors import ServiceUnavailable
from payments.tokens.jwks import MAXIMUM_BYTES, REFETCH_SECONDS, KeySource
from tests.app.conftest import SECRETS, RedisServer, TestDatabase, core_for, settings_for
from tests.app.memory_rail import MemoryRail
from tests.app.test_app_tokens import (
    AUDIENCE,
    EC,
    ISSUER,
    OWN,
    RSA,
    SECRET,
    Keys,
    claims,
    encoded,
    forged,
    signed,
    status,
)

OF_EC = {"iss": "https://ec.example"}
HS256 = b'{"alg":"HS256"}'


def by_hand(header: bytes, payload: bytes, secret: bytes = SECRETS["jwt_secret"].encode()) -> str:
    """HS256 over bytes that no library would write."""
    return forged(header, payload, secret)  # type: ignore[arg-type]


def own(**changed: object) -> bytes:
    return json.dumps(claims(**OWN, **changed)).encode()


def and_also(payload: bytes, member: str) -> bytes:
    return payload[:-1] + b"," + member.encode() + b"}"


def with_expiry(written: str) -> bytes:
    return and_also(own(exp=None), f'"exp":{written}')


def of_another_curve() -> str:
    """Signed with P-384 under the name of the issuer's P-256 key, and then called ES256."""
    stranger = ECKey.generate_key("P-384", {"kid": "ec-1"})
    _, payload, signature = jwt.encode(
        {"alg": "ES384", "kid": "ec-1"}, claims(**OF_EC), stranger, algorithms=["ES384"]
    ).split(".")
    return f"{encoded({'alg': 'ES256', 'kid': 'ec-1'})}.{payload}.{signature}"


def oddities() -> dict[str, str]:
    der = RSA.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pkcs1 = RSA.public_key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    confused = json.dumps({"alg": "HS256", "kid": "rsa-1"}).encode()
    now = int(time.time())
    deep = "[" * 1000 + "]" * 1000
    unsigned = signed(EC, "ES256", claims(**OF_EC), kid="ec-1").rsplit(".", 1)[0]
    return {
        "HS256 with the RSA public key (DER)": by_hand(confused, json.dumps(claims()).encode(), der),
        "HS256 with the RSA public key (PKCS 1)": by_hand(confused, json.dumps(claims()).encode(), pkcs1),
        "another curve": of_another_curve(),
        "a signature of zeros": f"{unsigned}.{encoded(bytes(64))}",
        "a signature of three bytes": f"{unsigned}.{encoded(bytes(3))}",
        "kid as SQL": by_hand(b'{"alg":"RS256","kid":"\' OR 1=1--"}', json.dumps(claims()).encode()),
        "kid as a path": signed(RSA, "RS256", claims(), kid="../../../dev/null"),
        "the algorithm in small letters": by_hand(b'{"alg":"hs256"}', own()),
        "the algorithm twice": by_hand(b'{"alg":"none","alg":"HS256"}', own()),
        "algorithms in a list": by_hand(b'{"alg":["HS256"]}', own()),
        "the issuer twice": by_hand(HS256, b'{"iss":"https://ec.example",' + own()[1:]),
        "the subject twice": by_hand(HS256, and_also(own(), '"sub":"admin"')),
        "an expiry of the past and one of the future": by_hand(HS256, b'{"exp":1,' + own()[1:]),
        "a payload nested deeply": by_hand(HS256, and_also(own(), f'"x":{deep}')),
        "a header nested deeply": by_hand(b'{"alg":"HS256","x":' + deep.encode() + b"}", own()),
        "nothing that is critical": by_hand(b'{"alg":"HS256","crit":[]}', own()),
        "a critical alg": by_hand(b'{"alg":"HS256","crit":["alg"]}', own()),
        "critical as a word": by_hand(b'{"alg":"HS256","crit":"b64"}', own()),
        "b64 that is not critical": by_hand(b'{"alg":"HS256","b64":false}', own()),
        "expiry as a text of digits": by_hand(HS256, own(exp=str(now + 600))),
        "expiry below zero": by_hand(HS256, own(exp=-1)),
        "expiry NaN": by_hand(HS256, with_expiry("NaN")),
        "expiry Infinity": by_hand(HS256, with_expiry("Infinity")),
        "expiry 1e400": by_hand(HS256, with_expiry("1e400")),
        "expiry of 4,500 digits": by_hand(HS256, with_expiry("9" * 4500)),
        "expiry true": by_hand(HS256, own(exp=True)),
        "expiry in a list": by_hand(HS256, own(exp=[now + 600])),
        "not before as a word": by_hand(HS256, own(nbf="x")),
        "audiences without ours": by_hand(HS256, own(aud=["a", "b"])),
        "no audience in the list": by_hand(HS256, own(aud=[])),
        "an audience as an object": by_hand(HS256, own(aud={"payments": 1})),
        "bytes before the payload": by_hand(HS256, b"\xef\xbb\xbf" + own()),
        "UTF-16": by_hand(HS256, own().decode().encode("utf-16")),
        "no UTF-8": by_hand(HS256, own()[:-1] + b',"x":"\xff"}'),
        "padding": by_hand(HS256, own()) + "=",
        "a line within": by_hand(HS256, own()).replace(".", ".\n", 1),
        "four parts": by_hand(HS256, own()) + ".x",
        "five parts": "a.b.c.d.e",
    }


@pytest.fixture
def keys() -> Iterator[Keys]:
    serving = Keys()
    yield serving
    serving.close()


@pytest.fixture
async def core(database: TestDatabase, redis_server: RedisServer, rail: MemoryRail, keys: Keys) -> AsyncIterator[Core]:
    issuers = [
        {"issuer": ISSUER, "audience": AUDIENCE, "algorithm": "RS256", "jwks_url": keys.url},
        {"issuer": OF_EC["iss"], "audience": AUDIENCE, "algorithm": "ES256", "jwks_url": keys.url},
    ]
    made = core_for(
        settings_for(database, redis_server.url, jwt_issuers=json.dumps(issuers), public_rate_limit=10**6), rail
    )
    await made.start()
    yield made
    await made.close()


async def test_every_oddity_is_a_401(core: Core) -> None:
    assert await status(core, by_hand(HS256, own())) == 200, "what is odd about them is the only thing that is wrong"
    assert {name: await status(core, token) for name, token in oddities().items()} == dict.fromkeys(oddities(), 401)


async def test_a_token_for_several_audiences_is_for_us_too(core: Core) -> None:
    assert await status(core, signed(SECRET, "HS256", claims(**OWN, aud=["elsewhere", AUDIENCE]))) == 200


async def test_an_expiry_with_a_fraction_is_one(core: Core) -> None:
    assert await status(core, by_hand(HS256, own(exp=time.time() + 600.5))) == 200


@pytest.mark.parametrize("turn", [1, -1], ids=["ours first", "ours last"])
async def test_two_keys_of_one_kid_are_both_tried(core: Core, keys: Keys, turn: int) -> None:
    twin = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    keys.document = {"keys": [RSA.as_dict(private=False), twin.as_dict(private=False)][::turn]}
    assert await status(core, signed(RSA, "RS256", claims(), kid="rsa-1")) == 200
    assert await status(core, signed(twin, "RS256", claims(), kid="rsa-1")) == 200


class Misbehaving:
    """An issuer whose answer is written by `answer`, on loopback."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                try:
                    answer(self)
                except OSError:
                    self.close_connection = True  # the other side has had enough

            def log_message(self, *_arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def misbehaving() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], Misbehaving]]:
    made: list[Misbehaving] = []

    def make(answer: Callable[[BaseHTTPRequestHandler], None]) -> Misbehaving:
        made.append(Misbehaving(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def the_set() -> bytes:
    return json.dumps({"keys": [RSA.as_dict(private=False)]}).encode()


class TestIssuersThatMisbehave:
    Make = Callable[[Callable[[BaseHTTPRequestHandler], None]], Misbehaving]

    async def test_a_set_that_comes_in_pieces_is_read_whole(self, misbehaving: Make) -> None:
        between = threading.Event()

        def pieces(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(the_set())))
            handler.end_headers()
            handler.wfile.write(the_set()[:100])
            handler.wfile.flush()
            between.wait(0.3)
            handler.wfile.write(the_set()[100:])

        source = KeySource(misbehaving(pieces).url, "RS256", lifetime_seconds=300)
        assert len(await source.find("rsa-1")) == 1

    async def test_an_endless_set_is_left_at_the_limit(self, misbehaving: Make) -> None:
        sent = 0

        def endless(handler: BaseHTTPRequestHandler) -> None:
            nonlocal sent
            handler.send_response(200)
            handler.send_header("Content-Length", str(10**9))
            handler.end_headers()
            while sent < 10**9:
                sent += handler.connection.send(b" " * 65536)

        with pytest.raises(ServiceUnavailable):
            await KeySource(misbehaving(endless).url, "RS256", lifetime_seconds=300).find("rsa-1")
        assert sent < 100 * MAXIMUM_BYTES, "what the sockets hold, and no more"

    async def test_a_redirect_leads_nowhere(self, misbehaving: Make, keys: Keys) -> None:
        def elsewhere(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", keys.url)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with pytest.raises(ServiceUnavailable):
            await KeySource(misbehaving(elsewhere).url, "RS256", lifetime_seconds=300).find("rsa-1")
        assert keys.asked == 0

    async def test_all_who_wait_for_an_issuer_that_fails_are_told_that_it_fails(self, misbehaving: Make) -> None:
        def failing(handler: BaseHTTPRequestHandler) -> None:
            handler.send_error(500)

        source = KeySource(misbehaving(failing).url, "RS256", lifetime_seconds=300)
        told = await asyncio.gather(*(source.find("rsa-1") for _ in range(20)), return_exceptions=True)
        assert {type(one) for one in told} == {ServiceUnavailable}, "a 401 would make clients throw good tokens away"

    async def test_while_an_issuer_is_down_its_old_keys_serve_without_waiting_for_it(self, misbehaving: Make) -> None:
        now = 1000.0
        is_down = False

        def at_first(handler: BaseHTTPRequestHandler) -> None:
            if is_down:
                handler.send_error(500)
                return
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(the_set())))
            handler.end_headers()
            handler.wfile.write(the_set())

        issuer = misbehaving(at_first)
        source = KeySource(issuer.url, "RS256", lifetime_seconds=300, now=lambda: now)
        assert await source.find("rsa-1")
        is_down, now = True, now + 301
        for _ in range(20):
            now += 0.1
            assert await source.find("rsa-1")
        assert issuer.asked == 2, "one request in REFETCH_SECONDS pays for looking again, not each"
        is_down, now = False, now + REFETCH_SECONDS + 1
        assert await source.find("rsa-1")
        assert issuer.asked == 3
