"""What Prometheus reads (`railyard:kubernetes:Monitoring`), for the Prometheus operator:

- a ServiceMonitor of web under the guides' job name `402pay-facilitator` (x4-prom-scrape);
- a PodMonitor of the worker, which has no Service;
- the rules of `alerts.py`; the dashboards of `dashboards/` in ConfigMaps that Grafana's sidecar loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap

from components.arguments import ArgumentError
from components.kubernetes.alerts import AlertArgs, rule_groups
from components.kubernetes.dashboards import render_dashboards
from components.kubernetes.names import APPLICATION, WORKER, Manifest, metadata, selector

API = "monitoring.coreos.com/v1"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """Arguments of `Monitoring`.

    Attributes:
        namespace: of the stack.
        stack: name of the stack, shown in alerts.
        operator_labels: labels by which the operator chooses monitors and rules.
        scrape_seconds: how often metrics are read; the guides say 15.
        runbook_url: where runbooks are; an alert adds its name. None in alerts when empty.
        expected_gas_price: as in `AlertArgs`.
    """

    namespace: pulumi.Input[str]
    stack: str
    operator_labels: Mapping[str, str]
    scrape_seconds: int = 15
    runbook_url: str = ""
    expected_gas_price: int | None = None

    def __post_init__(self) -> None:
        if not 5 <= self.scrape_seconds <= 60:
            raise ArgumentError(
                "MonitoringArgs",
                "scrape_seconds",
                f"is {self.scrape_seconds} and must be 5 to 60",
                "An alarm of one minute needs a sample a minute.",
            )


class Monitoring(pulumi.ComponentResource):
    """Attributes: `web`, `worker`, `rules`, `dashboards` by name."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Monitoring", name, None, opts)
        self._name, self._args = name, args
        self.web = self._custom("web", "ServiceMonitor", APPLICATION, self._monitor("endpoints", APPLICATION))
        self.worker = self._custom("worker", "PodMonitor", WORKER, self._monitor("podMetricsEndpoints", WORKER))
        self.rules = self._custom(
            "rules",
            "PrometheusRule",
            APPLICATION,
            {
                "groups": pulumi.Output.from_input(args.namespace).apply(
                    lambda namespace: rule_groups(
                        AlertArgs(
                            namespace=namespace,
                            stack=args.stack,
                            runbook_url=args.runbook_url,
                            expected_gas_price=args.expected_gas_price,
                        )
                    )
                )
            },
        )
        self.dashboards = {
            dashboard: ConfigMap(
                f"{name}-dashboard-{dashboard}",
                metadata={
                    **metadata(f"dashboard-{dashboard}", args.namespace, "railyard"),
                    "labels": {**metadata("", None, "railyard")["labels"], "grafana_dashboard": "1"},
                },
                data={f"{dashboard}.json": text},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for dashboard, text in render_dashboards(args.stack).items()
        }
        self.register_outputs({"dashboards": sorted(self.dashboards)})

    def _monitor(self, endpoints: str, app: str) -> Manifest:
        every = f"{self._args.scrape_seconds}s"
        return {
            # The metric's label `job` is the value of this label.
            "jobLabel": "app",
            "selector": selector(app),
            "namespaceSelector": {"matchNames": [self._args.namespace]},
            endpoints: [
                {"port": "http", "path": "/metrics", "scheme": "http", "interval": every, "scrapeTimeout": "5s"}
            ],
        }

    def _custom(self, part: str, kind: str, object_name: str, spec: Manifest) -> CustomResource:
        described = metadata(object_name, self._args.namespace, object_name)
        described["labels"] = {**described["labels"], **self._args.operator_labels}
        return CustomResource(
            f"{self._name}-{part}",
            api_version=API,
            kind=kind,
            metadata=described,
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self),
        )
