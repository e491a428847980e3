"""The rails' networks on this machine, each a program of its own under `sandbox/`:

- `railyard:local:Lightning`: two Lightning nodes, the merchant's (ours) and a customer's, with a channel between them;
- `railyard:local:Bitcoin`: a regtest chain behind Esplora's API, with a faucet that pays as a customer does;
- `railyard:local:River`: an account at a custodian of Lightning;
- `railyard:local:Solana`: a Solana node with a USDC-like mint and a customer who has some of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.local.process import Ready
from components.local.runtime import PYTHON, RunArgs, Runtime, fingerprint
from components.local.solana_address import address_of
from components.local.text_file import TextFile, TextFileArgs

USDC_DECIMALS = 6
CUSTOMER_USDC = 1_000_000 * 10**USDC_DECIMALS
LAMPORTS_PER_SOL = 1_000_000_000
WALLET_LAMPORTS = 100 * LAMPORTS_PER_SOL
# A payout confirms without anybody mining for it, and a night adds a few hundred empty blocks.
BLOCK_SECONDS = 60


@dataclass(frozen=True)
class LightningArgs:
    """Arguments of `Lightning`: the checkout, configured ports or 0, the network, the macaroons' root key."""

    checkout: Path
    merchant_port: int
    customer_port: int
    network: str
    root_key: pulumi.Input[str]
    revision: str


