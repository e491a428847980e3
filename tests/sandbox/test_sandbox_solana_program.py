"""The cluster's program: its arguments, its genesis, its end."""

from __future__ import annotations

import copy
import json
import socket
from typing import Any

import aiohttp
import pytest

from tests.sandbox.processes import SolanaProgram, Wallets


def one_sentence(text: str) -> str:
    assert "Traceback" not in text
    return text.strip().splitlines()[-1]


class TestRefusals:
    def test_a_taken_port(self, own_solana: SolanaProgram) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", own_solana.port))
            taken.listen()
            done = own_solana.run()
        assert done.returncode == 2
        assert f"port {own_solana.port} of 127.0.0.1" in one_sentence(done.stderr)

    def test_a_missing_genesis(self, own_solana: SolanaProgram) -> None:
        own_solana.genesis.unlink()
        done = own_solana.run()
        assert done.returncode == 2
        assert "genesis.json cannot be read" in one_sentence(done.stderr)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda said: said.pop("mint"), "has no object `mint`"),
            (lambda said: said["mint"].update(address="x"), "mint.address is 'x'"),
            (lambda said: said["mint"].update(decimals=-1), "mint.decimals is -1"),
            (lambda said: said["lamports"].update(nobody=1), "a key of lamports is 'nobody'"),
            (lambda said: said["tokens"].update(dict.fromkeys(said["tokens"], 2**64 - 1)), "sum up to more"),
            (lambda said: said["tokens"].update(dict.fromkeys(said["tokens"], "5")), "give a whole number"),
        ],
    )
    def test_a_genesis_that_does_not_fit(self, own_solana: SolanaProgram, change: Any, words: str) -> None:
        said = copy.deepcopy(own_solana.wallets.genesis())
        change(said)
        own_solana.genesis.write_text(json.dumps(said))
        done = own_solana.run()
        assert done.returncode == 2
        assert words in one_sentence(done.stderr)

    def test_a_genesis_that_is_no_json(self, own_solana: SolanaProgram) -> None:
        own_solana.genesis.write_text("{")
        assert "is no JSON" in one_sentence(own_solana.run().stderr)

    def test_the_state_of_another_genesis(self, own_solana: SolanaProgram) -> None:
        own_solana.start()
        own_solana.stop()
        own_solana.genesis.write_text(json.dumps(Wallets.random().genesis()))
        done = own_solana.run()
        assert done.returncode == 2
        assert "began from another genesis" in one_sentence(done.stderr)

    def test_a_damaged_state_is_kept(self, own_solana: SolanaProgram) -> None:
        own_solana.data.mkdir()
        database = own_solana.data / "cluster.sqlite"
        database.write_bytes(b"this is no database, " * 100)
        done = own_solana.run()
        assert (done.returncode, "cannot be used" in one_sentence(done.stderr)) == (2, True)
        assert database.read_bytes().startswith(b"this is no database")


class TestTheEnd:
    async def test_a_signal_ends_it_cleanly_with_connections_open(self, own_solana: SolanaProgram) -> None:
        own_solana.start()
        async with aiohttp.ClientSession() as session:
            async with session.get(own_solana.url + "/health") as answer:
                assert await answer.text() == "ok"
            assert own_solana.stop() == 0

    async def test_it_listens_on_loopback_alone(self, solana: SolanaProgram) -> None:
        with socket.socket(socket.AF_INET6) as other:
            assert other.connect_ex(("::1", solana.port)) != 0
        with socket.socket() as other:
            other.settimeout(2)
            assert other.connect_ex((outer_address(), solana.port)) != 0


def outer_address() -> str:
    """An address of this machine that is not loopback's usual one."""
    return "127.0.0.2"
