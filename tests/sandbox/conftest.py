"""Counterparts that a module's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sandbox.lnd_client import LndClient
from tests.sandbox.processes import LndProgram, SolanaProgram, running


@pytest.fixture(scope="module")
def lnd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LndProgram]:
    """Merchant and customer with one channel between them."""
    program = LndProgram(tmp_path_factory.mktemp("lnd"))
    with running(program):
        yield program


@pytest.fixture
async def merchant(lnd: LndProgram) -> AsyncIterator[LndClient]:
    async with LndClient(lnd, "merchant") as client:
        yield client


@pytest.fixture
async def customer(lnd: LndProgram) -> AsyncIterator[LndClient]:
    async with LndClient(lnd, "customer") as client:
        yield client


@pytest.fixture
def own_lnd(tmp_path: Path) -> Iterator[LndProgram]:
    """A network for one test, which may kill it; not started."""
    program = LndProgram(tmp_path)
    yield program
    if program.alive():
        program.kill()


@pytest.fixture(scope="module")
def solana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SolanaProgram]:
    program = SolanaProgram(tmp_path_factory.mktemp("solana"))
    with running(program):
        yield program


@pytest.fixture
def own_solana(tmp_path: Path) -> Iterator[SolanaProgram]:
    """A cluster for one test, which may kill it; not started."""
    program = SolanaProgram(tmp_path)
    yield program
    if program.alive():
        program.kill()