class Lightning(pulumi.ComponentResource):
    """Two LND nodes; `merchant_url` and the paths of its files are for the service, the customer's for who pays."""

    def __init__(
        self, name: str, args: LightningArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:Lightning", name, None, opts)
        merchant = runtime.port("lnd-merchant", args.merchant_port, self)
        customer = runtime.port("lnd-customer", args.customer_port, self)
        data = runtime.path("lnd")
        files = runtime.secret_files("lnd", {"LND_ROOT_KEY": args.root_key}, self)
        self.process = runtime.process(
            "lnd",
            RunArgs(
                command=[
                    PYTHON,
                    "-m",
                    "sandbox.lnd",
                    "--data",
                    data,
                    "--merchant-port",
                    merchant.number.apply(str),
                    "--customer-port",
                    customer.number.apply(str),
                    "--network",
                    args.network,
                ],
                listens=[merchant.address, customer.address],
                # Both nodes are one program; the state of a node is open to all, as in LND.
                ready=Ready("https", merchant.address, "/v1/state"),
                fingerprint=fingerprint(args.root_key, args.revision),
                environment={"SECRETS_DIR": runtime.secrets_folder("lnd"), "PYTHONPATH": str(args.checkout)},
                directory=str(args.checkout),
                data_folders=[data],
            ),
            self,
            depends_on=list(files.values()),
        )
        self._data, self._network = Path(data), args.network
        self.merchant_url = pulumi.Output.concat("https://", merchant.address)
        self.customer_url = pulumi.Output.concat("https://", customer.address)
        self.register_outputs({"merchantUrl": self.merchant_url, "customerUrl": self.customer_url})

    def certificate(self, node: str) -> str:
        """Path of a node's own TLS certificate."""
        return str(self._data / node / "tls.cert")

    def macaroon(self, node: str, kind: str) -> str:
        """Path of a node's macaroon of a kind: admin, invoice, readonly, pay."""
        return str(self._data / node / "data" / "chain" / "bitcoin" / self._network / f"{kind}.macaroon")


@dataclass(frozen=True)
class BitcoinArgs:
    """Arguments of `Bitcoin`: the checkout, a configured port or 0, the revision of the program."""

    checkout: Path
    port: int
    revision: str


class Bitcoin(pulumi.ComponentResource):
    """A Bitcoin chain; `url` is where its Esplora answers."""

    def __init__(
        self, name: str, args: BitcoinArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:Bitcoin", name, None, opts)
        port = runtime.port("esplora", args.port, self)
        data = runtime.path("esplora")
        self.process = runtime.process(
            "esplora",
            RunArgs(
                command=[
                    PYTHON,
                    "-m",
                    "sandbox.esplora",
                    "--data",
                    data,
                    "--port",
                    port.number.apply(str),
                    "--block-seconds",
                    str(BLOCK_SECONDS),
                ],
                listens=[port.address],
                ready=Ready("http", port.address, "/blocks/tip/height"),
                fingerprint=fingerprint(args.revision),
                environment={"PYTHONPATH": str(args.checkout)},
                directory=str(args.checkout),
                data_folders=[data],
            ),
            self,
        )
        self.url = pulumi.Output.concat("http://", port.address)
        self.register_outputs({"url": self.url})


@dataclass(frozen=True)
class RiverArgs:
    """Arguments of `River`.

    Attributes:
        checkout: root of the checkout.
        port: a configured port or 0.
        network: whose invoices it writes.
        api_key: of the account.
        webhook_secret: signs what it tells the service, at `webhook_url`.
        revision: of the program.
    """

    checkout: Path
    port: int
    network: str
    api_key: pulumi.Input[str]
    webhook_secret: pulumi.Input[str]
    webhook_url: pulumi.Input[str]
    revision: str


class River(pulumi.ComponentResource):
    """A custodian of Lightning; `url` is where its API answers. It tells the service by webhook what was paid."""

    def __init__(
        self, name: str, args: RiverArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:River", name, None, opts)
        port = runtime.port("river", args.port, self)
        data = runtime.path("river")
        files = runtime.secret_files(
            "river", {"RIVER_API_KEY": args.api_key, "RIVER_WEBHOOK_SECRET": args.webhook_secret}, self
        )
        self.process = runtime.process(
            "river",
            RunArgs(
                command=[
                    PYTHON,
                    "-m",
                    "sandbox.river",
                    "--data",
                    data,
                    "--port",
                    port.number.apply(str),
                    "--network",
                    args.network,
                    "--webhook-url",
                    args.webhook_url,
                ],
                listens=[port.address],
                ready=Ready("http", port.address, "/health"),
                fingerprint=fingerprint(args.api_key, args.webhook_secret, args.revision),
                environment={"SECRETS_DIR": runtime.secrets_folder("river"), "PYTHONPATH": str(args.checkout)},
                directory=str(args.checkout),
                data_folders=[data],
            ),
            self,
            depends_on=list(files.values()),
        )
        self.url = pulumi.Output.concat("http://", port.address)
        self.register_outputs({"url": self.url})


@dataclass(frozen=True)
class SolanaArgs:
    """Arguments of `Solana`.

    Attributes:
        checkout: root of the checkout.
        port: a configured port or 0.
        mint, mint_authority, fee_payer, customer: keypairs in base58, secrets; only their addresses are passed on.
        merchant: address of the merchant's wallet.
        revision: of the program.
    """

    checkout: Path
    port: int
    mint: pulumi.Input[str]
    mint_authority: pulumi.Input[str]
    fee_payer: pulumi.Input[str]
    customer: pulumi.Input[str]
    merchant: str
    revision: str


def genesis(mint: str, authority: str, fee_payer: str, customer: str, merchant: str) -> str:
    """genesis.json of the Solana counterpart: who has what at the beginning. Addresses only."""
    content = {
        "mint": {"address": mint, "decimals": USDC_DECIMALS, "authority": authority},
        "lamports": {fee_payer: WALLET_LAMPORTS, customer: WALLET_LAMPORTS},
        "tokens": {customer: CUSTOMER_USDC, merchant: 0},
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


class Solana(pulumi.ComponentResource):
    """A Solana node; `rpc_url` is where it answers, `mint` and `fee_payer` are addresses."""

    def __init__(
        self, name: str, args: SolanaArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:Solana", name, None, opts)
        port = runtime.port("solana", args.port, self)
        data = runtime.path("solana")
        self.mint, self.fee_payer = address_of(args.mint), address_of(args.fee_payer)
        beginning = TextFile(
            "solana-genesis",
            TextFileArgs(
                runtime.path("solana-genesis.json"),
                pulumi.Output.all(
                    self.mint, address_of(args.mint_authority), self.fee_payer, address_of(args.customer)
                ).apply(lambda found: genesis(found[0], found[1], found[2], found[3], args.merchant)),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[runtime.folder]),
        )
        self.process = runtime.process(
            "solana",
            RunArgs(
                command=[
                    PYTHON,
                    "-m",
                    "sandbox.solana",
                    "--data",
                    data,
                    "--port",
                    port.number.apply(str),
                    "--genesis",
                    beginning.path,
                ],
                listens=[port.address],
                ready=Ready("http", port.address, "/health"),
                fingerprint=fingerprint(beginning.content, args.revision),
                environment={"PYTHONPATH": str(args.checkout)},
                directory=str(args.checkout),
                data_folders=[data],
            ),
            self,
        )
        self.rpc_url = pulumi.Output.concat("http://", port.address)
        self.register_outputs({"rpcUrl": self.rpc_url})
