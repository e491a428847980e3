"""A real Bitcoin network on loopback: one btcd in regtest behind sandbox.esplora, and lnd nodes with channels."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.esplora.addresses import address_of
from sandbox.esplora.faucet import Faucet
from sandbox.nodes.building import build
from tests.sandbox.processes import EsploraProgram, free_ports, wait_until

# Segregated witness and taproot are active on btcd's regtest after three periods of 144 blocks.
FIRST_BLOCKS = 480
START_SECONDS = 240.0


@dataclass
class Node:
    """A program that is started, killed and started again on the same folder."""

    command: list[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(30)


@dataclass
class LndNode(Node):
    """One lnd; `ask` speaks REST with its admin macaroon."""

    rest_port: int = 0
    peer_port: int = 0
    macaroons: dict[str, bytes] = field(default_factory=dict)

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.cert"

    def macaroon_file(self, name: str) -> Path:
        return self.folder / "data" / "chain" / "bitcoin" / "regtest" / f"{name}.macaroon"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.rest_port}"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data)
        request.add_header("Grpc-Metadata-macaroon", self.macaroon_file("admin").read_bytes().hex())
        context = ssl.create_default_context(cafile=str(self.certificate))
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            found: dict[str, Any] = json.loads(answer.read().splitlines()[0])
            return found

    def info(self) -> dict[str, Any]:
        """GetInfo, empty while it is not ready."""
        try:
            return self.ask("/v1/getinfo")
        except (urllib.error.URLError, OSError, ValueError):
            return {}

    def ask_unlocker(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What is answered before there is a wallet, so without a macaroon."""
        data = None if body is None else json.dumps(body).encode()
        context = ssl.create_default_context(cafile=str(self.certificate))
        request = urllib.request.Request(self.url + path, data=data)
        with urllib.request.urlopen(request, timeout=120, context=context) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def waits_for_wallet(self) -> bool:
        """Whether it is up and has none."""
        try:
            return self.ask_unlocker("/v1/state").get("state") == "NON_EXISTING"
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def wait_ready(self) -> dict[str, Any]:
        found: dict[str, Any] = wait_until(
            lambda: (info := self.info()) and info.get("synced_to_chain") and info, "lnd is synced", START_SECONDS
        )
        return found


