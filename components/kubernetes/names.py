"""Names, labels and checks that every component here shares.

Names follow the API's rules: a Service is a DNS-1035 label (RFC 1035), which starts with a letter, so the guides'
`402pay-facilitator` names Deployments and labels but never a Service (trap 4 of the guides' facts).
"""

from __future__ import annotations

import re
from typing import Any

import pulumi

from components.arguments import ArgumentError

Manifest = dict[str, Any]
"""A part of a manifest in the API's own spelling; values may be outputs."""

APPLICATION = "402pay-facilitator"
"""Name of the web Deployment and value of its label `app` (x4-k8s-deployment)."""
WORKER = "402pay-worker"
MIGRATION = "402pay-migration"
MAINTENANCE = "402pay-maintenance"
ARCHIVE = "402pay-archive"
"""Label of the pods that read the audit archive."""
SERVICE = "facilitator"
"""Name of the Service and of the container (x4-k8s-container)."""
WEB_PORT = 3001
WORKER_PORT = 3002

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")


def service_name(component: str, key: str, value: pulumi.Input[str]) -> pulumi.Input[str]:
    """`value` if it is a DNS-1035 label.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(value, str) and not DNS_1035.fullmatch(value):
        raise ArgumentError(
            component,
            key,
            f"is {value!r}, which is no DNS-1035 label",
            "Start with a letter and use at most 63 lower case letters, digits and hyphens.",
        )
    return value


def object_name(component: str, key: str, value: pulumi.Input[str]) -> pulumi.Input[str]:
    """`value` if it is a DNS-1123 subdomain.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(value, str) and not DNS_1123.fullmatch(value):
        raise ArgumentError(
            component,
            key,
            f"is {value!r}, which is no DNS-1123 name",
            "Use lower case letters, digits, hyphens and dots, and start and end with a letter or digit.",
        )
    return value


def pinned_image(component: str, key: str, value: pulumi.Input[str]) -> pulumi.Input[str]:
    """`value` if it names an image by digest; an output is checked when it is known.

    Raises:
        ArgumentError: it names a tag, or nothing.
    """

    def check(image: str) -> str:
        if not DIGEST.fullmatch(image):
            raise ArgumentError(
                component,
                key,
                f"is {image!r}, which has no digest",
                "Name the image as repository@sha256:<64 hexadecimal digits>; a tag can be moved.",
            )
        return image

    if isinstance(value, str):
        return check(value)
    known: pulumi.Output[str] = pulumi.Output.from_input(value)
    return known.apply(check)


def at_least(component: str, key: str, value: int, least: int, why: str) -> None:
    """Refuse a number that is too small.

    Raises:
        ArgumentError: `value` is below `least`; `why` is the whole sentence that says what to do.
    """
    if value < least:
        raise ArgumentError(component, key, f"is {value} and must be at least {least}", why)


def labels(app: str, release: str = "") -> dict[str, str]:
    """The labels of an object of the service: the guides' `app` and the recommended ones."""
    found = {
        "app": app,
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/part-of": "railyard",
        "app.kubernetes.io/managed-by": "pulumi",
    }
    if release:
        found["app.kubernetes.io/version"] = release
    return found


def selector(app: str) -> dict[str, Any]:
    """The label selector of the pods of `app`. It never changes: a Deployment's is immutable."""
    return {"matchLabels": {"app": app}}


def metadata(
    name: pulumi.Input[str],
    namespace: pulumi.Input[str] | None,
    app: str,
    annotations: dict[str, str] | None = None,
    release: str = "",
) -> Manifest:
    """Metadata of an object; without `namespace` for those of the whole cluster."""
    found: Manifest = {"name": name, "labels": labels(app, release)}
    if namespace is not None:
        found["namespace"] = namespace
    if annotations:
        found["annotations"] = annotations
    return found
