"""Each class of advisory locks has a number of its own, and the list of them is what the database really uses."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from payments.core import Core
from payments.lock_classes import LockClass

LOCKS = re.compile(r"pg_(?:try_)?advisory(?:_xact)?_lock(?:_shared)?\s*\(\s*(\w+)")
SOURCE = Path(__file__).resolve().parents[2] / "app" / "payments"


def test_no_two_classes_share_a_number() -> None:
    numbers = Counter(int(one) for one in LockClass.__members__.values())
    assert len(numbers) == len(LockClass.__members__), "an alias in the list would be a shared number"


async def test_the_functions_of_the_database_lock_by_these_numbers_alone(core: Core) -> None:
    rows = await core.database.all(
        "SELECT n.nspname || '.' || p.proname AS name, p.prosrc FROM pg_proc p JOIN pg_namespace n "
        "ON n.oid = p.pronamespace WHERE n.nspname IN ('payments', 'x402', 'stellar', 'lightning')",
        name="test",
    )
    users: dict[int, set[str]] = {}
    for row in rows:
        for number in LOCKS.findall(row["prosrc"]):
            users.setdefault(int(number), set()).add(row["name"])
    assert users.keys() == {int(one) for one in LockClass} - {int(LockClass.MIGRATION)}
    # What is locked by one class is locked in one matter; whoever adds a function to a class says so here.
    assert {LockClass(number).name: sorted(names) for number, names in users.items()} == {
        "ACCOUNT_WITH_FLOOR": ["payments.check_entries", "payments.reverse_arrival"],
        "PARTITIONS": ["payments.make_partitions"],
        "PAYOUTS_OF_USER": ["payments.create_payment"],
        "AUDIT": ["payments.plan_audit_segment", "payments.seal_audit"],
        "WEBHOOK_PLANNING": ["payments.take_outbox"],
        "HOT_WALLET": ["payments.check_departure", "payments.weigh_wallet"],
        "FAILURES_OF_USER": ["payments.check_departure", "payments.record_failure"],
        "SWITCHES": ["payments.check_departure", "payments.set_switch"],
        "ONCHAIN_ADDRESS": ["payments.allot_address"],
    }


def test_python_locks_by_the_list() -> None:
    numbers = [
        (path.name, number)
        for path in SOURCE.rglob("*.py")
        if path.name != "lock_classes.py"
        for number in re.findall(r"\b7270\d\d\b", path.read_text())
    ]
    assert numbers == []
