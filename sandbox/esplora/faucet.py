"""The network's own purse: it earns the blocks' subsidies, pays whom it is told to, and can cheat in a reorg."""

from __future__ import annotations

import hashlib

from coincurve import PrivateKey

from sandbox.esplora.encoding import Input, OutPoint, Output, Transaction
from sandbox.esplora.errors import RefusedError
from sandbox.esplora.ledger import Ledger
from sandbox.esplora.spending import pay_to_key, signature_hash

_REPLACEABLE = 0xFFFFFFFD
_INPUT_VBYTES, _OUTPUT_VBYTES, _BASE_VBYTES = 69, 43, 11


class Faucet:
    """One key. Args: seed: whatever the key comes from."""

    def __init__(self, seed: bytes) -> None:
        self._key = PrivateKey(hashlib.sha256(b"faucet" + seed).digest())
        self._public = self._key.public_key.format()
        self.script = pay_to_key(self._public)

    def pay(self, ledger: Ledger, script: bytes, sats: int, *, fee_rate: float, times: int = 1) -> Transaction:
        """A signed payment with `times` outputs of `sats` satoshis. Raises RefusedError: the purse has not enough."""
        outputs, due = [Output(sats, script)] * times, sats * times
        chosen: list[tuple[OutPoint, Output]] = []
        for point, output in sorted(ledger.unspent(self.script), key=lambda one: -one[1].value):
            chosen.append((point, output))
            fee = self._fee(len(chosen), times + 1, fee_rate)
            if sum(one.value for _, one in chosen) >= due + fee:
                return self._signed(chosen, outputs, fee)
        raise RefusedError(f"the faucet has not {due} mature satoshis; mine first")

    def cheat(self, ledger: Ledger, victim: Transaction) -> Transaction:
        """A transaction that spends a payment's inputs back to the purse. Raises RefusedError: they are not its own."""
        spent = [(one.previous, ledger.output(one.previous)) for one in victim.inputs]
        own = [(point, output) for point, output in spent if output is not None and output.script == self.script]
        if len(own) != len(spent):
            raise RefusedError("only a payment of the faucet's can be spent twice")
        total = sum(output.value for _, output in own)
        fee = ledger.fee(victim) + 2 * victim.virtual_size
        return self._sign([(p, o) for p, o in own], (Output(total - fee, self.script),))

    def _fee(self, inputs: int, outputs: int, rate: float) -> int:
        return int(rate * (_BASE_VBYTES + inputs * _INPUT_VBYTES + outputs * _OUTPUT_VBYTES)) + 1

    def _signed(self, chosen: list[tuple[OutPoint, Output]], outputs: list[Output], fee: int) -> Transaction:
        change = sum(one.value for _, one in chosen) - sum(one.value for one in outputs) - fee
        return self._sign(chosen, (*outputs, *([Output(change, self.script)] if change >= 1000 else [])))

    def _sign(self, chosen: list[tuple[OutPoint, Output]], outputs: tuple[Output, ...]) -> Transaction:
        inputs = tuple(Input(point, b"", _REPLACEABLE) for point, _ in chosen)
        plain = Transaction(2, inputs, outputs, 0)
        witnesses = []
        for number, (_, output) in enumerate(chosen):
            signature = self._key.sign(signature_hash(plain, number, output), hasher=None) + b"\x01"
            witnesses.append((signature, self._public))
        signed = tuple(
            Input(one.previous, b"", one.sequence, witness) for one, witness in zip(inputs, witnesses, strict=True)
        )
        return Transaction(2, signed, outputs, 0)
