"""A real btcd as the chain: its blocks and mempool are followed by RPC, and it decides what is valid."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from sandbox.esplora import mining
from sandbox.esplora.chain import Reorganisation, in_spending_order
from sandbox.esplora.encoding import Block, Transaction
from sandbox.esplora.errors import InvalidTransactionError, RefusedError, SandboxError
from sandbox.esplora.faucet import Faucet
from sandbox.esplora.ledger import Ledger

_TIMEOUT = aiohttp.ClientTimeout(total=30)


class BtcdError(Exception):
    """btcd answered with an error; the message is its own."""


class BtcdChain:
    """The chain of one btcd in regtest, which must mine to the faucet's address.

    Args:
        url: https address of its RPC.
        certificate: its rpc.cert, the only one that is trusted.
        credentials: RPC user and password.
        seed: where the faucet's key comes from.
        clock: Unix seconds.
    """

    network = "regtest"

    def __init__(
        self, url: str, *, certificate: Path, credentials: tuple[str, str], seed: bytes, clock: Callable[[], float]
    ) -> None:
        self.ledger = Ledger()
        self.faucet = Faucet(seed)
        self._url = url
        pem = certificate.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
        self._pin = aiohttp.Fingerprint(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest())
        self._auth = aiohttp.BasicAuth(*credentials)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._salt = 0
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Connect and read the chain. Raises SandboxError: btcd does not answer."""
        self._session = aiohttp.ClientSession(auth=self._auth, timeout=_TIMEOUT)
        try:
            await self.refresh()
        except (aiohttp.ClientError, BtcdError) as error:
            raise SandboxError(f"btcd at {self._url} cannot be used: {error}") from error

    async def close(self) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, *parameters: Any) -> Any:
        """One RPC. Raises BtcdError."""
        assert self._session is not None, "start() first"
        body = orjson.dumps({"jsonrpc": "1.0", "id": 1, "method": method, "params": parameters})
        async with self._session.post(self._url, data=body, ssl=self._pin) as response:
            answer = orjson.loads(await response.read())
        if answer.get("error"):
            raise BtcdError(str(answer["error"].get("message")))
        return answer["result"]

    async def refresh(self) -> None:
        """Follow btcd's best chain, also back over a fork, and its mempool."""
        async with self._lock:
            await self._follow()

    async def _follow(self) -> None:
        best = await self.call("getbestblockhash")
        if not self.ledger.chain:
            self.ledger.connect(await self._block(await self.call("getblockhash", 0), 0))
        if best != self.ledger.tip.hash:
            await self._follow_blocks(int(await self.call("getblockcount")))
        waiting = list(await self.call("getrawmempool"))
        for gone in set(self.ledger.mempool) - set(waiting):
            self.ledger.forget(gone)
        news = []
        for txid in waiting:
            if txid not in self.ledger.mempool and self.ledger.place(txid) is None:
                try:
                    news.append(Transaction.decode(bytes.fromhex(await self.call("getrawtransaction", txid, 0))))
                except BtcdError:
                    continue  # it left while we asked
        for transaction in in_spending_order(self.ledger, news):
            self.ledger.add(transaction, fee=self.ledger.fee(transaction), since=self._clock())

    async def _follow_blocks(self, height: int) -> None:
        while (
            self.ledger.tip.height > height
            or await self.call("getblockhash", self.ledger.tip.height) != self.ledger.tip.hash
        ):
            self.ledger.disconnect()
        for number in range(self.ledger.tip.height + 1, height + 1):
            self.ledger.connect(await self._block(await self.call("getblockhash", number), number))

    async def _block(self, block_hash: str, height: int) -> Block:
        return Block.decode(bytes.fromhex(await self.call("getblock", block_hash, 0)), height)

    async def accept(self, transaction: Transaction) -> str:
        """As `Chain.accept`."""
        try:
            await self.call("sendrawtransaction", transaction.encoded().hex())
        except BtcdError as error:
            raise InvalidTransactionError(str(error)) from error
        await self.refresh()
        return transaction.txid

    async def mine(self, count: int, script: bytes | None = None) -> list[Block]:
        """As `Chain.mine`; btcd mines to one address alone."""
        if script is not None:
            raise RefusedError("btcd mines to the address that it was started with")
        hashes = await self.call("generate", count)
        await self.refresh()
        return [self.ledger.blocks[one] for one in hashes]

    async def pay(self, script: bytes, sats: int, *, fee_rate: float, times: int = 1) -> str:
        """As `Chain.pay`."""
        return await self.accept(self.faucet.pay(self.ledger, script, sats, fee_rate=fee_rate, times=times))

    async def reorganise(self, order: Reorganisation) -> list[Block]:
        """As `Chain.reorganise`: a longer branch is built here and handed to btcd."""
        async with self._lock:
            await self._follow()
            if not 0 < order.depth < order.blocks or order.depth > self.ledger.tip.height:
                raise RefusedError("a reorganisation needs a depth of at least 1 and more new blocks than that")
            cheats = []
            for txid in order.double_spend:
                victim = self.ledger.transaction(txid)
                if victim is None:
                    raise RefusedError("Transaction not found", is_missing=True)
                cheats.append(self.faucet.cheat(self.ledger, victim))
            undone = self.ledger.chain[-order.depth :]
            skipped = order.without | order.double_spend
            kept = [one for block in undone for one in block.transactions[1:] if one.txid not in skipped]
            branch = self.ledger.chain[: -order.depth][-11:]
            blocks = []
            for number in range(order.blocks):
                content = in_spending_order(self.ledger, cheats + kept) if number == 0 else []
                self._salt += 1
                salt = mining.salt_of(self._salt) + b"fork"
                now = int(self._clock())
                block = mining.next_block(branch, content, fees=0, script=self.faucet.script, now=now, salt=salt)
                reason = await self.call("submitblock", block.encoded().hex())
                if reason:
                    raise RefusedError(f"btcd refuses the new block: {reason}")
                blocks.append(block)
                branch = [*branch, block][-11:]
            await self._follow()
        return blocks
