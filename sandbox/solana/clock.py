"""Slots, block heights and blockhashes: all follow from the clock and a seed, so nothing of it has to be stored."""

import hashlib
from collections.abc import Callable

from solders.hash import Hash

SLOT_SECONDS = 0.4
FIRST_SLOT = 1000
MAX_PROCESSING_AGE = 150
"""Blocks for which a blockhash can be used (solana_clock::MAX_PROCESSING_AGE)."""
CONFIRMED_AFTER = 1
FINALIZED_AFTER = 32
"""Slots until a block is rooted: the depth of a full vote lockout tower plus one."""
SLOTS_PER_EPOCH = 432_000
COMMITMENTS = {"processed": 0, "confirmed": CONFIRMED_AFTER, "finalized": FINALIZED_AFTER}
"""Commitment level -> how many slots behind the newest block its bank is."""


class SlotClock:
    """A cluster that never skips a slot: block height and slot are the same number."""

    def __init__(self, genesis_at: float, seed: bytes, now: Callable[[], float]) -> None:
        self._genesis_at = genesis_at
        self._seed = seed
        self._now = now
        self._slot_of: dict[Hash, int] = {}
        self._newest = -1
        self._highest = FIRST_SLOT

    def slot(self, commitment: str = "processed") -> int:
        """The newest slot of a commitment level."""
        passed = int((self._now() - self._genesis_at) / SLOT_SECONDS)
        # A wall clock that is set back must not take slots back.
        self._highest = max(self._highest, FIRST_SLOT + passed)
        return self._highest - COMMITMENTS[commitment]

    def time_of(self, slot: int) -> int:
        """Unix time of a slot."""
        return int(self._genesis_at + (slot - FIRST_SLOT) * SLOT_SECONDS)

    def blockhash(self, slot: int) -> Hash:
        """The blockhash of a slot."""
        return Hash.from_bytes(hashlib.sha256(self._seed + slot.to_bytes(8, "little")).digest())

    def slot_of(self, blockhash: Hash) -> int | None:
        """The slot that made a blockhash, None when it is unknown or was forgotten."""
        newest = self.slot()
        oldest = newest - 2 * MAX_PROCESSING_AGE
        if newest != self._newest:
            for slot in range(max(self._newest + 1, oldest), newest + 1):
                self._slot_of[self.blockhash(slot)] = slot
            self._newest = newest
            if len(self._slot_of) > 4 * MAX_PROCESSING_AGE:
                self._slot_of = {known: slot for known, slot in self._slot_of.items() if slot >= oldest}
        return self._slot_of.get(blockhash)

    def is_valid(self, blockhash: Hash, slot: int) -> bool:
        """Whether a transaction with this blockhash may be processed in a slot."""
        made = self.slot_of(blockhash)
        return made is not None and made <= slot and slot - made <= MAX_PROCESSING_AGE
