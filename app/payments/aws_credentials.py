"""Credentials for AWS, from where a task has them: the environment, a role that a pod's token is traded for, or the
agent of ECS and EKS.

The order, the names of the variables and the calls are AWS' own (the SDKs' reference, "Standardized credential
providers"); why no SDK is asked is in docs/decisions/0002.
"""

from __future__ import annotations

import asyncio
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import orjson

_ECS_AGENT: Final = "http://169.254.170.2"  # ECS gives a task its role's credentials there
_SESSION_NAME: Final = "payments"


class NoCredentialsError(Exception):
    """There are none, or they are refused; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Credentials for one request."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


async def find_keys(session: aiohttp.ClientSession, region: str) -> AwsKeys:
    """The credentials of this process.

    Raises:
        NoCredentialsError: it has none, or STS does not trust its token.
        aiohttp.ClientError, TimeoutError, OSError, KeyError, orjson.JSONDecodeError, ElementTree.ParseError: whoever
            gives them is not reached, or answers something else.
    """
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return AwsKeys(key_id, secret, os.environ.get("AWS_SESSION_TOKEN", ""))
    role, token_file = os.environ.get("AWS_ROLE_ARN"), os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if role and token_file:
        return await _of_web_identity(session, region, role, Path(token_file))
    return await _of_agent(session)


async def _of_web_identity(session: aiohttp.ClientSession, region: str, role: str, token_file: Path) -> AwsKeys:
    """STS' AssumeRoleWithWebIdentity: IAM roles for service accounts of Kubernetes. The call itself is not signed."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com"
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": os.environ.get("AWS_ROLE_SESSION_NAME") or _SESSION_NAME,
        # The kubelet writes a new one every hour, so it is read each time.
        "WebIdentityToken": (await asyncio.to_thread(token_file.read_text)).strip(),
    }
    async with session.post(endpoint, data=form) as answer:
        body = await answer.read()
        if answer.status >= 300:
            raise NoCredentialsError(
                f"STS does not give the role {role} for this pod's token (status {answer.status}): "
                "compare the role's trust policy with the ServiceAccount."
            )
    found = {element.tag.rpartition("}")[2]: element.text or "" for element in ElementTree.fromstring(body).iter()}  # noqa: S314 - AWS' own answer
    return AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


async def _of_agent(session: aiohttp.ClientSession) -> AwsKeys:
    """The agent of an ECS task, or of EKS Pod Identity."""
    relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = _ECS_AGENT + relative if relative else os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not url:
        raise NoCredentialsError("There are no AWS credentials to reach the bucket with: give the task a role.")
    token_file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    headers = {}
    if token_file:
        headers["Authorization"] = (await asyncio.to_thread(Path(token_file).read_text)).strip()
    async with session.get(url, headers=headers) as answer:
        found = orjson.loads(await answer.read())
    return AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))
