"""The whole local platform (`railyard:local:Platform`): everything the service needs, the service, and the way in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.local.binaries import Server, find_envoy, find_postgres, find_redis, unprivileged_account
from components.local.counterparts import (
    Bitcoin,
    BitcoinArgs,
    Lightning,
    LightningArgs,
    River,
    RiverArgs,
    Solana,
    SolanaArgs,
)
from components.local.postgres import Postgres, PostgresArgs
from components.local.redis import Redis, RedisArgs
from components.local.router import Router, RouterArgs
from components.local.runtime import Runtime, RuntimeArgs
from components.local.service import Service, ServiceArgs, Upstreams
from components.release import release_id
from components.settings import Secrets, Settings

SLOT = "blue"


@dataclass(frozen=True)
class LocalPlatformArgs:
    """Arguments of `LocalPlatform`.

    Attributes:
        checkout: root of the checkout.
        state: the state folder of the stack.
        settings: of the stack.
        secrets: of the stack.
    """

    checkout: Path
    state: Path
    settings: Settings
    secrets: Secrets


@dataclass(frozen=True)
class Servers:
    """The servers this machine has."""

    postgres: Server
    redis: Server
    envoy: Server

    @classmethod
    def found(cls) -> Servers:
        """Look for them.

        Raises:
            MissingServerError: one is missing.
        """
        return cls(find_postgres(), find_redis(), find_envoy())


class LocalPlatform(pulumi.ComponentResource):
    """The stack on this machine; `outputs` is what it exports."""

    def __init__(self, name: str, args: LocalPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:local:Platform", name, None, opts)
        self._args, self._servers = args, Servers.found()
        self._child = pulumi.ResourceOptions(parent=self)
        ports = args.settings.ports
        self._release = release_id(args.checkout / "app")
        self._runtime = Runtime(
            "runtime", RuntimeArgs(args.state, ports, args.secrets["supervisorPassword"]), self._child
        )
        router = Router(
            "router", RouterArgs(self._servers.envoy, ports.router, ports.router_admin), self._runtime, self._child
        )
        upstreams = self._upstreams(router)
        service = Service(
            f"service-{SLOT}",
            ServiceArgs(
                checkout=args.checkout,
                release=self._release,
                slot=SLOT,
                settings=args.settings,
                secrets=args.secrets,
                web_port=ports.web_blue,
                worker_port=ports.worker_blue,
            ),
            upstreams,
            self._runtime,
            self._child,
        )
        router.serve({SLOT: service.web_address}, [service.web])
        self.outputs = self._outputs(upstreams, router)
        self.register_outputs({"url": router.url})

    def _upstreams(self, router: Router) -> Upstreams:
        args, secrets, ports = self._args, self._args.secrets, self._args.settings.ports
        account = unprivileged_account()
        postgres = Postgres(
            "postgres",
            PostgresArgs(
                server=self._servers.postgres,
                account=account.pw_name if account else "",
                port=ports.postgres,
                superuser_password=secrets["databaseSuperuserPassword"],
                owner_password=secrets["databaseOwnerPassword"],
                app_password=secrets["databaseAppPassword"],
                reader_password=secrets["databaseReaderPassword"],
            ),
            self._runtime,
            self._child,
        )
        redis = Redis(
            "redis", RedisArgs(self._servers.redis, ports.redis, secrets["redisPassword"]), self._runtime, self._child
        )
        # A counterpart starts anew when its program changes.
        revision = release_id(args.checkout / "sandbox")
        lightning = Lightning(
            "lightning",
            LightningArgs(
                checkout=args.checkout,
                merchant_port=ports.lnd_merchant,
                customer_port=ports.lnd_customer,
                network=args.settings.network,
                root_key=secrets["lndRootKey"],
                revision=revision,
            ),
            self._runtime,
            self._child,
        )
        solana = Solana(
            "solana",
            SolanaArgs(
                checkout=args.checkout,
                port=ports.solana,
                mint=secrets["solanaMint"],
                mint_authority=secrets["solanaMintAuthority"],
                fee_payer=secrets["solanaFeePayer"],
                customer=secrets["solanaCustomer"],
                merchant=args.settings.solana_pay_to,
                revision=revision,
            ),
            self._runtime,
            self._child,
        )
        bitcoin = Bitcoin("bitcoin", BitcoinArgs(args.checkout, ports.esplora, revision), self._runtime, self._child)
        river = River(
            "river",
            RiverArgs(
                checkout=args.checkout,
                port=ports.river,
                network=args.settings.network,
                api_key=secrets["riverApiKey"],
                webhook_secret=secrets["riverWebhookSecret"],
                webhook_url=pulumi.Output.concat(router.url, "/v1/inbound/river"),
                revision=revision,
            ),
            self._runtime,
            self._child,
        )
        return Upstreams(postgres, redis, lightning, bitcoin, river, solana)

    def _outputs(self, upstreams: Upstreams, router: Router) -> dict[str, Any]:
        lightning, solana, secrets = upstreams.lightning, upstreams.solana, self._args.secrets
        return {
            "release": self._release,
            "url": router.url,
            "services": self._runtime.services,
            "network": self._args.settings.network,
            "bootstrapAdminKey": secrets["bootstrapAdminKey"],
            "counterparts": {
                "lightning": {
                    "url": lightning.customer_url,
                    "tlsCertPath": lightning.certificate("customer"),
                    "macaroonPath": lightning.macaroon("customer", "admin"),
                },
                "bitcoin": {"url": upstreams.bitcoin.url},
                "river": {"url": upstreams.river.url},
                "solana": {
                    "rpcUrl": solana.rpc_url,
                    "customerKeypair": secrets["solanaCustomer"],
                    "mint": solana.mint,
                    "feePayer": solana.fee_payer,
                },
            },
            "versions": {
                "postgres": self._servers.postgres.version,
                "redis": self._servers.redis.version,
                "envoy": self._servers.envoy.version,
            },
        }
