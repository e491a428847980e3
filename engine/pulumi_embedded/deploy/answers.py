"""What a provider's answers mean: verdicts, failures, outputs, and what its configuration lacks."""

from __future__ import annotations

from typing import Any

import grpc.aio
from pulumi.runtime.proto import provider_pb2

from pulumi_embedded.deploy.channels import details, message_of
from pulumi_embedded.deploy.diffing import NONE, SOME, UNKNOWN_CHANGES, DiffResult, PropertyDiff
from pulumi_embedded.deploy.provider import STATUS_OK, STATUS_UNKNOWN, CheckFailure, ProviderError
from pulumi_embedded.properties import Properties, Unmarshal

_CHANGES = {
    provider_pb2.DiffResponse.DIFF_UNKNOWN: UNKNOWN_CHANGES,
    provider_pb2.DiffResponse.DIFF_NONE: NONE,
    provider_pb2.DiffResponse.DIFF_SOME: SOME,
}
_KINDS = {
    provider_pb2.PropertyDiff.ADD: "add",
    provider_pb2.PropertyDiff.ADD_REPLACE: "add-replace",
    provider_pb2.PropertyDiff.DELETE: "delete",
    provider_pb2.PropertyDiff.DELETE_REPLACE: "delete-replace",
    provider_pb2.PropertyDiff.UPDATE: "update",
    provider_pb2.PropertyDiff.UPDATE_REPLACE: "update-replace",
}


def to_configure_error(error: grpc.aio.AioRpcError) -> ProviderError:
    """Turn the error of a provider's Configure into what is missing in its configuration, if it says that."""
    missing = [
        f'missing required configuration key "{key.name}": {key.description}\n'
        f"Set a value using the command `pulumi config set {key.name} <value>`."
        for detail in details(error)
        if isinstance(detail, provider_pb2.ConfigureErrorMissingKeys)
        for key in detail.missingKeys
    ]
    return ProviderError("\n".join(missing) or message_of(error), STATUS_OK)


def read_answer(properties: Any, *, reject_unknowns: bool) -> Properties:
    """Return the outputs in a provider's answer to a create or an update.

    Raises:
        ProviderError: they cannot be read; whether the resource is there is not known.
    """
    try:
        return Unmarshal(reject_unknowns=reject_unknowns).properties(properties)
    except ValueError as error:
        raise ProviderError(str(error), STATUS_UNKNOWN) from None


def read_diff(answer: Any) -> DiffResult:
    """Return a provider's verdict on what would change."""
    detailed = None
    if answer.hasDetailedDiff:
        detailed = {
            key: PropertyDiff(_KINDS.get(diff.kind, "update"), diff.inputDiff)
            for key, diff in answer.detailedDiff.items()
        }
    return DiffResult(
        changes=_CHANGES.get(answer.changes, UNKNOWN_CHANGES),
        replace_keys=list(answer.replaces),
        stable_keys=list(answer.stables),
        changed_keys=list(answer.diffs),
        detailed=detailed,
        delete_before_replace=answer.deleteBeforeReplace,
    )


def read_failures(failures: Any) -> list[CheckFailure]:
    """Return what a provider does not like about inputs."""
    return [CheckFailure(failure.property, failure.reason) for failure in failures]
