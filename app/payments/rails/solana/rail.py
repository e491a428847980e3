"""The Solana rail: health, USDC arrivals on the merchant's account, and the chain as the x402 facilitator needs it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from solders.pubkey import Pubkey

from payments.rails.protocol import Arrival, Health, RailHealth, RailUnavailableError
from payments.rails.solana.arrivals import ArrivalWatcher
from payments.rails.solana.rpc import RAIL, RpcAnswerError, SolanaRpc
from payments.rails.solana.tokens import CAIP2, USDC_MINT, X402_V1_NAME, associated_token_account
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience

ASSET: Final = "USDC"
# Where a token account has its amount (spl-token, AccountLayout).
_AMOUNT: Final = slice(64, 72)
HEALTH_TIMEOUT_SECONDS: Final = 3.0
# Below this the fee payer can sponsor about a thousand more payments: time to top up.
LOW_FEE_PAYER_LAMPORTS: Final = 10_000_000
BLOCKHASH_LIFE_BLOCKS: Final = 150


class SolanaConfigError(ValueError):
    """A setting of the rail cannot be used; the sentence names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolanaConfig:
    """The cluster and the addresses that payments go between. No key: that is the worker's signer's.

    Attributes:
        rpc_urls: providers, the preferred one first.
        network: mainnet-beta, devnet or testnet; a local cluster goes by devnet's name, as x402 clients know no other.
        mint: of USDC, base58.
        pay_to: the merchant's wallet, base58; empty when nothing is received for ourselves.
        fee_payer: the address that sponsors x402 payments, base58.
        patience: of the providers' circuit breakers.
    """

    rpc_urls: tuple[str, ...] = field(repr=False)
    network: str
    mint: str
    pay_to: str
    fee_payer: str
    patience: Patience = DEFAULT_PATIENCE

    def __post_init__(self) -> None:
        parts = [urlsplit(url) for url in self.rpc_urls]
        if not parts or any(part.scheme not in ("http", "https") or not part.hostname for part in parts):
            raise SolanaConfigError("SOLANA_RPC_URL must be one http(s) URL, or several with commas between them.")
        if self.network not in CAIP2:
            raise SolanaConfigError(f"SOLANA_NETWORK is {self.network!r}; use one of {', '.join(CAIP2)}.")
        for name, address in (
            ("SOLANA_USDC_MINT", self.mint),
            ("SOLANA_PAY_TO", self.pay_to),
            ("SOLANA_FEE_PAYER_ADDRESS", self.fee_payer),
        ):
            if address and not is_address(address):
                raise SolanaConfigError(f"{name} is no Solana address (base58 of 32 bytes).")

    @property
    def caip2(self) -> str:
        """The network's name in x402 version 2."""
        return CAIP2[self.network]

    @property
    def v1_name(self) -> str:
        """The network's name in x402 version 1."""
        return X402_V1_NAME[self.network]


def is_address(text: str) -> bool:
    """Whether `text` is base58 of 32 bytes."""
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True


def known_mint(network: str) -> str:
    """USDC's own mint on a public network."""
    return USDC_MINT.get(network, "")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SolanaRail:
    """Solana by JSON-RPC. Implements Rail and ArrivalSource.

    Args:
        config: cluster and addresses.
        clock: the time now, in UTC.
    """

    def __init__(self, config: SolanaConfig, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self.config = config
        self.rpc = SolanaRpc(config.rpc_urls, config.patience)
        self._clock = clock
        self._genesis = ""

    @property
    def name(self) -> str:
        """ "solana"."""
        return RAIL

    @property
    def assets(self) -> frozenset[str]:
        """USDC in millionths, and SOL in lamports for network fees."""
        return frozenset({ASSET, "SOL"})

    async def start(self) -> None:
        """Open the connection pool; nobody is contacted."""
        await self.rpc.start()

    async def close(self) -> None:
        """Close it."""
        await self.rpc.close()

    async def health(self) -> RailHealth:
        """`down`: provider silent, behind or on the wrong cluster; `degraded`: the fee payer runs dry."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS):
                return await self._examine()
        except TimeoutError:
            return RailHealth(Health.DOWN, "Solana's RPC provider did not answer within 3 s.")
        except RailUnavailableError as error:
            return RailHealth(Health.DOWN, error.sentence)
        except RpcAnswerError as error:
            return RailHealth(Health.DOWN, f"Solana's RPC provider refuses: {error.message[:100]}.")

    async def _examine(self) -> RailHealth:
        slot = await self.rpc.health(timeout_seconds=HEALTH_TIMEOUT_SECONDS)
        self._genesis = self._genesis or await self.rpc.genesis_hash()
        facts: dict[str, str | int | float | bool] = {"slot": slot, "providers": self.rpc.providers}
        on_mainnet = self._genesis.startswith(CAIP2["mainnet-beta"].removeprefix("solana:"))
        if on_mainnet != (self.config.network == "mainnet-beta"):
            where = "mainnet-beta" if on_mainnet else "another cluster than mainnet-beta"
            return RailHealth(Health.DOWN, f"Solana's RPC provider is on {where}; mend SOLANA_RPC_URL.", facts)
        if self.config.fee_payer:
            account = await self.rpc.account(self.config.fee_payer)
            lamports = account.lamports if account else 0
            facts["fee_payer_lamports"] = lamports
            if lamports < LOW_FEE_PAYER_LAMPORTS:
                reason = f"The fee payer has {lamports} lamports left; top it up."
                return RailHealth(Health.DEGRADED, reason, facts)
        return RailHealth(Health.OK, facts=facts)

    async def held(self) -> dict[str, int]:
        """USDC in the merchant's token account, finalized; nothing when nothing is received for ourselves.

        Raises:
            RailUnavailableError: no answer.
        """
        if not self.config.pay_to:
            return {}
        account = await self.rpc.account(
            str(associated_token_account(self.config.pay_to, self.config.mint)), commitment="finalized"
        )
        return {ASSET: int.from_bytes(account.data[_AMOUNT], "little") if account else 0}

    def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival]:
        """Finalized USDC arrivals on the merchant's token account after the signature `cursor`, then new ones."""
        if not self.config.pay_to:
            return _nothing()
        watcher = ArrivalWatcher(
            self.rpc,
            account=str(associated_token_account(self.config.pay_to, self.config.mint)),
            mint=self.config.mint,
            asset=ASSET,
            clock=self._clock,
        )
        return watcher.arrivals(cursor)


async def _nothing() -> AsyncIterator[Arrival]:
    await asyncio.Event().wait()
    return
    yield
