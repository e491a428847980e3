"""What LND's REST interface can answer instead of a result, typed by what it means for money."""

from payments.rails.protocol import (
    InvalidRequestError,
    OutcomeUnknownError,
    RailError,
    RailRefusedError,
    RailUnavailableError,
)

RAIL = "lnd"


class LndConfigError(RailUnavailableError):
    """A certificate or macaroon is missing or malformed: nothing was sent. The sentence names the setting."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=60)


class LndUnreachableError(RailUnavailableError):
    """No connection was made, so nothing was sent; or a read was cut off, which changes nothing."""

    def __init__(self, sentence: str, *, retry_after_seconds: float = 2) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=retry_after_seconds)


class LndAccessError(RailUnavailableError):
    """The node does not accept our macaroon for this call, or is not the node of the pinned certificate."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=60)


class LndNotReadyError(RailUnavailableError):
    """The node answers, but its wallet is locked or it is still starting."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=5)


class LndOutcomeUnknownError(OutcomeUnknownError):
    """A writing call was sent and its answer is lost: only a look-up can tell."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=1)


class LndAnswerError(RailRefusedError):
    """The node answered with an error.

    Attributes:
        code: the gRPC status code (5 not found, 6 already exists, 2 unclassified, ...).
        message: LND's own words.
    """

    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    UNIMPLEMENTED = 12

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"LND refused: {message[:300]}.", rail=RAIL)
        self.code = code
        self.message = message


class LndInvalidRequestError(InvalidRequestError):
    """An invoice that we will not pay."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL)


_NOT_READY = ("waiting to start", "wallet locked", "wallet not found", "starting up", "not yet ready", "still syncing")
_ACCESS = ("macaroon", "permission denied", "verification failed", "root key")
_ACCESS_CODES = frozenset({7, 16})
_RESOURCE_EXHAUSTED = 8
_BROKEN_ON_THE_WAY_CODES = frozenset({1, 4, 14})  # cancelled, deadline exceeded, unavailable
_BROKEN_ON_THE_WAY_STATUSES = frozenset({502, 503, 504})


def answer_error(status: int, code: int, message: str, *, wrote: bool) -> RailError:
    """The typed error of an error answer.

    Args:
        status: HTTP status.
        code: gRPC code of the body, or 2 (unknown) when it has none.
        message: the body's message.
        wrote: whether the call would have changed something.
    """
    lowered = message.lower()
    if code in _ACCESS_CODES or status in (401, 403) or any(word in lowered for word in _ACCESS):
        return LndAccessError(f"LND does not accept the macaroon: {message[:200]}. Check LND_MACAROON(_PATH).")
    if code == _RESOURCE_EXHAUSTED or any(word in lowered for word in _NOT_READY):
        return LndNotReadyError(f"LND is not ready: {message[:200]}.")
    if code in _BROKEN_ON_THE_WAY_CODES or status in _BROKEN_ON_THE_WAY_STATUSES:
        # The gateway lost the node behind it: a write may have gone through.
        if wrote:
            return LndOutcomeUnknownError(f"LND's answer was lost behind its gateway: {message[:200]}.")
        return LndNotReadyError(f"LND cannot answer now: {message[:200]}.")
    return LndAnswerError(code, message)
