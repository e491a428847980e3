"""The cluster's processes: started in order on random loopback ports, watched, and ended together.

They are children of one process and die with it, also when it is killed. `cluster.json` in the folder is there exactly
while the cluster can be used: server, kubeconfig, and the pid and start time of the process that owns it.
"""

from __future__ import annotations

import ctypes
import datetime
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from providers.kubernetes.cluster import Cluster, kubeconfig_of
from providers.kubernetes.emulated.credentials import ADMINISTRATOR, Credentials, credentials, write_private
from providers.kubernetes.emulated.definitions import DEFINITIONS, NODES, definition, node
from providers.kubernetes.kinds import Kind
from providers.kubernetes.waiting import state_of

READY_SECONDS, END_SECONDS = 180.0, 15.0
POLL_SECONDS = 0.05
SERVICE_NETWORK = "10.96.0.0/16"
PORTS = ("etcd", "etcd-peer", "server", "kwok")
_PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """The cluster did not start; the message is a sentence that says what to read."""


@dataclass(frozen=True)
class Files:
    """Where everything of a cluster is."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def told(self) -> Path:
        return self.folder / "cluster.json"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


class Running:
    """A cluster's processes.

    Args:
        folder: of the cluster; its data and credentials are kept in it between starts.
        programs: folder of the programs.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._files, self._programs = Files(folder), programs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> dict[str, Any]:
        """Start everything and wait until pods can be scheduled; returns what `cluster.json` says.

        Raises:
            StartError: something ended or took too long.
        """
        files = self._files
        (files.folder / "logs").mkdir(parents=True, exist_ok=True)
        files.told.unlink(missing_ok=True)
        secret = credentials(files.folder / "credentials", datetime.datetime.now(datetime.UTC))
        ports = self._ports()
        server = f"https://127.0.0.1:{ports['server']}"
        configs = self._kubeconfigs(server, secret)
        self._run("etcd", _etcd(files.folder, ports))
        self._wait("etcd", lambda: _listens(ports["etcd"]))
        self._run("kube-apiserver", _api_server(ports, secret))
        cluster = Cluster(files.kubeconfig.read_text(encoding="utf-8"))
        self._wait("kube-apiserver", cluster.is_ready)
        self._run("kube-controller-manager", _controller_manager(configs, secret))
        self._run("kube-scheduler", ["--kubeconfig", configs["system:kube-scheduler"], *_ALONE])
        self._run("kwok", _kwok(configs, ports, self._programs))
        _furnish(cluster)
        self._wait("kwok", lambda: _furnished(cluster))
        told = {
            "server": server,
            "kubeconfig": str(files.kubeconfig),
            "pid": psutil.Process().pid,
            "started": psutil.Process().create_time(),
        }
        write_private(files.told, json.dumps(told).encode())
        return told

    def watch(self, stop: threading.Event) -> str:
        """Wait until `stop`, or until one of the processes ends; returns which, "" when none did."""
        while not stop.wait(0.5):
            for name, process in self._processes.items():
                if process.poll() is not None:
                    return f"{name} ended with status {process.returncode}; {self._files.log(name)} says why"
        return ""

    def end(self) -> None:
        """End every process, the last one started first."""
        self._files.told.unlink(missing_ok=True)
        for process in reversed(self._processes.values()):
            process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for process in reversed(self._processes.values()):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, name: str, arguments: list[str]) -> None:
        with self._files.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(self._programs / name), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._files.folder, env={"PATH": "/usr/bin:/bin"},
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )  # fmt: skip

    def _wait(self, name: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not done():
            broken = self._processes[name].poll()
            if broken is not None:
                raise StartError(f"{name} ended with status {broken} at once; {self._files.log(name)} says why.")
            if time.monotonic() > deadline:
                raise StartError(f"{name} was not ready after {READY_SECONDS:.0f} s; {self._files.log(name)} says why.")
            time.sleep(POLL_SECONDS)

    def _ports(self) -> dict[str, int]:
        """Ports, the same as last time where they are free, so that a kubeconfig stays good."""
        kept = self._files.folder / "ports.json"
        try:
            ports: dict[str, int] = json.loads(kept.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            ports = {}
        if set(ports) != set(PORTS) or not all(_is_free(port) for port in ports.values()):
            ports = _free_ports()
            write_private(kept, json.dumps(ports).encode())
        return ports

    def _kubeconfigs(self, server: str, secret: Credentials) -> dict[str, str]:
        paths = {}
        for user, token in secret.tokens.items():
            path = self._files.folder / "credentials" / f"{user.rpartition(':')[2]}.kubeconfig"
            if user == ADMINISTRATOR:
                path = self._files.kubeconfig
            write_private(path, kubeconfig_of(server, secret.certificate.read_bytes(), token).encode())
            paths[user] = str(path)
        return paths


_ALONE = ["--leader-elect=false", "--secure-port=0"]


def _etcd(folder: Path, ports: dict[str, int]) -> list[str]:
    client, peer = f"http://127.0.0.1:{ports['etcd']}", f"http://127.0.0.1:{ports['etcd-peer']}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # What is in here is worth nothing when the machine crashes.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(ports: dict[str, int], secret: Credentials) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # Its own address cannot be an endpoint: the API refuses loopback ones.
        "--endpoint-reconciler-type=none",
        f"--secure-port={ports['server']}",
        f"--tls-cert-file={secret.certificate}",
        f"--tls-private-key-file={secret.key}",
        f"--token-auth-file={secret.token_file}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--allow-privileged=false",
        # Its set-up gives a busy machine half a minute, and ends the server after that.
        "--enable-priority-and-fairness=false",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={secret.account_key}",
        f"--service-account-signing-key-file={secret.account_key}",
    ]


def _controller_manager(configs: dict[str, str], secret: Credentials) -> list[str]:
    return [
        "--kubeconfig",
        configs["system:kube-controller-manager"],
        f"--service-account-private-key-file={secret.account_key}",
        f"--root-ca-file={secret.certificate}",
        "--use-service-account-credentials",
        # Nodes that kwok plays never fail; one whose heartbeat is late on a busy machine must not take its pods down.
        "--node-monitor-grace-period=24h",
        *_ALONE,
    ]


def _kwok(configs: dict[str, str], ports: dict[str, int], programs: Path) -> list[str]:
    return [
        f"--kubeconfig={configs['kwok']}",
        f"--config={programs / 'stages.yaml'}",
        "--manage-all-nodes=true",
        f"--server-address=127.0.0.1:{ports['kwok']}",
    ]


def _furnish(cluster: Cluster) -> None:
    for each in DEFINITIONS:
        manifest = definition(each)
        cluster.apply(Kind(manifest["apiVersion"], manifest["kind"]), manifest, "railyard-emulated", force=True)
    for index in range(NODES):
        cluster.apply(Kind("v1", "Node"), node(index), "railyard-emulated", force=True)


def _furnished(cluster: Cluster) -> bool:
    """Whether the kinds are served, the nodes are ready, and pods of the default namespace could be made."""
    for each in DEFINITIONS:
        kind = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        live = cluster.get(kind, f"{each.plural}.{each.group}", "")
        if live is None or not state_of(cluster, kind, live).ready:
            return False
    nodes = cluster.select(Kind("v1", "Node"), "", "")
    ready = [
        condition
        for each in nodes
        for condition in each.get("status", {}).get("conditions") or []
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return len(ready) >= NODES and cluster.get(Kind("v1", "ServiceAccount"), "default", "default") is not None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_ports() -> dict[str, int]:
    probes = [socket.socket() for _ in PORTS]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
    finally:
        for probe in probes:
            probe.close()
