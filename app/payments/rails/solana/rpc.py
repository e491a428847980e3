"""Solana's JSON-RPC over aiohttp, from one or several providers. URLs may hold keys, so they are never written out."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from payments.rails.protocol import RailUnavailableError
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience, guarded_by

RAIL: Final = "solana"
REQUEST_TIMEOUT_SECONDS: Final = 30.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0
CONNECTIONS_PER_HOST: Final = 10
MAX_STATUSES: Final = 256

PREFLIGHT_FAILED: Final = -32002
NODE_UNHEALTHY: Final = -32005


class RpcUnavailableError(RailUnavailableError):
    """The provider gave no usable answer. For `send` this says nothing about the transaction: its signature does."""

    def __init__(self, sentence: str, *, retry_after_seconds: float = 1) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=retry_after_seconds)


class RpcAnswerError(Exception):
    """The provider answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a transaction would do: `error` None when it would succeed; `accounts` are raw data after it."""

    error: Any
    logs: tuple[str, ...]
    accounts: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class SignatureStatus:
    """What the cluster says of a signature. `confirmation` is processed, confirmed or finalized."""

    error: Any
    confirmation: str
    slot: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account's owner program, data and lamports."""

    owner: str
    data: bytes
    lamports: int


class SolanaRpc:
    """JSON-RPC of one cluster.

    Args:
        urls: providers, the preferred one first; proofs of death ask all of them.
        patience: of their circuit breakers, one each.
    """

    def __init__(self, urls: Sequence[str], patience: Patience = DEFAULT_PATIENCE) -> None:
        self._urls = tuple(urls)
        # Named by their places: an address holds the provider's key.
        self._guards = [guarded_by(patience.breaker(f"solana-{place}")) for place in range(1, len(self._urls) + 1)]
        self._session: aiohttp.ClientSession | None = None
        self._next_id = 0

    @property
    def providers(self) -> int:
        """How many providers there are."""
        return len(self._urls)

    async def start(self) -> None:
        """Open the connection pool; nobody is contacted."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS_PER_HOST, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )

    async def close(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        params: Sequence[Any] = (),
        *,
        provider: int | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> Any:
        """The `result` of one call.

        Args:
            method: of the JSON-RPC.
            params: of the call.
            provider: the one to ask; by default the preferred one, and the others in turn when it cannot answer.
            timeout_seconds: for each provider.

        Raises:
            RpcUnavailableError: no answer, or the node is behind.
            RpcAnswerError: an error in JSON-RPC's form.
        """
        asked = range(self.providers) if provider is None else (provider,)
        for one in asked:
            try:
                return await self._ask(method, params, one, timeout_seconds)
            except RpcUnavailableError:
                if one == asked[-1]:
                    raise
        raise AssertionError("there is at least one provider")

    async def _ask(self, method: str, params: Sequence[Any], provider: int, timeout_seconds: float) -> Any:
        assert self._session is not None, "start() first"
        self._next_id += 1
        body = orjson.dumps({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": list(params)})
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        try:
            async with self._session.post(
                self._urls[provider],
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=timeout,
                allow_redirects=False,
                middlewares=self._guards[provider],
            ) as response:
                return _result(method, response.status, await response.read(), response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # `from None`: aiohttp's own text holds the address.
            raise RpcUnavailableError(f"Solana's RPC provider {_what_failed(error)} ({method}).") from None

    async def genesis_hash(self) -> str:
        """The cluster's identity."""
        return str(await self.call("getGenesisHash"))

    async def health(self, *, timeout_seconds: float) -> int:
        """The confirmed slot of a healthy node. Raises RpcUnavailableError when it is behind or silent."""
        try:
            await self.call("getHealth", timeout_seconds=timeout_seconds)
            return int(await self.call("getSlot", [{"commitment": "confirmed"}], timeout_seconds=timeout_seconds))
        except RpcAnswerError as error:
            raise RpcUnavailableError(f"Solana's RPC provider is unhealthy: {error.message[:100]}.") from error

    async def block_height(self, commitment: str, *, provider: int | None = None) -> int:
        """Height of the newest block of a commitment."""
        return int(await self.call("getBlockHeight", [{"commitment": commitment}], provider=provider))

    async def is_blockhash_valid(self, blockhash: str, commitment: str) -> bool:
        """Whether a transaction with this blockhash can still land."""
        return bool(_value(await self.call("isBlockhashValid", [blockhash, {"commitment": commitment}])))

    async def simulate(self, transaction: bytes, *, accounts: Sequence[str] = ()) -> Simulation:
        """Runs a transaction on the newest bank without landing it; signatures are not checked there."""
        options: dict[str, Any] = {"encoding": "base64", "sigVerify": False, "commitment": "processed"}
        if accounts:
            options["accounts"] = {"encoding": "base64", "addresses": list(accounts)}
        value = _value(await self.call("simulateTransaction", [_base64(transaction), options]))
        after = tuple(_account_data(entry) for entry in value.get("accounts") or ())
        return Simulation(value.get("err"), tuple(value.get("logs") or ()), after)

    async def send(self, transaction: bytes, *, skip_preflight: bool) -> str:
        """Hands a signed transaction to the cluster; the signature comes back, and promises nothing.

        Raises:
            RpcAnswerError: the node refused it; with PREFLIGHT_FAILED `data` says why.
        """
        options = {
            "encoding": "base64",
            "skipPreflight": skip_preflight,
            "preflightCommitment": "processed",
            "maxRetries": 0,  # sending again is our loop's
        }
        return str(await self.call("sendTransaction", [_base64(transaction), options]))

    async def status(
        self, signature: str, *, search_history: bool, provider: int | None = None
    ) -> SignatureStatus | None:
        """What became of a signature, None when this provider never saw it."""
        options = {"searchTransactionHistory": search_history}
        values = _value(await self.call("getSignatureStatuses", [[signature], options], provider=provider))
        value = values[0] if isinstance(values, list) and values else None
        if not isinstance(value, dict):
            return None
        confirmation = value.get("confirmationStatus")
        if confirmation is None:  # old nodes: no count of confirmations means rooted
            confirmation = "finalized" if value.get("confirmations") is None else "processed"
        return SignatureStatus(value.get("err"), str(confirmation), int(value.get("slot") or 0))

    async def transaction(self, signature: str, commitment: str) -> Mapping[str, Any] | None:
        """A landed transaction with its effects (`meta`), None when the provider does not have it (yet)."""
        options = {"encoding": "json", "commitment": commitment, "maxSupportedTransactionVersion": 0}
        answer = await self.call("getTransaction", [signature, options])
        return answer if isinstance(answer, dict) else None

    async def account(self, address: str, commitment: str = "confirmed") -> Account | None:
        """An account, None when it does not exist."""
        value = _value(await self.call("getAccountInfo", [address, {"encoding": "base64", "commitment": commitment}]))
        data = _account_data(value)
        return None if data is None else Account(str(value["owner"]), data, int(value["lamports"]))

    async def signatures(
        self, address: str, *, before: str | None, until: str | None, limit: int
    ) -> list[Mapping[str, Any]]:
        """Finalized transactions that touched an address, newest first."""
        options: dict[str, Any] = {"limit": limit, "commitment": "finalized"}
        if before:
            options["before"] = before
        if until:
            options["until"] = until
        return list(await self.call("getSignaturesForAddress", [address, options]))


