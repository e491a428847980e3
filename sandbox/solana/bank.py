"""The bank: executes transactions in the real virtual machine and remembers every account's recent versions.

LiteSVM runs programs; around it stands what a cluster does: blockhash age, once-only, the priority fee, rent, and views
of the accounts as of a slot. Nothing here waits or writes to the disk.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from solders.account import Account
from solders.clock import Clock
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from sandbox.solana import base58, tokens, transactions
from sandbox.solana.clock import SLOTS_PER_EPOCH, SlotClock
from sandbox.solana.genesis import SYSTEM_PROGRAM
from sandbox.solana.store import MAX_U64

_SLOT_HASHES = 150
"""Slots in the SlotHashes sysvar, which address lookup tables are made with."""
_GONE = Account(0, b"", SYSTEM_PROGRAM, False, MAX_U64)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an execution or a simulation came to."""

    err: Any
    logs: list[str]
    units: int
    landed: bool = False
    return_data: dict[str, Any] | None = None
    inner: list[dict[str, Any]] = field(default_factory=list)
    accounts: dict[Pubkey, Account] = field(default_factory=dict)
    changed: dict[Pubkey, Account] = field(default_factory=dict)
    slot: int = 0
    meta: dict[str, Any] = field(default_factory=dict)


class Bank:
    """All accounts, now and as of the last few slots."""

    def __init__(self, clock: SlotClock) -> None:
        self.clock = clock
        # Signatures, blockhash age and repeats are checked here, against what survives a restart.
        self._svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        self._versions: dict[Pubkey, list[tuple[int, Account]]] = {}
        self._holdings: dict[Pubkey, set[Pubkey]] = {}
        self._slot = -1

    def restore(self, versions: Iterable[tuple[Pubkey, int, Account]]) -> None:
        """Take over stored accounts, oldest version first."""
        for address, slot, account in versions:
            self._svm.set_account(address, account)
            self._remember(address, slot, account)

    def rent(self, size: int) -> int:
        """Lamports that make an account of so many bytes rent-exempt."""
        return self._svm.minimum_balance_for_rent_exemption(size)

    def account(self, address: Pubkey, slot: int | None = None) -> Account | None:
        """An account as of a slot (None: as of now), None when it did not exist."""
        versions = self._versions.get(address)
        if versions is None:
            return _existing(self._svm.get_account(address))
        if slot is None:
            return _existing(versions[-1][1])
        for at, account in reversed(versions):
            if at <= slot:
                return _existing(account)
        return None

    def holdings(self, owner: Pubkey) -> list[Pubkey]:
        """Addresses that are, or were lately, token accounts of an owner."""
        return sorted(self._holdings.get(owner, ()), key=bytes)

    def execute(self, transaction: VersionedTransaction) -> Outcome:
        """Run a transaction whose signatures, age and newness are checked, and keep what it changed.

        A failed one still pays its fee, and has landed, when its fee payer could pay.
        """
        try:
            keys = transactions.resolve_keys(transaction.message, self.account)
        except transactions.AddressLookupError as refusal:
            return Outcome(refusal.err, [], 0)
        before = {key: self._svm.get_account(key) or _GONE for key in keys.all}
        fee = transactions.base_fee(transaction.message) + transactions.priority_fee(transaction.message)
        outcome = self._run(transaction, keys, before, fee, simulate=False)
        after = {key: self._svm.get_account(key) or _GONE for key in keys.all}
        if not outcome.landed:
            return outcome
        slot = self._slot
        changed = {key: after[key] for key in before if after[key] != before[key]}
        for address, account in changed.items():
            self._remember(address, slot, account)
        meta = self._meta(outcome, keys, before, after, fee)
        return Outcome(outcome.err, outcome.logs, outcome.units, True, changed=changed, slot=slot, meta=meta)

    def simulate(self, transaction: VersionedTransaction) -> Outcome:
        """Run a transaction and keep nothing."""
        try:
            keys = transactions.resolve_keys(transaction.message, self.account)
        except transactions.AddressLookupError as refusal:
            return Outcome(refusal.err, [], 0)
        before = {key: self._svm.get_account(key) or _GONE for key in keys.all}
        fee = transactions.base_fee(transaction.message) + transactions.priority_fee(transaction.message)
        return self._run(transaction, keys, before, fee, simulate=True)

    def _run(
        self,
        transaction: VersionedTransaction,
        keys: transactions.Keys,
        before: dict[Pubkey, Account],
        fee: int,
        *,
        simulate: bool,
    ) -> Outcome:
        self._set_clock()
        payer = keys.static[0]
        refusal = _cannot_pay(before[payer], fee)
        if refusal:
            return Outcome(refusal, [], 0)
        # LiteSVM takes the fee for signatures only; the priority fee is taken here, before the programs run.
        priority = transactions.priority_fee(transaction.message)
        self._charge(payer, before[payer], priority)
        result = self._svm.simulate_transaction(transaction) if simulate else self._svm.send_transaction(transaction)
        charged = fee - priority if not simulate else 0
        landed = not simulate
        if isinstance(result, FailedTransactionMetadata):
            err = json.loads(result.to_json())["err"]
            details = result.meta()
            balance = (self._svm.get_account(payer) or _GONE).lamports
            landed = landed and balance <= before[payer].lamports - priority - charged
        else:
            err = None
            details = result.meta() if simulate else result  # type: ignore[union-attr, assignment]
        accounts = dict(result.post_accounts()) if simulate and err is None else {}  # type: ignore[union-attr]
        after = accounts if simulate else {key: self._svm.get_account(key) or _GONE for key in before}
        if err is None:
            err = self._rent_violation(keys, before, after)
            if err is not None and not simulate:
                self._undo(before)
                self._charge(payer, before[payer], fee)
        if simulate or not landed:
            self._charge(payer, before[payer], 0)
        return Outcome(
            err,
            list(details.logs()),
            details.compute_units_consumed(),
            landed,
            _return_data(details),
            _inner_instructions(details),
            accounts,
        )

    def _set_clock(self) -> None:
        slot = self.clock.slot()
        if slot != self._slot:
            now = self.clock.time_of(slot)
            epoch = slot // SLOTS_PER_EPOCH
            started = self.clock.time_of(epoch * SLOTS_PER_EPOCH)
            self._svm.set_clock(Clock(slot, started, epoch, epoch + 1, now))
            recent = range(slot - 1, max(-1, slot - 1 - _SLOT_HASHES), -1)
            self._svm.set_slot_hashes([(before, self.clock.blockhash(before)) for before in recent])
            self._slot = slot

    def _charge(self, payer: Pubkey, account: Account, lamports: int) -> None:
        self._svm.set_account(
            payer,
            Account(account.lamports - lamports, account.data, account.owner, account.executable, account.rent_epoch),
        )

    def _undo(self, before: dict[Pubkey, Account]) -> None:
        for address, account in before.items():
            if (self._svm.get_account(address) or _GONE) != account:
                self._svm.set_account(address, account)

    def _rent_violation(
        self, keys: transactions.Keys, before: dict[Pubkey, Account], after: dict[Pubkey, Account]
    ) -> Any:
        """Nobody may leave an account with less than its rent, unless it had less already and did not shrink."""
        for index in sorted(keys.writable):
            address = keys.all[index]
            account = after.get(address, before[address])
            least = self.rent(len(account.data))
            was = before[address]
            poor_before = 0 < was.lamports < self.rent(len(was.data))
            same = poor_before and len(account.data) == len(was.data) and account.lamports <= was.lamports
            if 0 < account.lamports < least and not same:
                return {"InsufficientFundsForRent": {"account_index": index}}
        return None

    def _remember(self, address: Pubkey, slot: int, account: Account) -> None:
        versions = self._versions.setdefault(address, [])
        if versions and versions[-1][0] == slot:
            versions.pop()
        versions.append((slot, account))
        finalized = self.clock.slot("finalized")
        while len(versions) > 1 and versions[1][0] <= finalized:
            versions.pop(0)
        token = tokens.read_account(account)
        if token is not None:
            self._holdings.setdefault(token.owner, set()).add(address)

    def _meta(
        self,
        outcome: Outcome,
        keys: transactions.Keys,
        before: dict[Pubkey, Account],
        after: dict[Pubkey, Account],
        fee: int,
    ) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "err": outcome.err,
            "status": {"Ok": None} if outcome.err is None else {"Err": outcome.err},
            "fee": fee,
            "preBalances": [before[key].lamports for key in keys.all],
            "postBalances": [after[key].lamports for key in keys.all],
            "innerInstructions": outcome.inner,
            "logMessages": outcome.logs,
            "preTokenBalances": self._token_balances(keys, before),
            "postTokenBalances": self._token_balances(keys, after),
            "rewards": [],
            "loadedAddresses": {
                "writable": [str(key) for key in keys.loaded_writable],
                "readonly": [str(key) for key in keys.loaded_readonly],
            },
            "computeUnitsConsumed": outcome.units,
        }
        if outcome.return_data is not None:
            meta["returnData"] = outcome.return_data
        return meta

    def _token_balances(self, keys: transactions.Keys, accounts: dict[Pubkey, Account]) -> list[dict[str, Any]]:
        balances = []
        for index, address in enumerate(keys.all):
            token = tokens.read_account(accounts[address])
            mint = None if token is None else tokens.read_mint(self._svm.get_account(token.mint))
            if token is None or mint is None:
                continue
            balances.append(
                {
                    "accountIndex": index,
                    "mint": str(token.mint),
                    "owner": str(token.owner),
                    "programId": str(accounts[address].owner),
                    "uiTokenAmount": tokens.ui_amount(token.amount, mint.decimals),
                }
            )
        return balances


def _existing(account: Account | None) -> Account | None:
    return account if account is not None and account.lamports > 0 else None


def _cannot_pay(payer: Account, fee: int) -> str | None:
    if payer.lamports == 0:
        return "AccountNotFound"
    if payer.owner != SYSTEM_PROGRAM:
        return "InvalidAccountForFee"
    return "InsufficientFundsForFee" if payer.lamports < fee else None


def _return_data(details: Any) -> dict[str, Any] | None:
    data = details.return_data()
    if not data.data:
        return None
    return {"programId": str(data.program_id), "data": [base64.b64encode(data.data).decode(), "base64"]}


def _inner_instructions(details: Any) -> list[dict[str, Any]]:
    groups = []
    for index, group in enumerate(details.inner_instructions()):
        if group:
            groups.append(
                {
                    "index": index,
                    "instructions": [
                        {
                            "programIdIndex": inner.instruction().program_id_index,
                            "accounts": list(inner.instruction().accounts),
                            "data": base58.encode(bytes(inner.instruction().data)),
                            "stackHeight": inner.stack_height(),
                        }
                        for inner in group
                    ],
                }
            )
    return groups
