"""How many confirmations a sum needs before it counts."""

from __future__ import annotations

from dataclasses import dataclass

from payments.rails.onchain.errors import OnchainConfigError

# Design section 4, rule 2: what kills a transaction of ours must be buried as deep as this.
CONFLICT_CONFIRMATIONS = 6


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Steps of (sum in satoshis up to which, confirmations), and what is needed above the last."""

    steps: tuple[tuple[int, int], ...]
    above: int

    @classmethod
    def parse(cls, text: str) -> Confirmations:
        """Reads "1000000:1,10000000:3,6". Raises OnchainConfigError."""
        *steps, last = text.replace(" ", "").split(",")
        try:
            pairs = tuple((int(sats), int(count)) for sats, count in (step.split(":") for step in steps))
            above = int(last)
        except ValueError:
            pairs, above = (), 0
        counts = [count for _, count in pairs] + [above]
        if above < 1 or list(pairs) != sorted(pairs) or counts != sorted(counts) or counts[0] < 1:
            raise OnchainConfigError(
                f"ONCHAIN_CONFIRMATIONS is {text!r}: give rising steps of satoshis:confirmations and the number for "
                "everything above, like 1000000:1,10000000:3,6."
            )
        return cls(pairs, above)

    def needed(self, sats: int) -> int:
        """Confirmations that a sum needs; 1 is being in the tip."""
        return next((count for limit, count in self.steps if sats <= limit), self.above)

    @property
    def most(self) -> int:
        """The most that any sum needs, at least as many as a conflict does."""
        return max(self.above, CONFLICT_CONFIRMATIONS)
