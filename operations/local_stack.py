"""A deployed local stack as the commands use it: its outputs, its API, and the merchant's wallet."""

from __future__ import annotations

from dataclasses import dataclass

from components.settings import Settings
from operations.outputs import Outputs, read_outputs
from operations.service import PaymentService, signed_in
from operations.settings_file import SETTINGS, read_settings
from operations.stacks import Opened, not_deployed, open_stack


@dataclass(frozen=True)
class Deployed:
    """An opened stack with its outputs."""

    opened: Opened
    outputs: Outputs

    def service(self) -> PaymentService:
        """A client with an API key of its own.

        Raises:
            OperationError: the service does not answer.
        """
        service = PaymentService(self.outputs.url)
        return signed_in(service, self.outputs.bootstrap_admin_key, self.opened.state.own / "api-key")


def pay_to() -> str:
    """The merchant's Solana wallet, from the settings."""
    return Settings.from_mapping(read_settings(SETTINGS).get("config") or {}).solana_pay_to


def deployed(stack: str) -> Deployed:
    """Open a stack that is deployed.

    Raises:
        OperationError: it is unknown, not deployed, or only in part.
    """
    opened = open_stack(stack, make_state=False)
    if not opened.exists():
        raise not_deployed(stack)
    values = read_outputs(opened.select())
    if not values:
        raise not_deployed(stack)
    return Deployed(opened, Outputs.parse(values))
