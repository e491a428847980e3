"""What `up`, `preview`, `status` and `down` do with --emulated."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from components.settings import NAMESPACE, Settings
from operations.converging import Prepared, converge, last_update_ended_well, plan, summary
from operations.deployment import destroy, release_stale_locks, update
from operations.emulated.leftovers import leftovers
from operations.emulated.provider_processes import ATTACH, recorded
from operations.emulated.recorded import listing, recorded_of
from operations.emulated.recorded import summary as summary_of_recorded
from operations.emulated.stack import EmulatedStack
from operations.engine_errors import in_one_sentence
from operations.errors import OperationError
from operations.locks import railyard_lock
from operations.progress import Phases
from operations.screen import screen
from operations.watching import DONE, Watcher, name_of

if TYPE_CHECKING:
    from pulumi.automation import Stack

# How a state says that a value is a secret: pulumi's sdk/go/common/resource/sig.
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
GUARD = f"{NAMESPACE}:deletionProtection"


def up(name: str, *, refresh: bool = False) -> None:
    """Make or heal an emulated stack.

    Args:
        refresh: look first at what the account has, which nobody else changes as a rule.
    """
    emulated = EmulatedStack.of_this_checkout(name)
    phases = Phases(screen())
    phases.add("environment", float(os.environ.pop("RAILYARD_ENVIRONMENT_SECONDS", "0")))
    emulated.make()
    with (
        railyard_lock(emulated.state, f"up {name} --emulated"),
        _prepared(emulated, phases, refresh=refresh) as prepared,
    ):
        converge(prepared, phases)
        found = _resources(prepared.stack)
        lines = summary_of_recorded(recorded_of(found, recorded()), name)
    phases.say("\n".join(["", *lines, ""]) if lines else "")
    phases.say(f"{name} is up in the emulated account at {emulated.account.url()}: {len(found)} resources.")
    phases.say(f"  ./railyard status {name} --json            its addresses and outputs")
    phases.say(f"  ./railyard down {name} --emulated --yes    ends it")


def preview(name: str, *, refresh: bool = False) -> None:
    """Show what `up` would change."""
    emulated = EmulatedStack.of_this_checkout(name)
    phases = Phases(screen())
    emulated.make()
    with (
        railyard_lock(emulated.state, f"preview {name} --emulated"),
        _prepared(emulated, phases, refresh=refresh) as prepared,
    ):
        watcher = plan(prepared, phases)
    for operation, kind, resource in watcher.steps:
        phases.console.print(f"  {DONE.get(operation, operation)} {kind} {resource}")
    if watcher.steps:
        phases.say(f"\nRun ./railyard up {name} --emulated to do it.")


def status(name: str, *, as_json: bool, only_recorded: bool = False) -> None:
    """Show an emulated stack's addresses, outputs and how many resources it has; as JSON also what is only recorded.

    Args:
        only_recorded: show nothing but each property that the account does not have or tell, and why.

    Raises:
        OperationError: it is not deployed.
    """
    emulated = EmulatedStack.of_this_checkout(name)
    if not emulated.exists():
        raise OperationError(f"the stack {name} is not deployed here: run ./railyard up {name} --emulated first.")
    there = emulated.opened()
    stack = there.select()
    if only_recorded and not as_json:
        Phases(screen()).say("\n".join(listing(recorded_of(_resources(stack), recorded()))))
        return
    outputs = _outputs(stack)
    url = emulated.account.url()
    document = {
        "stack": name,
        "platform": _platform(emulated),
        "emulated": True,
        "endpoints": {"aws": url or None, **({"kubernetes": emulated.cluster.url} if emulated.cluster.url else {})},
        "running": bool(url),
        "resources": len(_resources(stack)),
        "outputs": outputs,
        "state": str(emulated.state.folder),
        "engine": there.engine.kind,
    }
    if as_json:
        document["recorded"] = recorded_of(_resources(stack), recorded())
        print(json.dumps(document, indent=2))  # noqa: T201
        return
    phases = Phases(screen())
    phases.say(f"{name}, emulated on this machine, {document['resources']} resources")
    phases.say(f"account at {url}" if url else f"the account is gone: ./railyard up {name} --emulated makes it again")
    phases.say(f"state in {emulated.state.folder} ({there.engine.title})\n")
    for key, value in outputs.items():
        phases.say(f"  {key:<24} {'[secret]' if value is None else value}")


def down(name: str) -> None:
    """End an emulated stack: its resources, its account, its folder.

    Raises:
        OperationError: the resources could not be ended one by one; account and folder have ended all the same.
    """
    emulated = EmulatedStack.of_this_checkout(name)
    phases = Phases(screen())
    if not emulated.state.folder.exists():
        phases.say(f"The stack {name} is not emulated here: there is nothing to end.")
        return
    with railyard_lock(emulated.state, f"down {name} --emulated"):
        kept: list[str] = []
        stuck: OperationError | None = None
        if emulated.exists() and emulated.account.url():
            try:
                kept = _empty(emulated, phases)
            except OperationError as error:
                # What cannot be updated could not be brought down either, and nothing in the account is anybody's.
                stuck = error
        elif emulated.exists():
            phases.note("the emulated account's process was gone already, and with it all that was in it.")
        with phases.phase("account") as phase:
            emulated.account.end()
            emulated.cluster.end()
            phase.outcome = "the emulated account has ended, and with it all that was in it"
        for sentence in kept:
            phases.note(sentence)
    shutil.rmtree(emulated.state.folder)
    if stuck is not None:
        raise OperationError(
            f"the emulated stack {name} is down, but its resources could not be destroyed first: {stuck.sentence}"
        )
    phases.say(f"The emulated stack {name} is down. Nothing of it is left.")


@contextmanager
def _prepared(
    emulated: EmulatedStack, phases: Phases, *, refresh: bool = False, unguarded: bool = False
) -> Iterator[Prepared]:
    """The stack with settings, secrets, a running account and running providers.

    What is in the account is looked at when asked for, and where it may not be what the state says: the account is a
    new one, or the last update broke off.
    """
    settings = emulated.copy_settings()
    refresh = refresh or not emulated.account.url()
    url = _account(emulated, settings, phases)
    cluster = _cluster(emulated, settings, phases)
    with emulated.at_work(url, cluster) as (there, providers):
        with phases.phase("settings") as phase:
            stack = there.create_or_select()
            made = emulated.generate_missing(there, settings, phase.doing)
            if unguarded:
                with in_one_sentence():
                    _set_plain(stack, GUARD, "false")
            phase.outcome = f"{there.engine.title}, a copy of {emulated.settings.name}"
            phase.outcome += f", {made} stand-ins for secrets made" if made else ""
            refresh = refresh or not last_update_ended_well(stack)
            there.workspace.env_vars = {**(there.workspace.env_vars or {}), ATTACH: providers.addresses}
        yield Prepared(there, stack, lambda: None, refresh)


def _account(emulated: EmulatedStack, settings: Settings, phases: Phases) -> str:
    """The URL of the running account; one that died is started again, empty, and said so."""
    account = emulated.account
    url = account.url()
    if url:
        return url
    if emulated.exists() and account.was_started():
        phases.note(
            "the emulated account's process was gone, and with it all that was in it: an empty one is started, "
            "and what the stack had is made again."
        )
    with phases.phase("account") as phase:
        phase.doing("starting the emulated account")
        url = account.start(settings.account_id or "123456789012")
        phase.outcome = f"emulated at {url}"
    return url


def _cluster(emulated: EmulatedStack, settings: Settings, phases: Phases) -> str:
    """The URL of the running cluster of a stack on Kubernetes; "" of any other.

    One that died is started again with what was in it. A stack that left Kubernetes keeps its cluster until it is down.
    """
    cluster = emulated.cluster
    if cluster.url or settings.platform != "kubernetes":
        return cluster.url
    with phases.phase("cluster") as phase:
        if cluster.needs_building():
            phase.doing("building Kubernetes from Go modules, once: about 10 minutes of processor time")
        else:
            phase.doing("starting the emulated Kubernetes")
        url = cluster.start()
        phase.outcome = f"Kubernetes at {url}, its nodes played by kwok"
    return url


def _empty(emulated: EmulatedStack, phases: Phases) -> list[str]:
    """Destroy what the stack made; returns what stays in the account, a sentence each."""
    guarded = any(resource.get("protect") for resource in _resources(emulated.opened().select()))
    with _prepared(emulated, phases, unguarded=guarded) as prepared:
        for lock in release_stale_locks(prepared.stack, emulated.state):
            phases.note(f"the lock of {lock.holder} was stale: its process is gone.")
        if guarded:
            # What a person does before a real `down`: deletion protection off, and deployed.
            with phases.phase("unprotect") as phase:
                watcher = Watcher(doing=phase.doing)
                update(prepared.stack, watcher, "railyard down: deletion protection off", refresh=prepared.refresh)
                phase.outcome = summary(watcher.changes, done=True)
        before = _resources(prepared.stack)
        with phases.phase("destroy") as phase:
            watcher = Watcher(doing=phase.doing)
            if not phases.console.is_terminal:
                watcher.done = phases.note
            destroy(prepared.stack, watcher)
            phase.outcome = summary(watcher.changes, done=True)
    return _left(before, emulated.account.url(), emulated.copy_settings().region)


def _left(before: list[dict[str, Any]], url: str, region: str) -> list[str]:
    """What a destroy leaves in the account, and why: as the stack says it, and as the account does."""
    lacking = recorded()
    retained = [resource for resource in before if resource.get("retainOnDelete")]
    sentences = [f"retained on purpose: {name_of(resource['urn'])} ({resource['type']})" for resource in retained]
    for resource in before:
        reason = lacking.get(resource["type"], {}).get("(delete)")
        if reason:
            sentences.append(f"left by the emulator: {name_of(resource['urn'])} ({reason})")
    known = {str((resource.get("outputs") or {}).get("arn")) for resource in retained}
    return [*sentences, *leftovers(url, region, known)]


def _resources(stack: Stack) -> list[dict[str, Any]]:
    """The stack's resources that are more than groups and doors to a provider."""
    with in_one_sentence():
        deployment = stack.export_stack().deployment or {}
    return [one for one in deployment.get("resources") or [] if one.get("custom") and "pulumi:" not in one["type"]]


def _outputs(stack: Stack) -> dict[str, Any]:
    """What the stack exports; None for a secret, at whatever depth it is."""
    with in_one_sentence():
        deployment = stack.export_stack().deployment or {}
    roots = [one for one in deployment.get("resources") or [] if one["type"] == "pulumi:pulumi:Stack"]
    return {key: _open(value) for one in roots for key, value in (one.get("outputs") or {}).items()}


def _open(value: Any) -> Any:
    if isinstance(value, list):
        return [_open(one) for one in value]
    if isinstance(value, dict):
        return None if value.get(SIGNATURE) == SECRET else {key: _open(one) for key, one in value.items()}
    return value


def _platform(emulated: EmulatedStack) -> str:
    from operations.settings_file import read_settings

    return str((read_settings(emulated.settings).get("config") or {}).get(f"{NAMESPACE}:platform", ""))


def _set_plain(stack: Stack, key: str, value: str) -> None:
    from pulumi.automation import ConfigValue

    stack.set_config(key, ConfigValue(value=value))
