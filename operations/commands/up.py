"""`./railyard up`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from operations.commands.arguments import Emulated, Refresh, StackName

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from operations.local_stack import Deployed
    from operations.payment.receipt import Receipt
    from operations.progress import Phases

NEXT = (
    ("./railyard status", "what runs where, and the ledger"),
    ("./railyard pay", "pay it once more"),
    ("./railyard keys create", "an API key of your own"),
    ("./railyard logs web-blue", "what the service says"),
    ("./railyard down", "end it all"),
)


def up(stack: StackName = "local", emulated: Emulated = False, refresh: Refresh = False) -> None:
    """Make or heal the stack, check it, and have it paid on every rail.

    The update is planned against what really runs and passes the policies before anything is made. Then the running
    stack is verified, and paid: over Lightning, by x402, on the Bitcoin chain and by River. What is as it should be
    stays untouched.
    """
    if emulated:
        from operations.emulated import commands

        commands.up(stack, refresh=refresh)
        return
    from operations.checkout import State
    from operations.converging import converge, prepare
    from operations.local_stack import Deployed
    from operations.locks import railyard_lock
    from operations.outputs import Outputs, read_outputs
    from operations.progress import Phases
    from operations.screen import screen
    from operations.stacks import require_local

    require_local(stack)
    console = screen()
    phases = Phases(console)
    state = State.of_this_checkout()
    state.make()
    with railyard_lock(state, "up"):
        phases.add("environment", float(os.environ.pop("RAILYARD_ENVIRONMENT_SECONDS", "0")))
        prepared = prepare(stack, state, phases)
        changed = converge(prepared, phases)
        deployed = Deployed(prepared.opened, Outputs.parse(read_outputs(prepared.stack)))
        if changed or not _healthy(deployed, phases):
            _verify(deployed, phases)
        receipts = _pay(deployed, phases, changed=changed)
        _tell(console, deployed, receipts, phases)


def _healthy(deployed: Deployed, phases: Phases) -> bool:
    """A quick look at a stack that was verified as it is: every process answers and the service says it is ready."""
    from operations.errors import OperationError
    from operations.probes import probe_all
    from operations.service import PaymentService

    if not _verified(deployed).exists():
        return False
    with phases.phase("health") as phase:
        probed = probe_all(deployed.outputs.services)
        silent = [service.name for service, answers in probed if not answers]
        if silent:
            phase.outcome = f"no answer from {', '.join(silent)}"
            return False
        try:
            with PaymentService(deployed.outputs.url) as service:
                service.get("/ready")
        except OperationError as refused:
            phase.outcome = refused.sentence
            return False
        phase.outcome = f"{len(probed)} processes answer, the service is ready"
        return True


def _verified(deployed: Deployed) -> Path:
    """There while nothing has changed since the last verification, which found nothing that blocks."""
    return deployed.opened.state.own / "verified"


def _verify(deployed: Deployed, phases: Phases) -> None:
    from operations.errors import OperationError
    from operations.files import write_private
    from operations.verification import verify

    _verified(deployed).unlink(missing_ok=True)
    with phases.phase("verification") as phase:
        phase.doing("asking the running stack")
        verdict = verify(deployed.outputs, deployed.opened.state)
        phase.outcome = verdict.summary
        if verdict.findings:
            phases.say(verdict.findings)
        if not verdict.passed:
            raise OperationError(
                f"the stack runs, but the verification found what must not be: see above and "
                f"{deployed.opened.state.reports / 'verify.xml'}"
            )
    write_private(_verified(deployed), deployed.outputs.release)


def _pay(deployed: Deployed, phases: Phases, *, changed: bool) -> list[Receipt]:
    """Pay on every rail when something changed, or when this stack has never been paid."""
    from operations.files import write_private
    from operations.local_stack import pay_to
    from operations.payment import Rail, pay

    paid = deployed.opened.state.own / "paid"
    if not changed and paid.exists():
        return []
    receipts = []
    with phases.phase("payments") as phase, deployed.service() as service:
        phase.doing("a customer pays on each rail")
        for receipt in pay(service, deployed.outputs, Rail.ALL, pay_to=pay_to(), amount=None):
            receipts.append(receipt)
            phase.doing(f"paid {', '.join(one.rail for one in receipts)}")
        phase.outcome = ", ".join(
            f"{one.rail} {one.price}" + (f" ({one.note})" if one.note else "") for one in receipts
        )
        write_private(paid, deployed.outputs.release)
    return receipts


def _tell(console: Console, deployed: Deployed, receipts: list[Receipt], phases: Phases) -> None:
    from rich.text import Text

    from operations import report
    from operations.probes import probe_all

    outputs = deployed.outputs
    console.print()
    report.services(console, probe_all(outputs.services), outputs.versions, outputs.release)
    console.print()
    for receipt in receipts:
        console.print(report.receipt(receipt))
    with deployed.service() as service:
        report.ledger(console, service.get("/v1/ledger"))
    took = sum(phases.seconds.values())
    console.print()
    console.print(Text.assemble(("Railyard is up", "bold green"), " at ", (outputs.url, "bold"), f"  ({took:.1f} s)"))
    for command, what in NEXT:
        console.print(f"  {command:<26}{what}")