class RealBitcoin:
    """btcd, its Esplora, and any number of lnd nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = build()
        self.seed = secrets.token_hex(16)
        self.password = secrets.token_hex(16)
        self.rpc_port, peer_port = free_ports(2)
        address = address_of(Faucet(bytes.fromhex(self.seed)).script, "regtest")
        btcd = folder / "btcd"
        btcd.mkdir(parents=True)
        (btcd / "btcd.conf").write_text("")
        self.btcd = Node(
            [
                str(self.programs["btcd"]),
                "--regtest",
                f"--configfile={btcd / 'btcd.conf'}",
                f"--datadir={btcd / 'data'}",
                f"--logdir={btcd / 'logs'}",
                f"--rpccert={btcd / 'rpc.cert'}",
                f"--rpckey={btcd / 'rpc.key'}",
                f"--rpclisten=127.0.0.1:{self.rpc_port}",
                f"--listen=127.0.0.1:{peer_port}",
                "--rpcuser=tests",
                f"--rpcpass={self.password}",
                f"--miningaddr={address}",
                "--txindex",
                "--nodnsseed",
            ],
            btcd,
        )
        self.esplora = EsploraProgram(
            folder,
            "--btcd-rpc",
            f"https://127.0.0.1:{self.rpc_port}",
            "--btcd-cert",
            str(btcd / "rpc.cert"),
            "--faucet-seed",
            self.seed,
            environment={"BTCD_RPC_USER": "tests", "BTCD_RPC_PASSWORD": self.password},
        )
        self.nodes: dict[str, LndNode] = {}

    def start(self) -> None:
        """btcd, Esplora, and a chain with spendable coins."""
        self.btcd.start()
        certificate = self.btcd.folder / "rpc.cert"
        wait_until(lambda: certificate.exists() and self._answers(), "btcd answers", START_SECONDS)
        self.esplora.start()
        for _ in range(FIRST_BLOCKS // 80):
            self.esplora.mine(80)

    def _answers(self) -> bool:
        credentials = base64.b64encode(f"tests:{self.password}".encode()).decode()
        body = json.dumps({"jsonrpc": "1.0", "id": 1, "method": "getblockcount", "params": []}).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{self.rpc_port}", data=body)
        request.add_header("Authorization", f"Basic {credentials}")
        try:
            # btcd writes the file while we look.
            context = ssl.create_default_context(cafile=str(self.btcd.folder / "rpc.cert"))
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def add_node(self, name: str, *, seeded: bool = False) -> LndNode:
        """Start an lnd; a seeded one waits for its wallet, which `/v1/initwallet` makes from words."""
        rpc_port, rest_port, peer_port = free_ports(3)
        folder = self.folder / name
        command = [
            str(self.programs["lnd"]),
            f"--lnddir={folder}",
            "--bitcoin.regtest",
            "--bitcoin.node=btcd",
            f"--btcd.rpchost=127.0.0.1:{self.rpc_port}",
            "--btcd.rpcuser=tests",
            f"--btcd.rpcpass={self.password}",
            f"--btcd.rpccert={self.btcd.folder / 'rpc.cert'}",
            *([] if seeded else ["--noseedbackup"]),
            "--nobootstrap",
            "--bitcoin.defaultchanconfs=1",
            "--trickledelay=50",
            f"--rpclisten=127.0.0.1:{rpc_port}",
            f"--restlisten=127.0.0.1:{rest_port}",
            f"--listen=127.0.0.1:{peer_port}",
            "--debuglevel=warn",
        ]
        node = LndNode(command, folder, rest_port=rest_port, peer_port=peer_port)
        node.start()
        self.nodes[name] = node
        if seeded:
            wait_until(node.waits_for_wallet, "lnd waits for its wallet", START_SECONDS)
        return node

    def fund(self, node: LndNode, sats: int) -> None:
        """Give a node's wallet coins."""
        self.esplora.pay(node.ask("/v1/newaddress")["address"], sats)
        self.esplora.mine(2)
        wait_until(
            lambda: int(node.ask("/v1/balance/blockchain")["confirmed_balance"]) >= sats, "lnd has coins", START_SECONDS
        )

    def open_channel(self, source: LndNode, target: LndNode, sats: int) -> None:
        """A public channel, half of it on each side."""
        key = target.info()["identity_pubkey"]
        address = {"addr": {"pubkey": key, "host": f"127.0.0.1:{target.peer_port}"}, "perm": True}

        def are_peers() -> bool:
            # Until either node has started its server for peers, which is after it answers calls, it refuses.
            with contextlib.suppress(urllib.error.HTTPError):
                source.ask("/v1/peers", address)
            return any(peer["pub_key"] == key for peer in source.ask("/v1/peers")["peers"])

        wait_until(are_peers, "peers", START_SECONDS)
        before = len(source.ask("/v1/channels")["channels"])
        body = {"node_pubkey_string": key, "local_funding_amount": str(sats), "push_sat": str(sats // 2)}
        source.ask("/v1/channels", body)
        self.esplora.mine(7)  # six confirmations, to be announced
        wait_until(
            lambda: sum(one["active"] for one in source.ask("/v1/channels")["channels"]) > before,
            "the channel is active",
            START_SECONDS,
        )

    def wait_graph(self, node: LndNode, channels: int) -> None:
        """Until a node knows so many channels with both policies."""

        def known() -> bool:
            edges = node.ask("/v1/graph")["edges"]
            return sum(bool(edge["node1_policy"] and edge["node2_policy"]) for edge in edges) >= channels

        wait_until(known, "the graph is known", START_SECONDS)

    def close(self) -> None:
        for node in self.nodes.values():
            node.kill()
        if self.esplora.alive():
            self.esplora.kill()
        self.btcd.kill()


@contextmanager
def real_bitcoin(folder: Path) -> Iterator[RealBitcoin]:
    """The network inside the block, and not after it."""
    network = RealBitcoin(folder)
    try:
        network.start()
        yield network
    finally:
        network.close()


def bake(node: LndNode, name: str, rights: str) -> Path:
    """A macaroon with these rights only, written beside the others."""
    permissions = [{"entity": one.split(":")[0], "action": one.split(":")[1]} for one in rights.split()]
    answer = node.ask("/v1/macaroon", {"permissions": permissions})
    file = node.macaroon_file(name)
    file.write_bytes(bytes.fromhex(answer["macaroon"]))
    return file


__all__ = ["LndNode", "RealBitcoin", "bake", "real_bitcoin"]
