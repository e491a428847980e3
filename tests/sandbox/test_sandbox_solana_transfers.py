"""USDC moves over the cluster; solana-py is the client that knows nothing of it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.models import TokenAccountOpts, TxOpts
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction

from tests.sandbox.processes import SolanaProgram
from tests.sandbox.solana_client import TOKEN_PROGRAM as TOKEN
from tests.sandbox.solana_client import Payer, encoded


@pytest.fixture
async def payer(solana: SolanaProgram) -> AsyncIterator[Payer]:
    async with Payer(solana) as payer:
        yield payer


class TestATransferBySolanaPy:
    async def test_moves_the_amount(self, payer: Payer) -> None:
        before = await payer.received("confirmed")
        transaction = await payer.signed(payer.transfer(1_234_567))
        sent = await payer.client.send_transaction(transaction, TxOpts(preflight_commitment=Processed))
        assert sent.value == transaction.signatures[0]
        confirmed = await payer.client.confirm_transaction(sent.value, Confirmed)
        status = confirmed.value[0]
        assert status is not None
        assert status.err is None
        balance = await payer.client.get_token_account_balance(payer.target, Confirmed)
        assert int(balance.value.amount) == before + 1_234_567

    async def test_is_told_with_its_effects(self, payer: Payer) -> None:
        signature = await payer.pay(2_000_000)
        found = await payer.client.get_transaction(
            signature, encoding="json", commitment=Confirmed, max_supported_transaction_version=0
        )
        assert found.value is not None
        meta = found.value.transaction.meta
        assert meta is not None
        # Two signatures, and 60,000 units at one millionth of a lamport, rounded up.
        assert (meta.err, meta.fee) == (None, 10_001)
        mint = payer.wallets.mint.pubkey()
        owners = {payer.wallets.customer.pubkey(): -2_000_000, payer.wallets.merchant.pubkey(): 2_000_000}
        before = {one.owner: int(one.ui_token_amount.amount) for one in meta.pre_token_balances or []}
        after = {one.owner: int(one.ui_token_amount.amount) for one in meta.post_token_balances or []}
        assert {owner: after[owner] - before[owner] for owner in after} == owners
        assert {one.mint for one in meta.post_token_balances or []} == {mint}

    @pytest.mark.parametrize("encoding", ["json", "jsonParsed", "base64"])
    async def test_can_be_read_back_in_every_encoding(self, payer: Payer, encoding: str) -> None:
        signature = await payer.pay(5)
        found = await payer.client.get_transaction(
            signature, encoding=encoding, commitment=Confirmed, max_supported_transaction_version=0
        )
        assert found.value is not None
        assert found.value.transaction.version == 0

    async def test_parsed_it_says_what_was_transferred(self, payer: Payer) -> None:
        signature = await payer.pay(7)
        config = {"encoding": "jsonParsed", "commitment": "confirmed", "maxSupportedTransactionVersion": 0}
        found = await payer.result("getTransaction", str(signature), config)
        parsed = [one.get("parsed") for one in found["transaction"]["message"]["instructions"]]
        assert parsed[2]["type"] == "transferChecked"
        assert parsed[2]["info"]["tokenAmount"]["amount"] == "7"
        assert parsed[2]["info"]["destination"] == str(payer.target)
        assert parsed[3].startswith("no ")

    async def test_is_in_the_history_of_whom_it_touched(self, payer: Payer) -> None:
        signatures = [await payer.pay(1) for _ in range(3)]
        newest = await payer.client.get_signatures_for_address(payer.target, limit=3, commitment=Confirmed)
        assert [one.signature for one in newest.value] == signatures[::-1]
        assert newest.value[0].memo is not None
        older = await payer.client.get_signatures_for_address(payer.target, before=signatures[2], commitment=Confirmed)
        assert [one.signature for one in older.value][:2] == signatures[1::-1]
        later = await payer.client.get_signatures_for_address(payer.target, until=signatures[0], commitment=Confirmed)
        assert [one.signature for one in later.value] == signatures[:0:-1]

    async def test_holdings_are_listed_by_owner(self, payer: Payer) -> None:
        owner, mint = payer.wallets.customer.pubkey(), payer.wallets.mint.pubkey()
        found = await payer.client.get_token_accounts_by_owner_json_parsed(owner, TokenAccountOpts(mint=mint))
        assert [one.pubkey for one in found.value] == [payer.source]
        info: Any = found.value[0].account.data.parsed["info"]
        assert (info["mint"], info["owner"]) == (str(mint), str(owner))
        raw = await payer.client.get_token_accounts_by_owner(owner, TokenAccountOpts(program_id=TOKEN))
        assert raw.value[0].account.data[32:64] == bytes(owner)

    async def test_the_supply_is_what_genesis_gave(self, payer: Payer) -> None:
        supply = await payer.client.get_token_supply(payer.wallets.mint.pubkey())
        assert (supply.value.amount, supply.value.decimals) == ("5000000000", 6)


class TestCommitment:
    async def test_grows_with_the_slots(self, payer: Payer) -> None:
        transaction = await payer.signed(payer.transfer(10))
        before = await payer.received("finalized")
        await payer.send(transaction)
        signature = transaction.signatures[0]
        first = await payer.until(signature, "processed")
        assert first["confirmations"] is not None
        assert (await payer.until(signature, "confirmed"))["confirmations"] >= 1
        hidden = await payer.result("getTransaction", str(signature), {"maxSupportedTransactionVersion": 0})
        assert hidden is None
        assert await payer.received("finalized") == before
        assert await payer.received("confirmed") > before
        final = await payer.until(signature, "finalized")
        assert (final["confirmations"], final["err"]) == (None, None)
        assert await payer.received("finalized") > before
        shown = await payer.result("getTransaction", str(signature), {"maxSupportedTransactionVersion": 0})
        assert shown["slot"] == first["slot"]

    async def test_orders_the_slots_of_the_views(self, payer: Payer) -> None:
        views = [(await payer.client.get_slot(level)).value for level in (Finalized, Confirmed, Processed)]
        assert views[0] < views[1] <= views[2]
        assert 30 <= views[2] - views[0] <= 34

    async def test_a_finalized_view_does_not_know_the_newest_blockhash(self, payer: Payer) -> None:
        transaction = await payer.signed(payer.transfer(1))
        answer = await payer.send(transaction, preflightCommitment="finalized")
        assert answer["error"]["data"]["err"] == "BlockhashNotFound"
        known = (await payer.client.get_latest_blockhash(Finalized)).value
        older = await payer.signed(payer.transfer(1), blockhash=known.blockhash)
        assert "result" in await payer.send(older, preflightCommitment="finalized")

    async def test_a_slot_that_was_not_reached_is_refused(self, payer: Payer) -> None:
        answer = await payer.call("getBalance", str(payer.target), {"minContextSlot": 10**9})
        assert answer["error"]["code"] == -32016
        assert answer["error"]["data"]["contextSlot"] > 0


class TestRefusals:
    async def test_too_much_money_fails_the_preflight_with_logs(self, payer: Payer) -> None:
        before = await payer.received()
        answer = await payer.send(await payer.signed(payer.transfer(10**12)))
        error = answer["error"]
        assert error["code"] == -32002
        assert error["message"] == (
            "Transaction simulation failed: Error processing Instruction 2: custom program error: 0x1"
        )
        assert error["data"]["err"] == {"InstructionError": [2, {"Custom": 1}]}
        assert "Program log: Error: insufficient funds" in error["data"]["logs"]
        assert await payer.received() == before

    async def test_without_preflight_it_lands_failed_and_costs_its_fee(self, payer: Payer) -> None:
        fee_payer = str(payer.wallets.fee_payer.pubkey())
        before = (await payer.result("getBalance", fee_payer, {"commitment": "processed"}))["value"]
        transaction = await payer.signed(payer.transfer(10**12))
        answer = await payer.send(transaction, skipPreflight=True)
        assert answer["result"] == str(transaction.signatures[0])
        status = await payer.until(transaction.signatures[0], "confirmed")
        assert status["err"] == {"InstructionError": [2, {"Custom": 1}]}
        assert status["status"] == {"Err": status["err"]}
        after = (await payer.result("getBalance", fee_payer, {"commitment": "processed"}))["value"]
        assert before - after == 10_001

    async def test_twice_is_already_processed(self, payer: Payer) -> None:
        before = await payer.received()
        transaction = await payer.signed(payer.transfer(3))
        await payer.send(transaction)
        again = await payer.send(transaction)
        assert again["error"]["code"] == -32002
        assert again["error"]["data"]["err"] == "AlreadyProcessed"
        unchecked = await payer.send(transaction, skipPreflight=True)
        assert unchecked["result"] == str(transaction.signatures[0])
        assert await payer.received() == before + 3

    async def test_an_unknown_blockhash_is_not_found(self, payer: Payer) -> None:
        transaction = await payer.signed(payer.transfer(1), blockhash=Hash.new_unique())
        answer = await payer.send(transaction)
        assert answer["error"]["message"] == "Transaction simulation failed: Blockhash not found"
        dropped = await payer.send(transaction, skipPreflight=True)
        assert dropped["result"] == str(transaction.signatures[0])
        statuses = await payer.result("getSignatureStatuses", [dropped["result"]], {"searchTransactionHistory": True})
        assert statuses["value"] == [None]

    async def test_a_wrong_signature_is_refused(self, payer: Payer) -> None:
        good = await payer.signed(payer.transfer(1))
        bad = VersionedTransaction.populate(good.message, [good.signatures[0], Signature.default()])
        answer = await payer.send(bad)
        assert answer["error"] == {"code": -32003, "message": "Transaction signature verification failure"}
        before = await payer.received()
        await payer.send(bad, skipPreflight=True)
        assert await payer.received() == before

    async def test_a_payer_without_lamports_is_refused(self, payer: Payer) -> None:
        poor = Keypair()
        to = TransferParams(from_pubkey=poor.pubkey(), to_pubkey=payer.target, lamports=1)
        message = MessageV0.try_compile(poor.pubkey(), [transfer(to)], [], await payer.blockhash())
        answer = await payer.send(VersionedTransaction(message, [poor]))
        assert answer["error"]["data"]["err"] == "AccountNotFound"

    async def test_less_than_the_rent_cannot_be_left(self, payer: Payer) -> None:
        rich = payer.wallets.customer
        to = TransferParams(from_pubkey=rich.pubkey(), to_pubkey=Keypair().pubkey(), lamports=5)
        answer = await payer.send(await payer.signed(transfer(to)))
        assert "InsufficientFundsForRent" in answer["error"]["data"]["err"]
        assert "insufficient funds for rent" in answer["error"]["message"]

    async def test_a_version_that_the_client_did_not_ask_for_is_not_shown(self, payer: Payer) -> None:
        signature = await payer.pay(1)
        answer = await payer.call("getTransaction", str(signature), {"commitment": "confirmed"})
        assert answer["error"]["code"] == -32015

    @pytest.mark.parametrize(
        ("text", "config", "words"),
        [
            ("!!!", {"encoding": "base64"}, "invalid base64 encoding"),
            ("0OIl", {}, "invalid base58 encoding"),
            ("AAAA", {"encoding": "base64"}, "failed to deserialize"),
            ("A" * 3000, {"encoding": "base64"}, "too large"),
            (5, {"encoding": "base64"}, "invalid type"),
            ("AAAA", {"encoding": "base65"}, "unsupported encoding"),
        ],
    )
    async def test_what_is_no_transaction_is_an_invalid_parameter(
        self, payer: Payer, text: object, config: dict[str, str], words: str
    ) -> None:
        answer = await payer.call("sendTransaction", text, config)
        assert answer["error"]["code"] == -32602
        assert words in answer["error"]["message"]


class TestSimulation:
    async def test_changes_nothing_and_shows_the_accounts_after(self, payer: Payer) -> None:
        before = await payer.received()
        transaction = await payer.signed(payer.transfer(11))
        config = {
            "encoding": "base64",
            "sigVerify": True,
            "commitment": "processed",
            "accounts": {"encoding": "jsonParsed", "addresses": [str(payer.target)]},
        }
        value = (await payer.result("simulateTransaction", encoded(transaction), config))["value"]
        assert (value["err"], value["unitsConsumed"] > 0) == (None, True)
        after = value["accounts"][0]["data"]["parsed"]["info"]["tokenAmount"]["amount"]
        assert after == str(before + 11)
        assert await payer.received() == before
        assert "result" in await payer.send(transaction)

    async def test_verifies_signatures_only_when_asked(self, payer: Payer) -> None:
        good = await payer.signed(payer.transfer(1))
        unsigned = VersionedTransaction.populate(good.message, [Signature.default()] * 2)
        plain = {"encoding": "base64", "commitment": "processed"}
        loose = await payer.result("simulateTransaction", encoded(unsigned), plain)
        assert loose["value"]["err"] is None
        strict = await payer.call("simulateTransaction", encoded(unsigned), {**plain, "sigVerify": True})
        assert strict["error"]["code"] == -32003

    async def test_can_replace_an_old_blockhash(self, payer: Payer) -> None:
        old = await payer.signed(payer.transfer(1), blockhash=Hash.default())
        plain = {"encoding": "base64", "commitment": "processed"}
        refused = await payer.result("simulateTransaction", encoded(old), plain)
        assert refused["value"]["err"] == "BlockhashNotFound"
        replaced = await payer.result("simulateTransaction", encoded(old), {**plain, "replaceRecentBlockhash": True})
        assert replaced["value"]["err"] is None
        fresh = replaced["value"]["replacementBlockhash"]["blockhash"]
        valid = await payer.result("isBlockhashValid", fresh, {"commitment": "processed"})
        assert valid["value"] is True
        both = {**plain, "replaceRecentBlockhash": True, "sigVerify": True}
        assert (await payer.call("simulateTransaction", encoded(old), both))["error"]["code"] == -32602


class TestOtherMethods:
    async def test_an_airdrop_is_a_transaction(self, payer: Payer) -> None:
        someone = Keypair().pubkey()
        for _ in range(2):
            signature = (await payer.client.request_airdrop(someone, 3_000_000_000)).value
            await payer.until(signature, "confirmed")
        assert (await payer.client.get_balance(someone)).value == 6_000_000_000

    async def test_accounts_come_in_their_encodings(self, payer: Payer) -> None:
        mint = str(payer.wallets.mint.pubkey())
        parsed = await payer.result("getAccountInfo", mint, {"encoding": "jsonParsed"})
        info = parsed["value"]["data"]["parsed"]["info"]
        assert (info["decimals"], info["mintAuthority"]) == (6, str(payer.wallets.authority.pubkey()))
        raw = await payer.result("getAccountInfo", mint, {"encoding": "base64"})
        assert len(base64.b64decode(raw["value"]["data"][0])) == 82
        cut = {"encoding": "base64", "dataSlice": {"offset": 44, "length": 1}}
        sliced = await payer.result("getAccountInfo", mint, cut)
        assert base64.b64decode(sliced["value"]["data"][0]) == b"\x06"
        several = await payer.result("getMultipleAccounts", [mint, str(Keypair().pubkey())], {"encoding": "base64"})
        assert [one is None for one in several["value"]] == [False, True]
        large = await payer.call("getAccountInfo", str(payer.target))
        assert "please use Base64 encoding" in large["error"]["message"]

    async def test_a_fee_is_named_beforehand(self, payer: Payer) -> None:
        transaction = await payer.signed(payer.transfer(1))
        stale = await payer.signed(payer.transfer(1), blockhash=Hash.default())
        fees = []
        for message in (transaction.message, stale.message):
            assert isinstance(message, MessageV0)
            fees.append((await payer.client.get_fee_for_message(message)).value)
        assert fees == [10_001, None]

    async def test_the_cluster_tells_of_itself(self, payer: Payer) -> None:
        assert await payer.client.is_connected()
        assert (await payer.client.get_version()).value.solana_core
        assert (await payer.client.get_minimum_balance_for_rent_exemption(165)).value == 2_039_280
        slot = (await payer.client.get_slot(Processed)).value
        latest = (await payer.client.get_latest_blockhash(Processed)).value
        assert 148 <= latest.last_valid_block_height - slot <= 152
        assert abs((await payer.result("getBlockTime", slot)) - (await payer.result("getBlockTime", slot - 10))) == 4
        assert (await payer.result("getGenesisHash")) == (await payer.result("getGenesisHash"))

    @pytest.mark.parametrize(
        ("method", "params", "code", "words"),
        [
            ("getNothing", [], -32601, "Method not found"),
            ("getBalance", [], -32602, "at least 1 argument"),
            ("getBalance", ["short"], -32602, "WrongSize"),
            ("getBalance", ["0" * 40], -32602, "Invalid"),
            ("getBalance", [str(TOKEN), {"commitment": "maybe"}], -32602, "unknown variant `maybe`"),
            ("getTransaction", ["1" * 64, {"commitment": "processed"}], -32602, "below `confirmed`"),
            ("getTokenAccountBalance", [str(TOKEN)], -32602, "not a Token account"),
            ("getTokenSupply", [str(TOKEN)], -32602, "not a Token mint"),
            ("getTokenAccountsByOwner", [str(TOKEN), {"mint": str(TOKEN)}], -32602, "not a Token mint"),
            ("getSignaturesForAddress", [str(TOKEN), {"limit": 1001}], -32602, "Invalid limit"),
            ("getSignatureStatuses", [["1" * 64] * 257], -32602, "max 256"),
        ],
    )
    async def test_bad_calls_get_solanas_codes(
        self, payer: Payer, method: str, params: list[Any], code: int, words: str
    ) -> None:
        error = (await payer.call(method, *params))["error"]
        assert (error["code"], words in error["message"]) == (code, True), error

    async def test_a_batch_is_answered_in_its_order(self, payer: Payer) -> None:
        calls = [{"jsonrpc": "2.0", "id": f"n{number}", "method": "getSlot"} for number in range(3)]
        answers = await payer.post([*calls, {"jsonrpc": "2.0", "id": None, "method": "nope"}])
        assert [answer["id"] for answer in answers] == ["n0", "n1", "n2", None]
        assert answers[3]["error"]["code"] == -32601
        assert (await payer.post([]))["error"]["code"] == -32600
        assert (await payer.post({"method": "getSlot"}))["error"]["code"] == -32600


class TestATokenAccount:
    async def test_can_be_made_and_paid_into(self, payer: Payer) -> None:
        """The associated-token program runs for real: it calls the token and the system program."""
        owner = Keypair().pubkey()
        mint = payer.wallets.mint.pubkey()
        address = get_associated_token_address(owner, mint)
        program = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
        keys = [payer.wallets.fee_payer.pubkey(), address, owner, mint, Pubkey.default(), TOKEN]
        accounts = [AccountMeta(key, key == keys[0], index < 2) for index, key in enumerate(keys)]
        make = Instruction(program, b"\x01", accounts)
        before = (await payer.client.get_balance(payer.wallets.fee_payer.pubkey(), Processed)).value
        transaction = await payer.signed(make, make, payer.transfer(1))
        assert "result" in await payer.send(transaction), "making it twice is no fault"
        await payer.until(transaction.signatures[0], "confirmed")
        after = (await payer.client.get_balance(payer.wallets.fee_payer.pubkey(), Processed)).value
        assert before - after == 2_039_280 + 10_001
        config = {"encoding": "jsonParsed", "commitment": "confirmed", "maxSupportedTransactionVersion": 0}
        found = await payer.result("getTransaction", str(transaction.signatures[0]), config)
        inner = found["meta"]["innerInstructions"]
        assert inner[0]["index"] == 2
        assert {one["programId"] for one in inner[0]["instructions"]} == {str(TOKEN), str(Pubkey.default())}
        assert await payer.result("getTokenAccountBalance", str(address), {"commitment": "confirmed"})
