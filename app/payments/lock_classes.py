"""Advisory locks of PostgreSQL: the first number names what is locked. Each class has one, and they are all here.

The SQL of a migration writes the number itself, because a migration never changes once it is out. A test compares the
functions of a migrated database with this list.
"""

from __future__ import annotations

import enum


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
