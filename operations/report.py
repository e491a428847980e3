"""The tables that commands end with: what runs where, what the ledger says, what was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from operations.outputs import Service
from operations.payment.receipt import Receipt

RUNNING, DOWN = "running", "down"
# How people write the ledger's assets: code -> (unit, minor units a unit). Bitcoin is booked in millisatoshi.
UNITS = {"BTC": ("sat", 1_000), "USDC": ("USDC", 1_000_000), "SOL": ("SOL", 1_000_000_000)}


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_edge=False)


def services(
    console: Console, probed: Sequence[tuple[Service, bool]], versions: Mapping[str, str], release: str
) -> None:
    """What runs where."""
    table = _table()
    for column in ("process", "address", "state", "version"):
        table.add_column(column, header_style="dim", no_wrap=True)
    for service, answers in probed:
        state = Text(RUNNING, "green") if answers else Text(DOWN, "bold red")
        table.add_row(service.name, service.address, state, _version(service.name, versions, release))
    console.print(table)


def _version(name: str, versions: Mapping[str, str], release: str) -> str:
    if name.startswith(("web-", "worker-")):
        return release
    return versions.get({"router": "envoy"}.get(name, name), "")


def ledger(console: Console, book: Mapping[str, Any]) -> None:
    """The accounts with their balances, and whether they sum to zero."""
    balanced = bool(book.get("balanced"))
    sums = Text("balanced", "green") if balanced else Text("DOES NOT BALANCE", "bold red")
    console.print(Text.assemble(("Ledger", "bold"), ": ", sums, f", {book.get('entries', 0)} entries"))
    accounts = [account for account in book.get("accounts", []) if int(account["balance"]) != 0]
    if not accounts:
        return
    table = _table()
    table.add_column("account", header_style="dim", no_wrap=True)
    table.add_column("balance", header_style="dim", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for account in accounts:
        amount, unit = _amount(int(account["balance"]), str(account["asset"]))
        table.add_row(str(account["account"]), amount, unit)
    console.print(table)


def _amount(minor: int, asset: str) -> tuple[str, str]:
    """An amount as people write it. Integers throughout: money is never a float."""
    unit, scale = UNITS.get(asset, (asset, 1))
    whole, rest = divmod(abs(minor), scale)
    digits = len(str(scale)) - 1
    fraction = f".{rest:0{digits}d}" if digits and (rest or unit != "sat") else ""
    return f"{'-' if minor < 0 else ''}{whole:,}{fraction}", unit


def receipt(paid: Receipt) -> str:
    """One payment as one line."""
    kind = "payment hash" if paid.rail in ("lightning", "river") else "transaction"
    note = f" ({paid.note})" if paid.note else ""
    return f"{paid.rail}: {paid.price}{note} paid in {paid.seconds:.1f} s, {kind} {paid.reference[:16]}…"
