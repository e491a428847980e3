"""The payment service of the stack (`railyard:local:Service`), one release in one slot:

- the schema, migrated by the owner's role before anything of the release starts;
- the web role, which signs nothing: an invoice macaroon, the fee payer's address;
- the worker role, which alone has the pay macaroon, the on-chain wallet's key and the fee payer's, and keeps channel
  backups and the audit log's archive, here in folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.local.bitcoin_wallet import public_descriptor, signing_descriptor
from components.local.counterparts import Bitcoin, Lightning, River, Solana
from components.local.migration import Migration, MigrationArgs
from components.local.port import Port
from components.local.postgres import Postgres
from components.local.process import Ready
from components.local.redis import Redis
from components.local.runtime import PYTHON, RunArgs, Runtime, fingerprint
from components.local.secret_file import SecretFile
from components.settings import Secrets, Settings

# On this machine asking costs nothing, and somebody waits for the receipt.
POLL_SECONDS = "0.5"
Variables = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True)
class ServiceArgs:
    """Arguments of `Service`.

    Attributes:
        checkout: root of the checkout; the service is in its `app/`.
        release: id of the release.
        slot: "blue" or "green".
        settings: of the stack.
        secrets: of the stack.
        web_port, worker_port: configured ports or 0.
    """

    checkout: Path
    release: str
    slot: str
    settings: Settings
    secrets: Secrets
    web_port: int
    worker_port: int


@dataclass(frozen=True)
class Upstreams:
    """What the service talks to."""

    postgres: Postgres
    redis: Redis
    lightning: Lightning
    bitcoin: Bitcoin
    river: River
    solana: Solana


class Service(pulumi.ComponentResource):
    """The running release; `web_address` is what the router sends requests to."""

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        upstreams: Upstreams,
        runtime: Runtime,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("railyard:local:Service", name, None, opts)
        self._args, self._upstreams, self._runtime = args, upstreams, runtime
        self._migration = self._migrate()
        web = runtime.port(f"web-{args.slot}", args.web_port, self)
        worker = runtime.port(f"worker-{args.slot}", args.worker_port, self)
        self.web = self._run("web", "serve", web, "PORT", self._web_secrets(), {})
        self.worker = self._run(
            "worker",
            "work",
            worker,
            "WORKER_PORT",
            self._worker_secrets(),
            {
                "LND_PAY_MACAROON_PATH": upstreams.lightning.macaroon("merchant", "pay"),
                "LND_BACKUP_STORE": runtime.path("channel-backups"),
                "AUDIT_ARCHIVE_STORE": runtime.path("audit-archive"),
            },
        )
        self.web_address = web.address
        self.register_outputs({"webAddress": self.web_address, "revision": self._migration.revision})

    def _migrate(self) -> Migration:
        args, runtime, postgres = self._args, self._runtime, self._upstreams.postgres
        files = runtime.secret_files("migrate", {"DATABASE_OWNER_URL": postgres.owner_url}, self)
        return Migration(
            "schema",
            MigrationArgs(
                stack_folder=runtime.folder.path,
                command=[PYTHON, "-m", "payments", "migrate"],
                directory=str(args.checkout / "app"),
                environment={**self._common(), "SECRETS_DIR": runtime.secrets_folder("migrate")},
                owner_url_file=files["DATABASE_OWNER_URL"].path,
                fingerprint=fingerprint(args.release, postgres.owner_url),
                database=postgres.identifier,
                log=runtime.path("logs", "migrate.log"),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[postgres.database]),
        )

    def _common(self) -> dict[str, pulumi.Input[str]]:
        """Plain variables of every role."""
        args, upstreams = self._args, self._upstreams
        lightning, solana = upstreams.lightning, upstreams.solana
        return {
            "APP_ENV": "local",
            "HOST": "127.0.0.1",
            "RELEASE": args.release,
            "SLOT": args.slot,
            "LOG_LEVEL": args.settings.log_level,
            "NETWORK": args.settings.network,
            "ENABLE_METRICS": "true",
            "MAX_PAYMENT_MSAT": str(args.settings.max_payment_msat),
            "MAX_FEE_MSAT": str(args.settings.max_fee_msat),
            "MAX_RETRIES": str(args.settings.max_retries),
            **({"ASSET_LIMITS": args.settings.asset_limits} if args.settings.asset_limits else {}),
            "LND_URL": lightning.merchant_url,
            "LND_TLS_CERT_PATH": lightning.certificate("merchant"),
            "LND_MACAROON_PATH": lightning.macaroon("merchant", "invoice"),
            "ESPLORA_URL": upstreams.bitcoin.url,
            "ONCHAIN_POLL_SECONDS": POLL_SECONDS,
            "RIVER_URL": upstreams.river.url,
            "SOLANA_USDC_MINT": solana.mint,
            "SOLANA_PAY_TO": args.settings.solana_pay_to,
            "SOLANA_FEE_PAYER_ADDRESS": solana.fee_payer,
            "TRUSTED_PROXIES": "127.0.0.1/32",
            "TRUSTED_HOPS": "1",
            "PYTHONPATH": str(args.checkout / "app"),
        }

    def _shared_secrets(self) -> dict[str, pulumi.Input[str]]:
        upstreams, secrets = self._upstreams, self._args.secrets
        return {
            "DATABASE_URL": upstreams.postgres.app_url,
            "REDIS_URL": upstreams.redis.url,
            "API_KEY_PEPPER": secrets["apiKeyPepper"],
            "INVOICE_SECRET": secrets["invoiceSecret"],
            "SOLANA_RPC_URL": upstreams.solana.rpc_url,
            "ONCHAIN_DESCRIPTOR": public_descriptor(secrets["onchainSeed"]),
            "RIVER_API_KEY": secrets["riverApiKey"],
            "RIVER_WEBHOOK_SECRET": secrets["riverWebhookSecret"],
        }

    def _web_secrets(self) -> Variables:
        secrets = self._args.secrets
        return {
            **self._shared_secrets(),
            "JWT_SECRET": secrets["jwtSecret"],
            "BOOTSTRAP_ADMIN_KEY": secrets["bootstrapAdminKey"],
        }

    def _worker_secrets(self) -> Variables:
        secrets = self._args.secrets
        return {
            **self._shared_secrets(),
            "SOLANA_FEE_PAYER": secrets["solanaFeePayer"],
            "ONCHAIN_SIGNING_DESCRIPTOR": signing_descriptor(secrets["onchainSeed"]),
        }

    def _run(
        self, role: str, command: str, port: Port, port_variable: str, secrets: Variables, environment: Variables
    ) -> pulumi.Resource:
        args, runtime, upstreams = self._args, self._runtime, self._upstreams
        process = f"{role}-{args.slot}"
        files: dict[str, SecretFile] = runtime.secret_files(process, secrets, self)
        return runtime.process(
            process,
            RunArgs(
                command=[PYTHON, "-m", "payments", command],
                listens=[port.address],
                ready=Ready("http", port.address, "/ready"),
                fingerprint=fingerprint(args.release, *secrets.values()),
                environment={
                    **self._common(),
                    **environment,
                    port_variable: port.number.apply(str),
                    "SECRETS_DIR": runtime.secrets_folder(process),
                },
                directory=str(args.checkout / "app"),
                stop_wait_seconds=15,
            ),
            self,
            depends_on=[
                *files.values(),
                self._migration,
                upstreams.redis.process,
                upstreams.lightning.process,
                upstreams.bitcoin.process,
                upstreams.river.process,
                upstreams.solana.process,
            ],
        )
