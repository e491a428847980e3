"""What the on-chain rail reports."""

from payments.rails.protocol import InvalidRequestError, OutcomeUnknownError, RailRefusedError, RailUnavailableError

RAIL = "onchain"
ASSET = "BTC"
MSAT_PER_SAT = 1000


class OnchainConfigError(ValueError):
    """A setting of the rail cannot be used; the sentence names it."""


class EsploraUnreachableError(RailUnavailableError):
    """No usable answer; nothing was sent, or reading was cut off."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=5)


class EsploraRefusedError(Exception):
    """Esplora refused a broadcast with these words. No proof of anything: somebody else may have the transaction."""


class BroadcastUnknownError(OutcomeUnknownError):
    """A transaction was handed over and the answer is lost."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=5)


class OnchainInvalidRequestError(InvalidRequestError):
    """An address or amount that we will not pay."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL)


class OnchainRefusedError(RailRefusedError):
    """Refused before anything was signed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL)
