"""`./railyard pay`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from operations.commands.arguments import Json, StackName
from operations.payment import Rail


def pay(
    stack: StackName = "local",
    rail: Annotated[Rail, typer.Option(help="How to pay.", case_sensitive=False)] = Rail.ALL,
    amount: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Satoshi on lightning, onchain and river, millionths of a USDC by x402. "
            "Default: 1000 sat, on the chain 10000 sat, 10000 = 1 cent.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Pay the service as a customer does, and show the receipt.

    Lightning: the service makes an invoice and the customer's node pays it. x402: the customer signs a USDC transfer,
    which the service verifies and settles. On-chain: a faucet pays an address of the service and mines a block. River:
    a customer of the custodian pays the service's invoice.
    """
    from operations.errors import OperationError
    from operations.local_stack import deployed, pay_to
    from operations.payment import pay as pay_on

    if amount is not None and rail is Rail.ALL:
        raise OperationError(
            "--amount is in the unit of one rail: name it with --rail lightning, x402, onchain or river.", exit_code=2
        )
    there = deployed(stack)
    with there.service() as service:
        receipts = list(pay_on(service, there.outputs, rail, pay_to=pay_to(), amount=amount))
    if as_json:
        print(json.dumps([receipt.as_json() for receipt in receipts], indent=2))  # noqa: T201
        return
    from operations import report
    from operations.screen import screen

    console = screen()
    for receipt in receipts:
        console.print(report.receipt(receipt))
