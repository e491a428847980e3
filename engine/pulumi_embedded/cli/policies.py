"""`policy analyze`: policy packs judge what a stack holds, without running its program or calling a provider."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pulumi_embedded.backend.files import read_limited
from pulumi_embedded.cli.operations import policy_packs
from pulumi_embedded.cli.session import Session, open_session
from pulumi_embedded.deploy.request import ProjectSpec, UpdateOptions, UpdateRequest
from pulumi_embedded.display import summary
from pulumi_embedded.display.event_log import encode
from pulumi_embedded.display.model import Model
from pulumi_embedded.display.words import Paint
from pulumi_embedded.errors import EngineError, SecretsError, UsageError
from pulumi_embedded.project import config as values
from pulumi_embedded.state.deployment import Deployment, open_state, parse_json
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.state.sealing import Sealer, mask
from pulumi_embedded.state.secrets import PassphraseCrypter, read_passphrase
from pulumi_embedded.urn import ROOT_STACK_TYPE, make_urn, urn_project, urn_stack

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


def analyze(context: Context) -> int:
    """Judge the stack's state, or an exported one; 1 when a mandatory policy is violated."""
    packs = policy_packs(context)
    if not packs:
        raise UsageError("at least one --policy-pack path must be specified")
    if context.flags.text("file") and context.flags.text("stack"):
        raise UsageError("only one of --file and --stack may be given")
    states, request = _from_file(context) if context.flags.text("file") else _from_stack(context)
    if not states:
        context.note("There are no resources; nothing to analyze.")
        return 0
    request.options.policy_packs = packs
    stack_urn = make_urn(
        request.stack, request.project.name, "", ROOT_STACK_TYPE, f"{request.project.name}-{request.stack}"
    )
    model = Model(stack_urn=stack_urn, preview=True)
    sequence = iter(range(2**62))

    def listen(event: dict[str, Any]) -> None:
        model.take(event)
        if context.flags.on("json"):
            context.print(encode({"sequence": next(sequence), "timestamp": int(time.time()), **event}))

    from pulumi_embedded.cli.policy_run import judge

    mandatory = judge(request, states, listen)
    if not context.flags.on("json"):
        paint = Paint(colored=context.colored)
        context.print("\n".join([*summary.diagnostics(model, paint), *summary.policies(model, paint)]))
    if mandatory:
        raise EngineError("one or more mandatory policy violations were found")
    return 0


def _request(context: Context, stack: str, project: str) -> UpdateRequest:
    own = context.project_or_none
    root = own.root if own else context.folder
    return UpdateRequest(
        kind="preview", project=ProjectSpec(name=project, root=root), stack=stack, preview=True, options=UpdateOptions()
    )


def _from_stack(context: Context) -> tuple[list[ResourceState], UpdateRequest]:
    session: Session = open_session(context)
    states = [state for state in session.states[0] if not state.delete]
    request = _request(context, session.name.stack, session.name.project)
    if context.project_name == session.name.project:
        config = session.settings.config
        request.config = {key: values.to_text(value, session.decrypt) for key, value in config.items()}
        request.config_secret_keys = [key for key, value in config.items() if values.is_secure(value)]
    return states, request


def _from_file(context: Context) -> tuple[list[ResourceState], UpdateRequest]:
    name = context.flags.text("file")
    try:
        envelope = parse_json(read_limited(context.folder / name), f"the file {name}")
    except FileNotFoundError:
        raise UsageError(f"the file of --file, {name}, does not exist") from None
    if not isinstance(envelope, dict):
        raise UsageError(f"the file {name} is not a deployment: it is not a JSON object")
    deployment = Deployment.from_json(envelope.get("deployment"), envelope.get("version"), envelope.get("features"))
    resources = [resource for resource in deployment.resources if not resource.get("delete")]
    salt = ((deployment.secrets_providers or {}).get("state") or {}).get("salt")
    try:
        sealer = Sealer(PassphraseCrypter(salt, read_passphrase) if salt else None)
        states = [open_state(resource, sealer) for resource in resources]
    except SecretsError:
        context.note(f"warning: could not decrypt secrets in {name}; analyzing with secret values redacted")
        states = [ResourceState.from_json(_masked(resource)) for resource in resources]
    first = states[0].urn if states else ""
    return states, _request(context, urn_stack(first) or "unknown", urn_project(first) or "unknown")


def _masked(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: mask(value) if key in ("inputs", "outputs") else value for key, value in resource.items()}
