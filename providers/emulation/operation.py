"""One operation of a service, as a function of what it was given, and the state it works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

Parameters = Mapping[str, Any]
Records = dict[Any, dict[str, Any]]


@dataclass
class Call:
    """One request.

    Attributes:
        service, region, account: where it goes to; the service by boto3's name.
        given: its parameters, as the API names them.
        shelves: of this service in this region: what was kept, by a name of our own.
    """

    service: str
    region: str
    account: str
    given: Parameters
    shelves: dict[str, Records] = field(default_factory=dict)

    def shelf(self, name: str) -> Records:
        """Records of a kind, by key, in the order they came."""
        return self.shelves.setdefault(name, {})

    def found(self, name: str, key: Any, code: str, what: str) -> dict[str, Any]:
        """A record, or the API's refusal."""
        record = self.shelf(name).get(key)
        if record is None:
            refuse(code, f"{what} {key} does not exist.")
        return record

    def arn(self, rest: str) -> str:
        """An ARN of this service, region and account."""
        return f"arn:aws:{self.service}:{self.region}:{self.account}:{rest}"


Operation = Callable[[Call], Mapping[str, Any]]


class RefusalError(Exception):
    """The API refuses, with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def refuse(code: str, message: str) -> NoReturn:
    """Answer with an error of the API."""
    raise RefusalError(code, message)


def moto_backend(service: str, call: Call) -> Any:
    """moto's own state of a service, for operations that work on what moto keeps."""
    from moto.backends import get_backend

    return get_backend(service)[call.account][call.region]
