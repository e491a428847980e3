"""What a payer may ask our fee payer to sign, rule by rule, without a network."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account
from solders.transaction import VersionedTransaction

from payments.rails.solana import exact
from payments.rails.solana.exact import ExactPayment, PaymentInvalidError, Wanted, check
from payments.rails.solana.tokens import (
    COMPUTE_BUDGET_PROGRAM,
    LIGHTHOUSE_PROGRAM,
    MEMO_PROGRAM,
    TOKEN_2022_PROGRAM,
)


def wanted_of(builder: Any, **changes: Any) -> Wanted:
    plain = Wanted(
        mint=str(builder.mint),
        pay_to=str(builder.pay_to),
        amount=builder.amount,
        fee_payer=str(builder.fee_payer),
    )
    return replace(plain, **changes)


def passes(builder: Any, encoded: str | None = None, **changes: Any) -> ExactPayment:
    return check(encoded or builder.build(), wanted_of(builder, **changes))


def refused(reason: str, builder: Any, encoded: str | None = None, **changes: Any) -> None:
    with pytest.raises(PaymentInvalidError) as caught:
        passes(builder, encoded, **changes)
    assert caught.value.reason == reason


def lighthouse() -> Instruction:
    return Instruction(LIGHTHOUSE_PROGRAM, b"\x01", [AccountMeta(Pubkey.new_unique(), False, False)])


def memo(text: bytes = b"more") -> Instruction:
    return Instruction(MEMO_PROGRAM, text, [])


class TestGoodPayments:
    def test_a_clients_payment_passes(self, builder: Any) -> None:
        payment = passes(builder)
        assert payment.payer == str(builder.payer.pubkey())
        assert payment.amount == 1000
        assert len(payment.message_hash) == 64

    def test_more_than_wanted_passes(self, builder: Any) -> None:
        assert passes(builder, amount=999).amount == 1000

    def test_token_2022_passes(self, builder: Any) -> None:
        passes(replace(builder, program=TOKEN_2022_PROGRAM))

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
    def test_up_to_four_memos_and_wallet_guards_pass(self, builder: Any, count: int) -> None:
        extra = [lighthouse(), lighthouse(), memo(), lighthouse()][:count]
        passes(builder, builder.build(builder.instructions()[:3] + extra))

    def test_the_wanted_memo_passes(self, builder: Any) -> None:
        passes(replace(builder, memo=b"pi_123"), memo="pi_123")

    def test_the_fee_payers_own_signature_is_no_part_of_the_identity(self, builder: Any) -> None:
        encoded = builder.build()
        transaction = VersionedTransaction.from_bytes(base64.b64decode(encoded))
        noisy = VersionedTransaction.populate(
            transaction.message, [Signature.new_unique(), *transaction.signatures[1:]]
        )
        other = base64.b64encode(bytes(noisy)).decode()
        assert other != encoded
        assert passes(builder, other).message_hash == passes(builder, encoded).message_hash


class TestInstructions:
    def test_two_or_eight_instructions_are_refused(self, builder: Any) -> None:
        plain = builder.instructions()
        refused(exact.WRONG_COUNT, builder, builder.build(plain[:2]))
        refused(exact.WRONG_COUNT, builder, builder.build(plain + [lighthouse()] * 4))

    def test_compute_instructions_in_the_other_order_are_refused(self, builder: Any) -> None:
        limit, price, *rest = builder.instructions()
        refused(exact.WRONG_LIMIT, builder, builder.build([price, limit, *rest]))

    @pytest.mark.parametrize("data", [b"", b"\x02", b"\x02" + b"\x01" * 8, b"\x01\x00\x00\x00\x00"])
    def test_a_malformed_limit_is_refused(self, builder: Any, data: bytes) -> None:
        _, *rest = builder.instructions()
        refused(exact.WRONG_LIMIT, builder, builder.build([Instruction(COMPUTE_BUDGET_PROGRAM, data, []), *rest]))

    def test_too_many_compute_units_are_refused(self, builder: Any) -> None:
        refused(exact.WRONG_LIMIT, replace(builder, units=exact.MAX_COMPUTE_UNITS + 1))

    @pytest.mark.parametrize(("units", "microlamports"), [(1000, 5_000_001), (400_000, 1_300_000), (1, 2**64 - 1)])
    def test_an_expensive_price_is_refused(self, builder: Any, units: int, microlamports: int) -> None:
        refused(exact.PRICE_TOO_HIGH, replace(builder, units=units, microlamports=microlamports))

    def test_the_priority_fee_is_rounded_up(self, builder: Any) -> None:
        assert passes(replace(builder, units=20_000, microlamports=1)).priority_fee_lamports == 1
        assert passes(replace(builder, units=100_000, microlamports=5_000_000)).priority_fee_lamports == 500_000

    def test_a_plain_transfer_is_refused(self, builder: Any) -> None:
        limit, price, transfer, note = builder.instructions()
        plain = Instruction(transfer.program_id, b"\x03" + builder.amount.to_bytes(8, "little"), transfer.accounts)
        refused(exact.NO_TRANSFER, builder, builder.build([limit, price, plain, note]))

    def test_a_transfer_of_another_program_is_refused(self, builder: Any) -> None:
        limit, price, transfer, note = builder.instructions()
        foreign = Instruction(Pubkey.new_unique(), transfer.data, transfer.accounts)
        refused(exact.NO_TRANSFER, builder, builder.build([limit, price, foreign, note]))

    def test_a_multisig_owner_is_refused(self, builder: Any) -> None:
        limit, price, transfer, note = builder.instructions()
        other = Keypair()
        more = Instruction(
            transfer.program_id, transfer.data, [*transfer.accounts, AccountMeta(other.pubkey(), True, False)]
        )
        encoded = builder.build([limit, price, more, note], signers=(other,))
        refused(exact.NO_TRANSFER, builder, encoded)

    @pytest.mark.parametrize(("before", "reason"), [(0, "fourth"), (1, "fifth"), (2, "sixth"), (3, "seventh")])
    def test_a_foreign_optional_instruction_is_refused_by_its_place(
        self, builder: Any, before: int, reason: str
    ) -> None:
        foreign = Instruction(Pubkey.new_unique(), b"", [])
        encoded = builder.build(builder.instructions()[:3] + [lighthouse()] * before + [foreign])
        refused(f"invalid_exact_svm_payload_unknown_{reason}_instruction", builder, encoded)

    def test_memos_must_be_exactly_the_wanted_one(self, builder: Any) -> None:
        wanted = replace(builder, memo=b"pi_123")
        refused(exact.WRONG_MEMO, builder, memo="pi_123")
        refused(exact.WRONG_MEMO_COUNT, wanted, wanted.build([*wanted.instructions(), memo()]), memo="pi_123")
        refused(exact.WRONG_MEMO_COUNT, wanted, wanted.build(wanted.instructions()[:3]), memo="pi_123")


class TestWhatIsMoved:
    def test_too_little_is_refused(self, builder: Any) -> None:
        refused(exact.TOO_LITTLE, builder, amount=1001)

    def test_another_mint_is_refused(self, builder: Any) -> None:
        refused(exact.WRONG_MINT, builder, mint=str(Pubkey.new_unique()))

    def test_another_recipient_is_refused(self, builder: Any) -> None:
        refused(exact.WRONG_RECIPIENT, builder, pay_to=str(Pubkey.new_unique()))

    def test_paying_the_wallet_instead_of_its_token_account_is_refused(self, builder: Any) -> None:
        limit, price, transfer, note = builder.instructions()
        accounts = list(transfer.accounts)
        accounts[2] = AccountMeta(builder.pay_to, False, True)
        encoded = builder.build([limit, price, Instruction(transfer.program_id, transfer.data, accounts), note])
        refused(exact.WRONG_RECIPIENT, builder, encoded)

    def test_moving_tokens_onto_themselves_is_refused(self, builder: Any) -> None:
        refused(exact.WRONG_RECIPIENT, replace(builder, pay_to=builder.payer.pubkey()))


class TestTheFeePayersMoney:
    def test_a_transfer_of_the_fee_payers_own_tokens_is_refused(self, builder: Any) -> None:
        own = replace(builder, fee_payer=builder.payer.pubkey())
        refused(exact.FEE_PAYER_TRANSFERS, own)

    def test_another_fee_payer_is_refused(self, builder: Any) -> None:
        refused(exact.FOREIGN_FEE_PAYER, builder, fee_payer=str(Pubkey.new_unique()))

    @pytest.mark.parametrize("program", [MEMO_PROGRAM, LIGHTHOUSE_PROGRAM])
    def test_the_fee_payer_in_any_instructions_accounts_is_refused(self, builder: Any, program: Pubkey) -> None:
        sneaky = Instruction(program, b"x", [AccountMeta(builder.fee_payer, True, True)])
        refused(exact.FEE_PAYER_IN_ACCOUNTS, builder, builder.build([*builder.instructions()[:3], sneaky]))

    def test_a_further_signer_is_refused(self, builder: Any) -> None:
        other = Keypair()
        signed_memo = Instruction(MEMO_PROGRAM, b"x", [AccountMeta(other.pubkey(), True, False)])
        encoded = builder.build([*builder.instructions()[:3], signed_memo], signers=(other,))
        refused(exact.WRONG_SIGNERS, builder, encoded)

    def test_a_payment_that_its_payer_did_not_sign_is_refused(self, builder: Any) -> None:
        message = builder.message()
        forged = Keypair().sign_message(to_bytes_versioned(message))
        raw = bytes(VersionedTransaction.populate(message, [Signature.default(), forged]))
        refused(exact.WRONG_SIGNATURE, builder, base64.b64encode(raw).decode())

    def test_lookup_tables_are_refused(self, builder: Any) -> None:
        plain = builder.instructions()
        table = AddressLookupTableAccount(Pubkey.new_unique(), [builder.mint])
        message = MessageV0.try_compile(builder.fee_payer, plain, [table], Hash.hash(b"recent"))
        assert message.address_table_lookups
        signature = builder.payer.sign_message(to_bytes_versioned(message))
        raw = bytes(VersionedTransaction.populate(message, [Signature.default(), signature]))
        refused(exact.LOOKUP_TABLES, builder, base64.b64encode(raw).decode())

    def test_a_durable_nonce_is_refused(self, builder: Any) -> None:
        advance = advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=Pubkey.new_unique(), authorized_pubkey=builder.payer.pubkey())
        )
        refused(exact.DURABLE_NONCE, builder, builder.build([advance, *builder.instructions()]))


class TestMalformedInput:
    @pytest.mark.parametrize("text", ["", "tea", "AAAA", "!!!!", base64.b64encode(b"\x01" * 1300).decode()])
    def test_what_is_no_transaction_is_refused(self, builder: Any, text: str) -> None:
        with pytest.raises(PaymentInvalidError) as caught:
            check(text, wanted_of(builder))
        assert caught.value.reason == exact.NOT_DECODED

    def test_bytes_behind_the_transaction_are_refused(self, builder: Any) -> None:
        raw = base64.b64decode(builder.build()) + b"\x00"
        refused(exact.NOT_DECODED, builder, base64.b64encode(raw).decode())

    @given(noise=st.binary(max_size=600))
    @settings(max_examples=300, deadline=None)
    def test_any_bytes_give_the_one_error(self, noise: bytes) -> None:
        payer = Keypair.from_seed(b"\x05" * 32)
        order = Wanted(mint=str(payer.pubkey()), pay_to=str(payer.pubkey()), amount=1, fee_payer=str(payer.pubkey()))
        with pytest.raises(PaymentInvalidError):
            check(base64.b64encode(noise).decode(), order)

    def test_no_changed_byte_of_a_signed_payment_passes_as_another_payment(self, builder: Any) -> None:
        raw = base64.b64decode(builder.build())
        good = passes(builder)
        fee_payer_signature = range(1, 65)
        for place in range(len(raw)):
            changed = raw[:place] + bytes([raw[place] ^ 0x01]) + raw[place + 1 :]
            try:
                found = passes(builder, base64.b64encode(changed).decode())
            except PaymentInvalidError:
                continue
            assert place in fee_payer_signature
            assert found.message_hash == good.message_hash
