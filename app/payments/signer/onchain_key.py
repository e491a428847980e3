"""The on-chain wallet's key: signs a payout that does exactly what was accepted, and nothing else."""

import bdkpython as bdk
from pydantic import SecretStr

from payments.rails.onchain.errors import OnchainConfigError, OnchainRefusedError
from payments.rails.onchain.wallet import descriptors_of, holds_key


class OnchainKey:
    """Signs for one descriptor.

    Args:
        secret: descriptor with the private key and both branches (ONCHAIN_SIGNING_DESCRIPTOR).
        public: what the rail watches (ONCHAIN_DESCRIPTOR); both must be the same wallet.
        network: BDK's.

    Raises:
        OnchainConfigError: it is no descriptor, holds no key, or is another wallet's. The sentence does not hold it.
    """

    def __init__(self, secret: SecretStr, public: str, network: bdk.Network) -> None:
        self._network = network
        self._branches = descriptors_of(secret.get_secret_value(), network, setting="ONCHAIN_SIGNING_DESCRIPTOR")
        if not holds_key(self._branches[0]):
            raise OnchainConfigError("ONCHAIN_SIGNING_DESCRIPTOR holds no private key: give it to the worker alone.")
        watched = descriptors_of(public, network, setting="ONCHAIN_DESCRIPTOR")
        for own, other in zip(self._branches, watched, strict=True):
            if str(own.derive_address(0, network)) != str(other.derive_address(0, network)):
                raise OnchainConfigError("ONCHAIN_SIGNING_DESCRIPTOR is another wallet than ONCHAIN_DESCRIPTOR.")

    def sign(self, psbt: str, *, address: str, sats: int, max_fee_sats: int, change_number: int) -> bytes:
        """Checks the draft once more, whoever stored it, and completes it.

        Args:
            psbt: unsigned, base64.
            address, sats: what must be paid.
            max_fee_sats: what the network may take at most.
            change_number: index of our change address; every other output must go there.

        Raises:
            RailRefusedError: it does something else.
        """
        draft = bdk.Psbt(psbt)
        payee = bdk.Address(address, self._network).script_pubkey().to_bytes()
        change = self._branches[1].derive_address(change_number, self._network).script_pubkey().to_bytes()
        outputs = [
            (bytes(one.script_pubkey.to_bytes()), one.value.to_sat())
            for one in draft.extract_tx_unchecked_fee_rate().output()
        ]
        if (payee, sats) not in outputs:
            raise OnchainRefusedError("The signer was given a transaction that does not pay what was accepted.")
        outputs.remove((payee, sats))
        if len(outputs) > 1 or any(script != change for script, _ in outputs):
            raise OnchainRefusedError("The signer was given a transaction that pays somebody else.")
        if draft.fee() > max_fee_sats:
            raise OnchainRefusedError("The signer was given a transaction whose fee is above its cap.")
        wallet = bdk.Wallet(self._branches[0], self._branches[1], self._network, bdk.Persister.new_in_memory())
        if not wallet.sign(draft):
            raise OnchainRefusedError("The signer has not the key of every input.")
        return bytes(draft.extract_tx_unchecked_fee_rate().serialize())

    def __repr__(self) -> str:
        return "OnchainKey(...)"
