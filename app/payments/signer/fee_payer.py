"""The Solana fee payer's key: signs x402 payments that passed every check, and nothing else."""

from pydantic import SecretStr
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.transaction import VersionedTransaction

from payments.rails.solana import exact


class FeePayerError(Exception):
    """The key cannot be used; the message is one sentence without it."""


class FeePayer:
    """Signs as fee payer.

    Args:
        secret: base58 of the 64-byte keypair (SOLANA_FEE_PAYER).

    Raises:
        FeePayerError: it is no keypair.
    """

    def __init__(self, secret: SecretStr) -> None:
        try:
            self._keypair = Keypair.from_base58_string(secret.get_secret_value().strip())
        except ValueError:
            raise FeePayerError("SOLANA_FEE_PAYER is no base58 of a 64-byte Solana keypair.") from None

    @property
    def address(self) -> str:
        """Public key, base58."""
        return str(self._keypair.pubkey())

    def sign(self, encoded: str, wanted: exact.Wanted) -> tuple[str, bytes]:
        """Checks the transaction once more, whoever stored it, and completes it.

        Args:
            encoded: partially signed, base64.
            wanted: what it must do; its fee payer must be this key.

        Returns:
            The signature that names the transaction on the chain, and the complete transaction. Ed25519 signatures are
            deterministic: signing again gives the same.

        Raises:
            PaymentInvalidError: it does something else.
        """
        payment = exact.check(encoded, wanted)
        if wanted.fee_payer != self.address:
            raise exact.PaymentInvalidError(exact.FOREIGN_FEE_PAYER, "The fee payer is another key.", payment.payer)
        message = payment.transaction.message
        signature = self._keypair.sign_message(to_bytes_versioned(message))
        signatures = [signature, *payment.transaction.signatures[1:]]
        return str(signature), bytes(VersionedTransaction.populate(message, signatures))

    def __repr__(self) -> str:
        return f"FeePayer({self.address})"
