"""Esplora's REST API, and `/sandbox/...` to move the network by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from sandbox.esplora import shapes
from sandbox.esplora.addresses import script_hash, script_of
from sandbox.esplora.chain import Chain, Reorganisation
from sandbox.esplora.encoding import Block, OutPoint, Transaction, double_sha256
from sandbox.esplora.errors import RefusedError
from sandbox.esplora.ledger import Ledger

PAGE = 25
MAX_BODY_BYTES = 4 << 20
FEE_TARGETS = (1, 2, 3, 4, 5, 6, 10, 20, 144, 504, 1008)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals as Esplora words them: text with status 400 or 404."""
    try:
        return await handler(request)
    except RefusedError as refusal:
        return web.Response(status=404 if refusal.is_missing else 400, text=str(refusal))


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 9:
        raise RefusedError(f"{text[:20]!r} is no number")
    return int(text)


class Esplora:
    """The handlers over one chain."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._fee_rate = 1.0

    @property
    def _ledger(self) -> Ledger:
        return self._chain.ledger

    def application(self) -> web.Application:
        """The HTTP application."""

        async def fresh(request: web.Request, handler: Handler) -> web.StreamResponse:
            await self._chain.refresh()
            return await handler(request)

        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[refusals, web.middleware(fresh)])
        app.router.add_routes(
            [
                web.get("/blocks/tip/height", self._tip_height),
                web.get("/blocks/tip/hash", self._tip_hash),
                web.get("/blocks", self._blocks),
                web.get("/blocks/{height}", self._blocks),
                web.get("/block-height/{height}", self._block_height),
                web.get("/block/{hash}", self._block),
                web.get("/block/{hash}/{part}", self._block_part),
                web.get("/tx/{txid}", self._tx),
                web.get("/tx/{txid}/{part}", self._tx_part),
                web.get("/tx/{txid}/outspend/{vout}", self._outspend),
                web.post("/tx", self._broadcast),
                web.get("/{kind:address|scripthash}/{name}", self._summary),
                web.get("/{kind:address|scripthash}/{name}/utxo", self._utxo),
                web.get("/{kind:address|scripthash}/{name}/txs", self._txs),
                web.get("/{kind:address|scripthash}/{name}/txs/mempool", self._txs_mempool),
                web.get("/{kind:address|scripthash}/{name}/txs/chain", self._txs_chain),
                web.get("/{kind:address|scripthash}/{name}/txs/chain/{last}", self._txs_chain),
                web.get("/fee-estimates", self._fee_estimates),
                web.get("/mempool", self._mempool),
                web.post("/sandbox/mine", self._mine),
                web.post("/sandbox/pay", self._pay),
                web.post("/sandbox/replace", self._replace),
                web.post("/sandbox/reorganise", self._reorganise),
                web.post("/sandbox/fees", self._set_fees),
            ]
        )
        return app

    # ---- blocks

    async def _tip_height(self, _request: web.Request) -> web.Response:
        return web.Response(text=str(self._ledger.tip.height))

    async def _tip_hash(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._ledger.tip.hash)

    async def _blocks(self, request: web.Request) -> web.Response:
        start = _number(request.match_info.get("height", str(self._ledger.tip.height)))
        return _json([shapes.block(one) for one in reversed(self._ledger.chain[max(0, start - 9) : start + 1])])

    async def _block_height(self, request: web.Request) -> web.Response:
        height = _number(request.match_info["height"])
        if height > self._ledger.tip.height:
            raise RefusedError("Block not found", is_missing=True)
        return web.Response(text=self._ledger.chain[height].hash)

    def _found_block(self, request: web.Request) -> Block:
        block = self._ledger.at(request.match_info["hash"])
        if block is None:
            raise RefusedError("Block not found", is_missing=True)
        return block

    async def _block(self, request: web.Request) -> web.Response:
        return _json(shapes.block(self._found_block(request)))

    async def _block_part(self, request: web.Request) -> web.Response:
        part = request.match_info["part"]
        if part == "status":
            return _json(self._block_status(request.match_info["hash"]))
        block = self._found_block(request)
        if part == "header":
            return web.Response(text=block.header().hex())
        if part == "raw":
            return web.Response(body=block.encoded(), content_type="application/octet-stream")
        if part == "txids":
            return _json([one.txid for one in block.transactions])
        if part == "txs":
            whole = [shapes.transaction(self._ledger, one, self._chain.network) for one in block.transactions[:PAGE]]
            return _json(whole)
        raise RefusedError("endpoint does not exist", is_missing=True)

    def _block_status(self, block_hash: str) -> dict[str, Any]:
        if not self._ledger.is_active(block_hash):
            return {"in_best_chain": False}
        height = self._ledger.blocks[block_hash].height
        following = self._ledger.chain[height + 1].hash if height < self._ledger.tip.height else None
        return {"in_best_chain": True, "height": height, "next_best": following}

    # ---- transactions

    def _found_tx(self, request: web.Request) -> Transaction:
        transaction = self._ledger.transaction(request.match_info["txid"])
        if transaction is None:
            raise RefusedError("Transaction not found", is_missing=True)
        return transaction

    async def _tx(self, request: web.Request) -> web.Response:
        return _json(shapes.transaction(self._ledger, self._found_tx(request), self._chain.network))

    async def _tx_part(self, request: web.Request) -> web.Response:
        part, transaction = request.match_info["part"], self._found_tx(request)
        if part == "status":
            return _json(shapes.status(self._ledger, transaction.txid))
        if part == "hex":
            return web.Response(text=transaction.encoded().hex())
        if part == "raw":
            return web.Response(body=transaction.encoded(), content_type="application/octet-stream")
        if part == "outspends":
            points = [OutPoint(transaction.txid, number) for number in range(len(transaction.outputs))]
            return _json([shapes.outspend(self._ledger, point) for point in points])
        if part == "merkle-proof":
            return _json(self._merkle_proof(transaction.txid))
        raise RefusedError("endpoint does not exist", is_missing=True)

    def _merkle_proof(self, txid: str) -> dict[str, Any]:
        place = self._ledger.place(txid)
        if place is None:
            raise RefusedError("Transaction not found or is unconfirmed", is_missing=True)
        level = [bytes.fromhex(one.txid)[::-1] for one in place.block.transactions]
        number, branch = place.number, []
        while len(level) > 1:
            level = [*level, level[-1]] if len(level) % 2 else level
            branch.append(level[number ^ 1][::-1].hex())
            level = [double_sha256(level[n] + level[n + 1]) for n in range(0, len(level), 2)]
            number //= 2
        return {"block_height": place.block.height, "merkle": branch, "pos": place.number}

    async def _outspend(self, request: web.Request) -> web.Response:
        point = OutPoint(request.match_info["txid"], _number(request.match_info["vout"]))
        return _json(shapes.outspend(self._ledger, point))

    async def _broadcast(self, request: web.Request) -> web.Response:
        text = (await request.text()).strip()
        try:
            data = bytes.fromhex(text)
        except ValueError:
            raise RefusedError("TX decode failed") from None
        return web.Response(text=await self._chain.accept(Transaction.decode(data)))

    # ---- scripts

    def _hashed(self, request: web.Request) -> tuple[str, set[str]]:
        name = request.match_info["name"]
        if request.match_info["kind"] == "scripthash":
            return name, {
                one.script.hex()
                for txid in self._ledger.history(name)
                for one in (self._ledger.transaction(txid) or Transaction(2, (), (), 0)).outputs
                if script_hash(one.script) == name
            }
        script = script_of(name, self._chain.network)
        return script_hash(script), {script.hex()}

    async def _summary(self, request: web.Request) -> web.Response:
        hashed, scripts = self._hashed(request)
        key = "address" if request.match_info["kind"] == "address" else "scripthash"
        return _json({key: request.match_info["name"], **shapes.summary(self._ledger, hashed, scripts)})

    async def _utxo(self, request: web.Request) -> web.Response:
        hashed, scripts = self._hashed(request)
        found = []
        for txid in self._ledger.history(hashed):
            transaction = self._ledger.transaction(txid)
            assert transaction is not None
            for number, one in enumerate(transaction.outputs):
                if one.script.hex() in scripts and self._ledger.spender(OutPoint(txid, number)) is None:
                    status = shapes.status(self._ledger, txid)
                    found.append({"txid": txid, "vout": number, "status": status, "value": one.value})
        return _json(found)

    def _page(self, txids: list[str]) -> web.Response:
        transactions = [self._ledger.transaction(txid) for txid in txids]
        return _json([shapes.transaction(self._ledger, one, self._chain.network) for one in transactions if one])

    async def _txs(self, request: web.Request) -> web.Response:
        history = self._ledger.history(self._hashed(request)[0])
        waiting = [txid for txid in history if self._ledger.place(txid) is None]
        return self._page(waiting[:50] + [txid for txid in history if self._ledger.place(txid)][:PAGE])

    async def _txs_mempool(self, request: web.Request) -> web.Response:
        history = self._ledger.history(self._hashed(request)[0])
        return self._page([txid for txid in history if self._ledger.place(txid) is None][:50])

    async def _txs_chain(self, request: web.Request) -> web.Response:
        history = [one for one in self._ledger.history(self._hashed(request)[0]) if self._ledger.place(one)]
        last = request.match_info.get("last")
        start = history.index(last) + 1 if last in history else 0
        return self._page(history[start : start + PAGE])

    # ---- fees, mempool and the sandbox's own

    async def _fee_estimates(self, _request: web.Request) -> web.Response:
        return _json({str(target): self._fee_rate for target in FEE_TARGETS})

    async def _mempool(self, _request: web.Request) -> web.Response:
        waiting = self._ledger.mempool.values()
        size = sum(one.transaction.virtual_size for one in waiting)
        return _json({"count": len(waiting), "vsize": size, "total_fee": sum(one.fee for one in waiting)})

    async def _body(self, request: web.Request, **kinds: type) -> dict[str, Any]:
        try:
            body = orjson.loads(await request.read() or b"{}")
        except orjson.JSONDecodeError:
            raise RefusedError("the body is no JSON") from None
        if not isinstance(body, dict) or not all(
            isinstance(body.get(name), kind) for name, kind in kinds.items() if name in body
        ):
            raise RefusedError(f"the body must be an object with {', '.join(kinds)}")
        return body

    async def _mine(self, request: web.Request) -> web.Response:
        body = await self._body(request, blocks=int, address=str)
        count = body.get("blocks", 1)
        if not 1 <= count <= 1000:
            raise RefusedError("blocks must be from 1 to 1000")
        script = script_of(body["address"], self._chain.network) if "address" in body else None
        return _json([block.hash for block in await self._chain.mine(count, script)])

    async def _pay(self, request: web.Request) -> web.Response:
        body = await self._body(request, address=str, sats=int, fee_rate=(int, float), times=int)  # type: ignore[arg-type]
        if "address" not in body or body.get("sats", 0) < 1:
            raise RefusedError("give an address and sats above 0")
        script = script_of(body["address"], self._chain.network)
        rate, times = float(body.get("fee_rate", 2)), body.get("times", 1)
        if not 1 <= times <= 1000:
            raise RefusedError("times must be from 1 to 1000")
        return _json({"txid": await self._chain.pay(script, body["sats"], fee_rate=rate, times=times)})

    async def _replace(self, request: web.Request) -> web.Response:
        """A payer takes a payment back while it waits (BIP 125)."""
        body = await self._body(request, txid=str)
        victim = self._ledger.transaction(body.get("txid", ""))
        if victim is None or self._ledger.place(victim.txid) is not None:
            raise RefusedError("Transaction not found in the mempool", is_missing=True)
        return _json({"txid": await self._chain.accept(self._chain.faucet.cheat(self._ledger, victim))})

    async def _reorganise(self, request: web.Request) -> web.Response:
        body = await self._body(request, depth=int, blocks=int, without=list, double_spend=list)
        depth = body.get("depth", 1)
        order = Reorganisation(
            depth=depth,
            blocks=body.get("blocks", depth + 1),
            without=frozenset(body.get("without", ())),
            double_spend=frozenset(body.get("double_spend", ())),
        )
        return _json([block.hash for block in await self._chain.reorganise(order)])

    async def _set_fees(self, request: web.Request) -> web.Response:
        body = await self._body(request, sat_per_vbyte=(int, float))  # type: ignore[arg-type]
        if body.get("sat_per_vbyte", 0) <= 0:
            raise RefusedError("sat_per_vbyte must be above 0")
        self._fee_rate = float(body["sat_per_vbyte"])
        return _json({"sat_per_vbyte": self._fee_rate})
