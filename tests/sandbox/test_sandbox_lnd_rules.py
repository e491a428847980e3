"""The network's rules on a database in memory, with a clock that the test turns."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from pathlib import Path

import pytest
from coincurve import PrivateKey

from sandbox.lnd import channels, invoices, payments, store
from sandbox.lnd.errors import RpcError
from sandbox.lnd.store import CUSTOMER, MERCHANT, ROUTER

FREE = channels.Fees()
NOW = 1_800_000_000.0
KEYS = {name: hashlib.sha256(name.encode()).digest() for name in (MERCHANT, CUSTOMER, ROUTER)}
_seeds = itertools.count(1)


@pytest.fixture
def direct(tmp_path: Path) -> sqlite3.Connection:
    return store.open_database(tmp_path / "n.sqlite", store.Genesis("regtest", 1_000_000, False), NOW, KEYS)


@pytest.fixture
def routed(tmp_path: Path) -> sqlite3.Connection:
    return store.open_database(tmp_path / "r.sqlite", store.Genesis("regtest", 1_000_000, True), NOW, KEYS)


def moment(later: float = 0) -> payments.Moment:
    return payments.Moment(NOW + later, channels.height_at(int(NOW), NOW + later))


def add(connection: sqlite3.Connection, value_msat: int = 50_000, *, hold: bool = False) -> invoices.NewInvoice:
    entropy = hashlib.sha512(str(next(_seeds)).encode()).digest()
    payment_hash = hashlib.sha256(entropy[:32]).digest() if hold else None
    draft = invoices.Draft(value_msat=value_msat, payment_hash=payment_hash, expiry_seconds=3600)
    new = invoices.sign(draft, PrivateKey(KEYS[MERCHANT]), "regtest", NOW, entropy)
    invoices.add(connection, MERCHANT, new)
    return new


def intent(new: invoices.NewInvoice, **changes: object) -> payments.Intent:
    fields: dict[str, object] = {
        "payment_hash": new.payment_hash,
        "payment_addr": new.payment_addr,
        "payment_request": new.payment_request,
        "destination": MERCHANT,
        "amount_msat": new.draft.value_msat,
        "fee_limit_msat": 0,
        "min_final_cltv_expiry": 80,
    }
    return payments.Intent(**{**fields, **changes})  # type: ignore[arg-type]


def pay(
    connection: sqlite3.Connection, what: payments.Intent, later: float = 0, fees: channels.Fees = FREE
) -> sqlite3.Row:
    attempt = payments.begin(connection, CUSTOMER, what, fees, moment(later))
    if attempt is not None:
        payments.deliver(connection, attempt, moment(later))
    payment = payments.by_hash(connection, CUSTOMER, what.payment_hash)
    assert payment is not None
    return payment


def total_msat(connection: sqlite3.Connection) -> int:
    """All money of the network, on balances and on the way."""
    row = connection.execute(
        "SELECT (SELECT sum(opener_msat + other_msat) FROM channels)"
        " + (SELECT coalesce(sum(amount_msat), 0) FROM htlcs WHERE state = 'LOCKED')"
    ).fetchone()
    return int(row[0])


class TestAnInvoiceTakes:
    def test_its_own_payment_address_alone(self, direct: sqlite3.Connection) -> None:
        new = add(direct)
        failed = pay(direct, intent(new, payment_addr=bytes(32)))
        assert (failed["status"], failed["failure_reason"]) == ("FAILED", "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")
        assert pay(direct, intent(new))["status"] == "SUCCEEDED"

    def test_no_less_than_its_value_but_more(self, direct: sqlite3.Connection) -> None:
        new = add(direct)
        assert pay(direct, intent(new, amount_msat=49_999))["status"] == "FAILED"
        assert pay(direct, intent(new, amount_msat=50_001))["status"] == "SUCCEEDED"

    def test_nothing_after_its_expiry_even_before_it_was_canceled(self, direct: sqlite3.Connection) -> None:
        new = add(direct)
        assert pay(direct, intent(new), later=3601)["status"] == "FAILED"
        assert pay(direct, intent(new), later=3600)["status"] == "SUCCEEDED"

    def test_nothing_for_an_unknown_hash(self, direct: sqlite3.Connection) -> None:
        new = add(direct)
        assert pay(direct, intent(new, payment_hash=bytes(32)))["status"] == "FAILED"


class TestAPayment:
    def test_to_nobody_of_this_network_finds_no_route(self, direct: sqlite3.Connection) -> None:
        failed = pay(direct, intent(add(direct), destination=None))
        assert failed["failure_reason"] == "FAILURE_REASON_NO_ROUTE"

    def test_delivered_twice_happens_once(self, direct: sqlite3.Connection) -> None:
        for hold in (False, True):
            new = add(direct, hold=hold)
            attempt = payments.begin(direct, CUSTOMER, intent(new), channels.Fees(), moment())
            assert attempt is not None
            payments.deliver(direct, attempt, moment())
            once = [tuple(row) for row in direct.execute("SELECT * FROM channels")]
            assert payments.deliver(direct, attempt, moment()) is None
            assert [tuple(row) for row in direct.execute("SELECT * FROM channels")] == once

    def test_leaves_the_reserve_alone(self, direct: sqlite3.Connection) -> None:
        channel = channels.between(direct, CUSTOMER, MERCHANT)
        assert channel is not None
        spendable = channels.spendable_msat(channel, CUSTOMER)
        assert spendable == channel["opener_msat"] - 10_000_000
        too_much = pay(direct, intent(add(direct, spendable + 1)))
        assert too_much["failure_reason"] == "FAILURE_REASON_INSUFFICIENT_BALANCE"
        assert pay(direct, intent(add(direct, spendable)))["status"] == "SUCCEEDED"

    def test_that_the_router_cannot_forward_comes_back_whole(self, routed: sqlite3.Connection) -> None:
        channel = channels.between(routed, ROUTER, MERCHANT)
        assert channel is not None
        kept = channels.spendable_msat(channel, ROUTER) - 999
        routed.execute("UPDATE channels SET other_msat = other_msat - ? WHERE id = ?", (kept, channel["id"]))
        before = total_msat(routed)
        returned = pay(routed, intent(add(routed, 1_000), fee_limit_msat=10**9))
        assert (returned["status"], returned["failure_reason"]) == ("FAILED", "FAILURE_REASON_NO_ROUTE")
        attempt = payments.attempts_of(routed, returned)[0]
        assert (attempt["failure_code"], attempt["failure_source"]) == ("TEMPORARY_CHANNEL_FAILURE", 1)
        assert total_msat(routed) == before
        assert pay(routed, intent(add(routed, 999), fee_limit_msat=10**9))["status"] == "SUCCEEDED"


class TestMoney:
    def test_is_neither_made_nor_lost_whatever_happens(self, routed: sqlite3.Connection) -> None:
        before = total_msat(routed)
        fees = channels.Fees(1000, 5000)
        for number in range(30):
            new = add(routed, 1_000 * (number + 1), hold=number % 3 == 0)
            limit = 10**6 if number % 4 else 0
            pay(routed, intent(new, fee_limit_msat=limit), fees=fees)
            if number % 6 == 0:
                attempt = invoices.cancel(routed, MERCHANT, new.payment_hash)
                if attempt is not None:
                    payments.fail(routed, attempt, "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS", 2, "x", moment())
            assert total_msat(routed) == before
        earned = channels.between(routed, CUSTOMER, ROUTER)
        assert earned is not None
        assert earned["other_msat"] > earned["pushed_msat"]


class TestTime:
    def test_open_invoices_fall_due_at_their_expiry(self, direct: sqlite3.Connection) -> None:
        new = add(direct)
        assert invoices.due(direct, NOW + 3600, 0) == []
        assert invoices.due(direct, NOW + 3601, 0) == [(MERCHANT, new.payment_hash)]

    def test_a_held_one_falls_due_before_its_htlc_times_out(self, direct: sqlite3.Connection) -> None:
        new = add(direct, hold=True)
        pay(direct, intent(new))
        expiry = direct.execute("SELECT expiry_height FROM htlcs").fetchone()[0]
        assert expiry == channels.FIRST_HEIGHT + 80 + channels.BLOCK_PADDING
        assert invoices.due(direct, NOW, expiry - invoices.HOLD_CANCEL_BLOCKS - 1) == []
        assert invoices.due(direct, NOW, expiry - invoices.HOLD_CANCEL_BLOCKS) == [(MERCHANT, new.payment_hash)]

    def test_a_block_comes_each_ten_minutes(self) -> None:
        heights = [channels.height_at(int(NOW), NOW + passed) for passed in (0, 599, 600, 6000)]
        assert [height - channels.FIRST_HEIGHT for height in heights] == [0, 0, 1, 10]

    def test_an_invoice_without_an_expiry_lasts_a_day(self) -> None:
        for given in (0, -5):
            draft = invoices.Draft(expiry_seconds=given)
            signed = invoices.sign(draft, PrivateKey(KEYS[MERCHANT]), "regtest", NOW, bytes(range(64)))
            assert signed.expiry_seconds == 86_400


def test_a_hash_is_taken_once_a_node(direct: sqlite3.Connection) -> None:
    new = add(direct)
    with pytest.raises(RpcError, match="invoice with payment hash already exists"):
        invoices.add(direct, MERCHANT, new)
    assert invoices.add(direct, CUSTOMER, new) == 1


@pytest.mark.parametrize("hold", [False, True])
def test_news_of_an_added_invoice_do_not_know_what_became_of_it(direct: sqlite3.Connection, hold: bool) -> None:
    """A late reader would else take its settle_index for one that it had been told of in order."""
    new = add(direct, hold=hold)
    added = invoices.by_hash(direct, MERCHANT, new.payment_hash)
    assert added is not None
    pay(direct, intent(new))
    paid = invoices.by_hash(direct, MERCHANT, new.payment_hash)
    assert paid is not None
    assert paid["state"] != "OPEN"
    assert dict(invoices.as_added(paid)) == dict(added)
