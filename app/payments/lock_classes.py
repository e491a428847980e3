"""Locks of PostgreSQL: in which order rows are locked, and what each class of advisory locks is for.

A transaction that waits for locks of more than one table takes them in the order of `ROW_LOCKS`, and several rows of
one table by their ids. Two things may stand outside of it, because nobody can wait in a circle for them: a row that the
transaction itself has just inserted, and SKIP LOCKED, which does not wait. The second half of a rail call takes its
idempotency key last: who holds a key never waits for the attempt of an invoice (`begin_invoice` skips a locked one).

Advisory locks are taken after these rows, but for SWITCHES, which is first. Of an advisory lock the first number names
what is locked. Each class has one, and they are all here; the SQL of a migration writes the number itself, because a
migration never changes once it is out. Tests compare the functions of a migrated database with both lists.
"""

from __future__ import annotations

import enum
from typing import Final

ROW_LOCKS: Final = (
    "payments.idempotency_keys",
    "x402.settlements",
    "payments.payments",
    "payments.payment_fallbacks",
    "payments.attempts",
    "payments.invoices",
    "payments.reversals",
    "payments.refunds",
    "payments.suspense",
    "payments.onchain_coins",
    "payments.rail_balances",
    "payments.discrepancies",
    "payments.rail_cursors",
    "x402.sponsored_fees",
)


class LockClass(enum.IntEnum):
    """What a class locks, and by which second number."""

    MIGRATION = 727000  # the whole schema; a single number, no second one
    ACCOUNT_WITH_FLOOR = 727001  # account id: its balance is looked at before a debit
    PARTITIONS = 727002  # 1: partitions of stored answers are made
    PAYOUTS_OF_USER = 727003  # environment and user: the daily limit is summed
    AUDIT = 727004  # 1: one sealer at a time; 2: one archiver
    WEBHOOK_PLANNING = 727005  # 1: events become deliveries
    HOT_WALLET = 727006  # rail: departures are weighed one after the other
    FAILURES_OF_USER = 727007  # environment and user: failures are counted
    SWITCHES = 727008  # 1: shared by departures, exclusive by whoever sets a switch
    ONCHAIN_ADDRESS = 727013  # branch: addresses are numbered without gaps
