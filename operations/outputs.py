"""The outputs of a stack, as the program exports them and the commands use them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from operations.errors import OperationError

if TYPE_CHECKING:
    from pulumi.automation import Stack


class _Output(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Health(_Output):
    """How to see that a service answers: a connection, or a GET of `path`."""

    kind: Literal["tcp", "http", "https"]
    path: str = "/"


class Service(_Output):
    """One process of the stack: `address` is "127.0.0.1:<port>", `log` the path of its log."""

    name: str
    address: str
    health: Health
    log: str = ""

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])


class LightningCounterpart(_Output):
    """The customer's Lightning node: its REST address, certificate and macaroon files."""

    url: str
    tls_cert_path: str
    macaroon_path: str


class SolanaCounterpart(_Output):
    """The Solana network and the customer's wallet (`customer_keypair` is base58 of 64 bytes, secret)."""

    rpc_url: str
    customer_keypair: str = Field(repr=False)
    mint: str
    fee_payer: str


class BitcoinCounterpart(_Output):
    """The Bitcoin chain: its Esplora, with a faucet and a miner under /sandbox/."""

    url: str


class RiverCounterpart(_Output):
    """The custodian: its API, with a customer under /sandbox/."""

    url: str


class Counterparts(_Output):
    lightning: LightningCounterpart
    bitcoin: BitcoinCounterpart
    river: RiverCounterpart
    solana: SolanaCounterpart


class Outputs(_Output):
    """What a deployed stack tells: which release serves where, what runs, and how a customer reaches its own side."""

    release: str
    url: str
    services: tuple[Service, ...]
    network: str
    bootstrap_admin_key: str = Field(repr=False)
    counterparts: Counterparts
    versions: dict[str, str] = {}

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Read exported values.

        Raises:
            OperationError: the update that should have exported them never ended.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lacking = ", ".join(sorted({".".join(str(part) for part in e["loc"]) for e in error.errors()}))
            raise OperationError(
                f"the stack is only partly deployed (its outputs lack {lacking}): run ./railyard up to finish it."
            ) from None

    def as_json(self) -> str:
        """All of it, secrets included: for the stdin of a process of ours, never for a screen or an argument."""
        return json.dumps(self.model_dump(by_alias=True))


def read_outputs(stack: Stack) -> dict[str, Any]:
    """The stack's exported values with secrets in plain text; empty when nothing is deployed."""
    from operations.engine_errors import in_one_sentence

    with in_one_sentence():
        return {key: output.value for key, output in stack.outputs().items()}