def _value(answer: Any) -> Any:
    if not isinstance(answer, dict) or "value" not in answer:
        raise RpcUnavailableError("Solana's RPC provider sent an answer of another form.")
    return answer["value"]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _account_data(value: Any) -> bytes | None:
    if not isinstance(value, dict):
        return None
    try:
        return base64.b64decode(value["data"][0], validate=True)
    except (KeyError, IndexError, TypeError, binascii.Error) as error:
        raise RpcUnavailableError("Solana's RPC provider sent account data that is not base64.") from error


def _result(method: str, status: int, content: bytes, headers: Mapping[str, str]) -> Any:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        error = answer["error"]
        code, message = int(error.get("code") or 0), str(error.get("message") or "")
        if status == 429 or code == NODE_UNHEALTHY:
            raise RpcUnavailableError(f"Solana's RPC provider cannot serve {method}: {message[:100]}.")
        raise RpcAnswerError(code, message, error.get("data"))
    if status == 200 and isinstance(answer, dict) and "result" in answer:
        return answer["result"]
    wait = headers.get("Retry-After", "")
    raise RpcUnavailableError(
        f"Solana's RPC provider answered {method} with HTTP status {status}.",
        retry_after_seconds=float(wait) if wait.isdecimal() else 1,
    )


def _what_failed(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "is not reached"
    return "broke the connection"
