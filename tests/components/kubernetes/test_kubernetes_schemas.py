"""Every object of Kubernetes' own API is valid by the schemas of each supported version; unknown fields are not."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from components.kubernetes.cluster import SUPPORTED
from tests.components.kubernetes.declaring import Declared, application, declared, mutated

# Kinds of operators; their schemas are not Kubernetes'. The API server knows them by our own definitions.
OF_OPERATORS = ("gateway.networking.k8s.io/", "external-secrets.io/", "monitoring.coreos.com/")


def own(found: Declared) -> list[dict[str, Any]]:
    return [it for it in found.objects if not it["apiVersion"].startswith(OF_OPERATORS)]


@pytest.fixture(scope="module")
def whole() -> Declared:
    return declared(application())


@pytest.mark.parametrize("version", SUPPORTED)
def test_objects_are_valid_for_each_supported_version(whole: Declared, version: str) -> None:
    objects = own(whole)
    assert {it["kind"] for it in objects} >= {
        "Namespace", "ServiceAccount", "Role", "RoleBinding", "Deployment", "Service", "Job", "CronJob", "ConfigMap",
        "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
    }  # fmt: skip
    for it in objects:
        kubernetes_validate.validate(it, version, strict=True)


def test_a_field_that_the_api_does_not_know_is_noticed() -> None:
    with mutated("pods.py", '"enableServiceLinks": False', '"enableServiceLink": False') as package:
        found = declared(application(package))
    with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
        kubernetes_validate.validate(found.one("Deployment"), SUPPORTED[-1], strict=True)


def test_operators_objects_are_of_the_kinds_the_emulated_cluster_has(whole: Declared) -> None:
    from providers.kubernetes.emulated.definitions import DEFINITIONS

    known = {(f"{it.group}/{it.version}", it.kind) for it in DEFINITIONS}
    used = {(it["apiVersion"], it["kind"]) for it in whole.objects if it["apiVersion"].startswith(OF_OPERATORS)}
    assert used
    assert used <= known
