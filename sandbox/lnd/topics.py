"""Wake-ups for streams: a stream takes the event, reads the database, and waits only if it found nothing new."""

import asyncio
from collections.abc import Hashable


class Topics:
    """Events by key. A change fires its key after it is committed, so a woken reader always finds it."""

    def __init__(self) -> None:
        self._events: dict[Hashable, asyncio.Event] = {}

    def next(self, key: Hashable) -> asyncio.Event:
        """The event that the next `fire` of the key sets; take it before reading, or a change is missed."""
        return self._events.setdefault(key, asyncio.Event())

    def fire(self, key: Hashable) -> None:
        """Wake everyone who waits for the key."""
        event = self._events.pop(key, None)
        if event is not None:
            event.set()

    def fire_all(self) -> None:
        """Wake everyone, when the program stops."""
        for key in list(self._events):
            self.fire(key)
