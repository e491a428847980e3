"""Everything the application declares is safe, each property by name; and each check can fail."""

from __future__ import annotations

import pytest

from tests.components.kubernetes.declaring import Declared, application, declared, mutated
from tests.components.kubernetes.properties import NAMES, failing

# file, what it says, what a mutant says instead, the property that must notice.
MUTANTS = [
    ("pods.py", '"runAsNonRoot": True', '"runAsNonRoot": False', "no_root"),
    ("pods.py", "USER = 10001", "USER = 0", "no_root"),
    ("pods.py", '"readOnlyRootFilesystem": True', '"readOnlyRootFilesystem": False', "read_only_root"),
    ("pods.py", '"allowPrivilegeEscalation": False', '"allowPrivilegeEscalation": True', "no_escalation"),
    ("pods.py", '"privileged": False', '"privileged": True', "no_escalation"),
    ("pods.py", '{"drop": ["ALL"]}', '{"drop": ["NET_RAW"]}', "no_capability"),
    ("pods.py", '"RuntimeDefault"', '"Unconfined"', "seccomp"),
    ("pods.py", '"automountServiceAccountToken": False', '"automountServiceAccountToken": True', "no_token"),
    ("identity.py", "automount_service_account_token=False", "automount_service_account_token=True", "no_token"),
    ("pods.py", '"image": args.image,', '"image": "payments:latest",', "image_by_digest"),
    ("pods.py", '"limits": {"cpu": f"{self.cpu_millicores}m", ', '"limits": {', "bounded"),
    ("pods.py", "cpu_millicores: int = 2000", "cpu_millicores: int = 4000", "guides_size"),
    ("pods.py", 'probe("/health", 30, 10)', 'probe("/health", 0, 10)', "liveness_as_in_the_guide"),
    ("pods.py", 'probe("/ready", 5, 5)', 'probe("/health", 5, 5)', "readiness_as_in_the_guide"),
    ("service.py", '"replicas": args.replicas', '"replicas": 1', "three_replicas"),
    ("service.py", '"maxUnavailable": 0', '"maxUnavailable": 1', "never_fewer_during_an_update"),
    ("pods.py", '"DoNotSchedule"', '"ScheduleAnyway"', "spread_over_zones"),
    ("application.py", "maximum: int = 10", "maximum: int = 100", "scales_as_in_the_guides"),
    ("scaling.py", "cpu_percent: int = 70", "cpu_percent: int = 90", "scales_as_in_the_guides"),
    ("scaling.py", "pending_payments: int = 50", "pending_payments: int = 500", "scales_as_in_the_guides"),
    ("scaling.py", '"maxUnavailable": 1', '"maxUnavailable": 3', "one_pod_disrupted_at_a_time"),
    ("namespace.py", ': "restricted" for', ': "baseline" for', "restricted_pod_security"),
    ("namespace.py", '**security, ', "", "restricted_pod_security"),
    ("network_policy.py", '"default-deny", "railyard", {}, [], []', '"default-deny", "railyard", {}, [{}], []',
     "nothing_talks_by_default"),
    ("network_policy.py", '"policyTypes": ["Ingress", "Egress"]', '"policyTypes": ["Ingress"]',
     "nothing_talks_by_default"),
    ("network_policy.py", "[_port([gateway, scraper], WEB_PORT)]", "[{}]", "ingress_from_gateway_and_scraper_alone"),
    ("network_policy.py", '"port": 443}', '"port": 8443}', "egress_named"),
    ("network_policy.py", '"except": [METADATA_SERVICE]', '"except": []', "egress_named"),
    ("network_policy.py", "args.cache.rule(), _https()", "{}, _https()", "egress_named"),
    ("network_policy.py", "selector(MAINTENANCE)", "selector(MIGRATION)", "every_pod_has_a_policy"),
    ("application.py", "secret=secrets.worker", "secret=secrets.web", "wallets_at_the_worker_alone"),
    ("application.py", "secret=secrets.migration)", "secret=secrets.web)", "wallets_at_the_worker_alone"),
    ("maintenance.py", "job.timeout_minutes * 60", "job.timeout_minutes", "every_job_of_the_list_at_its_time"),
    ("network_policy.py", "if args.archive:", "if False:", "every_pod_has_a_policy"),
    ("gateway.py", '"sectionName": listener', '"sectionName": "http"', "tls_at_the_gateway"),
    ("gateway.py", '"filters": [_hsts()]', '"filters": []', "tls_at_the_gateway"),
    ("gateway.py", '"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]',
     '"matches": [{"path": {"type": "PathPrefix", "value": "/"}, "method": "GET"}]', "main_route_can_be_outranked"),
    ("monitoring.py", "scrape_seconds: int = 15", "scrape_seconds: int = 60", "scraped_as_in_the_guide"),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Declared:
    return declared(application())


@pytest.mark.parametrize("name", NAMES)
def test_the_application_keeps_each_property(whole: Declared, name: str) -> None:
    assert name not in failing(whole)


@pytest.mark.parametrize(("file", "old", "new", "name"), MUTANTS)
def test_a_mutant_is_noticed_by_the_property_it_breaks(file: str, old: str, new: str, name: str) -> None:
    with mutated(file, old, new) as package:
        assert name in failing(declared(application(package)))


def test_every_property_is_broken_by_some_mutant() -> None:
    assert {mutant[3] for mutant in MUTANTS} == set(NAMES)
