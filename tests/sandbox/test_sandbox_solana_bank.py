"""Time and memory of the cluster, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import base64
import random
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sandbox.durable import Writer, connect
from sandbox.solana import base58, store, tokens, transactions
from sandbox.solana.bank import Bank
from sandbox.solana.clock import FIRST_SLOT, MAX_PROCESSING_AGE, SLOT_SECONDS, SlotClock
from sandbox.solana.cluster import Cluster
from sandbox.solana.errors import RpcError
from sandbox.solana.genesis import SYSTEM_PROGRAM

GENESIS_AT = 1_800_000_000.0
LOOKUP_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")


@dataclass
class Hands:
    """The hands of the clock."""

    now: float = GENESIS_AT

    def __call__(self) -> float:
        return self.now

    def pass_slots(self, count: int) -> None:
        self.now += count * SLOT_SECONDS


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock(hands: Hands) -> SlotClock:
    return SlotClock(GENESIS_AT, b"seed", hands)


@dataclass
class Small:
    """A cluster with one rich account."""

    cluster: Cluster
    rich: Keypair
    connection: sqlite3.Connection

    def transfer(self, lamports: int, blockhash: Hash | None = None, to: Pubkey | None = None) -> VersionedTransaction:
        to = to or Keypair().pubkey()
        instruction = transfer(TransferParams(from_pubkey=self.rich.pubkey(), to_pubkey=to, lamports=lamports))
        return self.sign([instruction], blockhash)

    def sign(self, instructions: list[Instruction], blockhash: Hash | None = None) -> VersionedTransaction:
        clock = self.cluster.clock
        message = MessageV0.try_compile(
            self.rich.pubkey(), instructions, [], blockhash or clock.blockhash(clock.slot())
        )
        return VersionedTransaction(message, [self.rich])


@pytest.fixture
async def small(clock: SlotClock, tmp_path: Path) -> AsyncIterator[Small]:
    connection = store.open_database(tmp_path / "cluster.sqlite", b"genesis", dict)
    bank = Bank(clock)
    rich = Keypair()
    bank.restore([(rich.pubkey(), 0, Account(10**12, b"", SYSTEM_PROGRAM, False, store.MAX_U64))])
    writer = Writer(connection, asyncio.get_running_loop())
    yield Small(Cluster(bank, clock, connect(tmp_path / "cluster.sqlite"), writer, Keypair()), rich, connection)
    writer.close()


class TestSlots:
    def test_pass_every_400_milliseconds(self, clock: SlotClock, hands: Hands) -> None:
        assert clock.slot() == FIRST_SLOT
        hands.pass_slots(5)
        assert (clock.slot(), clock.slot("confirmed"), clock.slot("finalized")) == (
            FIRST_SLOT + 5,
            FIRST_SLOT + 4,
            FIRST_SLOT - 27,
        )

    def test_never_go_back_with_a_wall_clock_that_does(self, clock: SlotClock, hands: Hands) -> None:
        hands.pass_slots(50)
        newest = clock.slot()
        hands.pass_slots(-30)
        assert clock.slot() == newest

    def test_blockhashes_are_the_same_after_a_restart_and_secret_before(self, clock: SlotClock, hands: Hands) -> None:
        assert SlotClock(GENESIS_AT, b"seed", hands).blockhash(FIRST_SLOT) == clock.blockhash(FIRST_SLOT)
        assert SlotClock(GENESIS_AT, b"weed", hands).blockhash(FIRST_SLOT) != clock.blockhash(FIRST_SLOT)

    @pytest.mark.parametrize("idle", [0, 10_000])
    def test_a_blockhash_lives_for_150_blocks(self, clock: SlotClock, hands: Hands, idle: int) -> None:
        hands.pass_slots(idle)
        blockhash = clock.blockhash(clock.slot())
        hands.pass_slots(MAX_PROCESSING_AGE)
        assert clock.is_valid(blockhash, clock.slot())
        hands.pass_slots(1)
        assert not clock.is_valid(blockhash, clock.slot())

    def test_a_blockhash_of_the_future_is_unknown(self, clock: SlotClock) -> None:
        assert not clock.is_valid(clock.blockhash(clock.slot() + 1), clock.slot())


class TestOnce:
    async def test_an_expired_transaction_is_dropped(self, small: Small, hands: Hands) -> None:
        transaction = small.transfer(10**9)
        hands.pass_slots(MAX_PROCESSING_AGE + 1)
        assert small.cluster.refusal(transaction) == "BlockhashNotFound"
        assert await small.cluster.submit(transaction) is None

    async def test_at_the_last_block_it_still_lands(self, small: Small, hands: Hands) -> None:
        transaction = small.transfer(10**9)
        hands.pass_slots(MAX_PROCESSING_AGE)
        outcome = await small.cluster.submit(transaction)
        assert outcome is not None
        assert outcome.err is None

    async def test_the_same_message_under_other_signature_bytes_is_the_same(self, small: Small) -> None:
        first = small.transfer(10**9)
        await small.cluster.submit(first)
        twin = VersionedTransaction.populate(first.message, first.signatures)
        assert small.cluster.refusal(twin) == "AlreadyProcessed"

    async def test_concurrently_it_lands_once(self, small: Small) -> None:
        to = Keypair().pubkey()
        transaction = small.transfer(10**9, to=to)
        outcomes = await asyncio.gather(*(small.cluster.submit(transaction) for _ in range(20)))
        assert sum(outcome is not None for outcome in outcomes) == 1
        account = small.cluster.bank.account(to)
        assert account is not None
        assert account.lamports == 10**9


class TestViews:
    async def test_show_accounts_as_of_their_slot(self, small: Small, hands: Hands) -> None:
        to = Keypair().pubkey()
        start = small.cluster.clock.slot()
        for _ in range(3):
            await small.cluster.submit(small.transfer(10**9, to=to))
            hands.pass_slots(10)

        def lamports(slot: int) -> int:
            account = small.cluster.bank.account(to, slot)
            return 0 if account is None else account.lamports // 10**9

        assert [lamports(start + offset) for offset in (-1, 0, 9, 10, 20, 30)] == [0, 1, 1, 2, 3, 3]

    async def test_versions_that_no_view_needs_are_dropped(self, small: Small, hands: Hands) -> None:
        to = Keypair().pubkey()
        for _ in range(10):
            await small.cluster.submit(small.transfer(10**9, to=to))
            hands.pass_slots(40)
        query = "SELECT count(*) FROM accounts WHERE address = ?"
        assert small.connection.execute(query, (bytes(to),)).fetchone()[0] <= 3

    async def test_an_emptied_account_is_gone(self, small: Small, hands: Hands) -> None:
        account = small.cluster.bank.account(small.rich.pubkey())
        assert account is not None
        await small.cluster.submit(small.transfer(account.lamports - 5000))
        assert small.cluster.bank.account(small.rich.pubkey()) is None
        assert small.cluster.bank.account(small.rich.pubkey(), small.cluster.clock.slot() - 1) is not None
        restored = Bank(small.cluster.clock)
        restored.restore(store.load_accounts(small.connection))
        assert restored.account(small.rich.pubkey()) is None


class TestADiskThatFails:
    async def test_ends_the_cluster_because_its_memory_is_ahead(self, small: Small) -> None:
        small.connection.execute("PRAGMA query_only = ON")  # every write fails now, as on a full disk
        with pytest.raises(sqlite3.OperationalError):
            await small.cluster.submit(small.transfer(10**9))
        assert "readonly" in await asyncio.wait_for(small.cluster.broken, 5)


class TestFees:
    async def test_the_unit_price_is_paid_for_the_unit_limit(self, small: Small) -> None:
        budget = [set_compute_unit_limit(200_000), set_compute_unit_price(5_000_001)]
        to = Keypair().pubkey()
        move = transfer(TransferParams(from_pubkey=small.rich.pubkey(), to_pubkey=to, lamports=10**9))
        outcome = await small.cluster.submit(small.sign([*budget, move]))
        assert outcome is not None
        assert outcome.meta["fee"] == 5000 + 1_000_001
        assert outcome.meta["postBalances"][0] == 10**12 - 10**9 - 1_005_001

    async def test_a_failed_transaction_pays_it_too(self, small: Small) -> None:
        move = transfer(TransferParams(from_pubkey=small.rich.pubkey(), to_pubkey=Keypair().pubkey(), lamports=10**13))
        outcome = await small.cluster.submit(small.sign([set_compute_unit_price(1_000_000), move]))
        assert outcome is not None
        assert outcome.err is not None
        account = small.cluster.bank.account(small.rich.pubkey())
        assert account is not None
        assert account.lamports == 10**12 - 5000 - 200_000

    async def test_who_cannot_pay_it_is_dropped_unharmed(self, small: Small) -> None:
        budget = [set_compute_unit_limit(1_400_000), set_compute_unit_price(10**12)]
        outcome = small.cluster.bank.execute(small.sign(budget))
        assert (outcome.err, outcome.landed) == ("InsufficientFundsForFee", False)
        account = small.cluster.bank.account(small.rich.pubkey())
        assert account is not None
        assert account.lamports == 10**12


class TestLookupTables:
    async def test_a_transaction_may_find_its_accounts_in_one(self, small: Small, hands: Hands) -> None:
        """The table is made by the real program; the address that it holds receives the money."""
        clock, owner = small.cluster.clock, small.rich.pubkey()
        hands.pass_slots(3)
        recent = clock.slot() - 1
        table, bump = Pubkey.find_program_address([bytes(owner), recent.to_bytes(8, "little")], LOOKUP_PROGRAM)
        to = Keypair().pubkey()
        base = [AccountMeta(table, False, True), AccountMeta(owner, True, False), AccountMeta(owner, True, True)]
        accounts = [*base, AccountMeta(SYSTEM_PROGRAM, False, False)]
        create = Instruction(LOOKUP_PROGRAM, bytes(4) + recent.to_bytes(8, "little") + bytes([bump]), accounts)
        extend_data = (2).to_bytes(4, "little") + (1).to_bytes(8, "little") + bytes(to)
        extend = Instruction(LOOKUP_PROGRAM, extend_data, accounts)
        made = await small.cluster.submit(small.sign([create, extend]))
        assert made is not None
        assert made.err is None, made.logs
        hands.pass_slots(2)
        move = transfer(TransferParams(from_pubkey=owner, to_pubkey=to, lamports=10**9))
        lookup = AddressLookupTableAccount(table, [to])
        message = MessageV0.try_compile(owner, [move], [lookup], clock.blockhash(clock.slot()))
        assert len(message.address_table_lookups) == 1
        outcome = await small.cluster.submit(VersionedTransaction(message, [small.rich]))
        assert outcome is not None
        assert (outcome.err, outcome.meta["loadedAddresses"]["writable"]) == (None, [str(to)])
        received = small.cluster.bank.account(to)
        assert received is not None
        assert received.lamports == 10**9

    async def test_a_table_that_is_not_there_is_an_error(self, small: Small) -> None:
        to = Keypair().pubkey()
        move = transfer(TransferParams(from_pubkey=small.rich.pubkey(), to_pubkey=to, lamports=10**9))
        clock = small.cluster.clock
        lookup = AddressLookupTableAccount(Keypair().pubkey(), [to])
        message = MessageV0.try_compile(small.rich.pubkey(), [move], [lookup], clock.blockhash(clock.slot()))
        outcome = small.cluster.simulate(VersionedTransaction(message, [small.rich]), clock.slot())
        assert outcome.err == "AddressLookupTableNotFound"


class TestBytes:
    @pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\1", bytes(range(70)), b"\xff" * 40])
    def test_base58_there_and_back(self, data: bytes) -> None:
        assert base58.decode(base58.encode(data)) == data

    def test_base58_agrees_with_solders(self) -> None:
        key = Keypair()
        assert base58.encode(bytes(key.pubkey())) == str(key.pubkey())
        assert base58.encode(bytes(key)) == str(key)

    def test_amounts_are_written_without_needless_zeroes(self) -> None:
        texts = [tokens.ui_amount(amount, 6)["uiAmountString"] for amount in (0, 1, 1_500_000, 10_000_000)]
        assert texts == ["0", "0.000001", "1.5", "10"]
        assert tokens.ui_amount(100, 0)["uiAmountString"] == "100"

    def test_packed_accounts_are_read_back(self) -> None:
        mint, owner = Keypair().pubkey(), Keypair().pubkey()
        account = Account(1, tokens.pack_account(mint, owner, 7), tokens.TOKEN_PROGRAM, False, 0)
        read = tokens.read_account(account)
        assert read is not None
        assert (read.mint, read.owner, read.amount, read.native_reserve) == (mint, owner, 7, None)
        other = Account(1, tokens.pack_account(mint, owner, 7), SYSTEM_PROGRAM, False, 0)
        assert tokens.read_account(other) is None

    def test_random_bytes_never_get_past_decoding(self) -> None:
        dice = random.Random(1)
        for _ in range(300):
            text = base64.b64encode(dice.randbytes(dice.randrange(1, 400))).decode()
            with pytest.raises(RpcError):
                transactions.decode(text, "base64")
