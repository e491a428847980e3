"""The public address of a Solana keypair. The address is no secret, though it is computed from one."""

from __future__ import annotations

import pulumi


def address(keypair: str) -> str:
    """base58 address of a keypair that is base58 of its 64 bytes.

    Raises:
        pulumi.RunError: it is no such keypair; the value is not repeated.
    """
    from solders.keypair import Keypair  # in the apply that needs it, not in every import of the program

    try:
        return str(Keypair.from_base58_string(keypair).pubkey())
    except ValueError:
        raise pulumi.RunError(
            "A Solana wallet in the settings is no base58 keypair of 64 bytes: remove the key and run ./railyard up, "
            "which generates a new one."
        ) from None


def address_of(keypair: pulumi.Input[str]) -> pulumi.Output[str]:
    """The address of a secret keypair, not secret itself."""
    return pulumi.Output.unsecret(pulumi.Output.from_input(keypair).apply(address))
