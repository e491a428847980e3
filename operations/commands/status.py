"""`./railyard status`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from operations.commands.arguments import Emulated, Json, Recorded, StackName

if TYPE_CHECKING:
    from operations.local_stack import Deployed


def status(
    stack: StackName = "local", as_json: Json = False, emulated: Emulated = False, recorded: Recorded = False
) -> None:
    """Show what runs where, which release it is, and whether the ledger balances. Asks each service itself."""
    from operations.errors import OperationError
    from operations.stacks import CLOUD

    if emulated or stack in CLOUD:
        from operations.emulated import commands

        commands.status(stack, as_json=as_json, only_recorded=recorded)
        return
    if recorded:
        raise OperationError("--recorded is of an emulated stack: what runs on this machine is real.", exit_code=2)
    from operations.local_stack import deployed
    from operations.probes import crashes, probe_all

    there = deployed(stack)
    probed = probe_all(there.outputs.services)
    book = _ledger(there)
    if as_json:
        from operations.report import DOWN, RUNNING

        document = {
            "stack": stack,
            "platform": "local",
            "release": there.outputs.release,
            "url": there.outputs.url,
            "services": [
                {
                    "name": service.name,
                    "state": RUNNING if answers else DOWN,
                    "address": service.address,
                    "crashes": crashes(service),
                }
                for service, answers in probed
            ],
            "ledger": book,
            "state": str(there.opened.state.folder),
            "engine": there.opened.engine.kind,
        }
        print(json.dumps(document, indent=2))  # noqa: T201
        return
    from operations import report
    from operations.screen import screen

    console = screen()
    console.print(f"{stack}, release {there.outputs.release}, at {there.outputs.url}")
    console.print(f"state in {there.opened.state.folder} ({there.opened.engine.title})\n")
    report.services(console, probed, there.outputs.versions, there.outputs.release)
    console.print()
    if "error" in book:
        console.print(f"Ledger: {book['error']}")
    else:
        report.ledger(console, book)
    for service, _ in probed:
        if number := crashes(service):
            console.print(
                f"\n{service.name} crashed {number}x since up started it, and was started again: "
                f"./railyard logs {service.name} tells why, ./railyard up puts all in order."
            )
    if not all(answers for _, answers in probed):
        console.print("\nSomething is down: ./railyard up starts it again.")


def _ledger(there: Deployed) -> dict[str, Any]:
    """The ledger as the service tells it; with `balanced` null and the reason where it cannot."""
    from operations.errors import OperationError

    try:
        with there.service() as service:
            return service.get("/v1/ledger")
    except OperationError as reason:
        return {"balanced": None, "error": reason.sentence}
