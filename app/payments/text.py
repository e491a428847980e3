"""Text and moments from outside: what may be stored and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

MAXIMUM_METADATA_KEYS = 50


def _printable(value: str) -> str:
    if any((ord(letter) < 32 and letter not in "\n\t") or ord(letter) == 127 for letter in value):
        raise ValueError("control characters are not allowed")
    return value


def _at_most_639_bytes(value: str) -> str:
    if len(value.encode()) > 639:
        raise ValueError("at most 639 bytes of UTF-8, the limit of a BOLT11 description")
    return value


def _few(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MAXIMUM_METADATA_KEYS:
        raise ValueError(f"at most {MAXIMUM_METADATA_KEYS} keys")
    return value


# The same in the API's document. Not as a constraint of pydantic's, which would answer with the expression.
_PRINTABLE = {"pattern": r"^[^\x00-\x08\x0b-\x1f\x7f]*$"}
_documented = Field(json_schema_extra={**_PRINTABLE})
_documented_names = Field(
    json_schema_extra={
        "propertyNames": {"minLength": 1, "maxLength": 40, **_PRINTABLE},
        "maxProperties": MAXIMUM_METADATA_KEYS,
    }
)


def _within_our_years(value: datetime) -> datetime:
    # In UTC it must still be a moment, and PostgreSQL's session may be in any zone.
    if not 1 < value.year < 9999:
        raise ValueError("the year must be before 9999")
    return value


Moment = Annotated[datetime, Field(strict=False), AfterValidator(_within_our_years)]
Memo = Annotated[str, AfterValidator(_printable), AfterValidator(_at_most_639_bytes), _documented]
Note = Annotated[str, AfterValidator(_printable), _documented]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_printable), _documented]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_printable)]
_Value = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable), _documented]
Metadata = Annotated[dict[_Name, _Value], AfterValidator(_few), _documented_names]
