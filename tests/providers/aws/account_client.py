"""Clients of the emulated account, as anybody would make them."""

from __future__ import annotations

from typing import Any

import boto3


def client(account: str, service: str, region: str = "eu-central-1") -> Any:
    """A client of one service; any credentials do."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=account,
        region_name=region,
        aws_access_key_id="emulated",
        aws_secret_access_key="emulated",
    )
