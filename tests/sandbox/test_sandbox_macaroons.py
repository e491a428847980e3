"""Macaroons: the chain by libmacaroons' own example, the rest by taking one apart and breaking it."""

from __future__ import annotations

import pytest

from sandbox.lnd import macaroons
from sandbox.lnd.errors import RpcError
from sandbox.lnd.permissions import FILES, Op

ROOT_KEY = bytes(range(32))
NONCE = bytes(16)
READ = Op("invoices", "read")


def bake(*caveats: bytes) -> bytes:
    return macaroons.bake(ROOT_KEY, b"0", NONCE, [READ], caveats)


def verify(data: bytes, *, now: float = 1_700_000_000, client_ip: str = "127.0.0.1") -> None:
    macaroons.verify(macaroons.read(data), ROOT_KEY, now=now, client_ip=client_ip)


class TestTheChain:
    KEY = b"this is our super secret key; only we should know it"
    IDENTIFIER = b"we used our secret key"

    def test_it_ends_as_in_the_readme_of_libmacaroons(self) -> None:
        end = macaroons.sign(self.KEY, self.IDENTIFIER, [])
        assert end.hex() == "e3d9e02908526c4c0039ae15114115d97fdd68bf2ba379b342aaf0f617d0552f"

    def test_a_caveat_moves_its_end_as_there(self) -> None:
        end = macaroons.sign(self.KEY, self.IDENTIFIER, [b"account = 3735928559"])
        assert end.hex() == "1efe4763f290dbce0c1d08477367e11f4eee456a64933cf662d79772dbb82128"


class TestTheBytes:
    def test_they_begin_as_every_macaroon_of_lnd(self) -> None:
        # Version 2, location "lnd", an identifier that is a version 3 bakery id with a 16-byte nonce and key id "0".
        data = bake()
        assert data.hex().startswith("0201036c6e6402")
        assert data[8] == 3
        assert data[9:11].hex() == "0a10"
        assert data[27:30] == b"\x12\x010"

    def test_reading_gives_back_what_was_granted(self) -> None:
        data = macaroons.bake(ROOT_KEY, b"7", NONCE, [*FILES["admin"], READ])
        read = macaroons.read(data)
        assert (read.root_key_id, read.ops) == (b"7", frozenset(FILES["admin"]))

    @pytest.mark.parametrize(
        ("data", "words"),
        [(b"", "empty"), (b"garbage", "data format"), (bake()[:-1], "unmarshal"), (bake()[:20], "unmarshal")],
    )
    def test_damaged_ones_are_refused(self, data: bytes, words: str) -> None:
        with pytest.raises(RpcError, match=words):
            macaroons.read(data)

    def test_every_changed_byte_is_noticed(self) -> None:
        data = bake(b"time-before 2100-01-01T00:00:00Z")
        for position in range(6, len(data)):
            changed = bytearray(data)
            changed[position] ^= 1
            with pytest.raises(RpcError):
                verify(bytes(changed))


class TestCaveats:
    def test_before_its_time_it_opens(self) -> None:
        verify(bake(b"time-before 2023-11-14T23:00:00Z"))

    def test_after_its_time_it_does_not(self) -> None:
        with pytest.raises(RpcError, match="macaroon has expired"):
            verify(bake(b"time-before 2023-11-14T22:00:00.5Z"))

    def test_it_can_be_bound_to_an_address(self) -> None:
        data = bake(b"ipaddr 127.0.0.1")
        verify(data)
        with pytest.raises(RpcError, match="different IP"):
            verify(data, client_ip="127.0.0.2")

    def test_an_unknown_condition_closes_it(self) -> None:
        with pytest.raises(RpcError, match="not recognized"):
            verify(bake(b"moon is full"))

    def test_a_caveat_cannot_be_taken_off(self) -> None:
        narrow = macaroons.read(bake(b"ipaddr 10.0.0.1"))
        widened = macaroons.Macaroon(narrow.identifier, (), narrow.signature, narrow.root_key_id, narrow.ops)
        with pytest.raises(RpcError, match="signature mismatch"):
            macaroons.verify(widened, ROOT_KEY, now=0, client_ip="")


def test_keys_of_nodes_and_ids_differ() -> None:
    derived = {
        macaroons.derive_root_key(ROOT_KEY, node, key_id)
        for node in ("merchant", "customer")
        for key_id in (b"0", b"1")
    }
    assert len(derived) == 4
