"""The emulated account: one client a service and region, with credentials of its own, and errors in a sentence."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from providers.base.loopback import require_loopback
from providers.base.provider import ProviderError

# What no process of an emulated stack may find of the person's own account.
_ISOLATED = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
}
_GONE = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|ResourceNotFound|^404$|Inactive", re.IGNORECASE)
# Some services have one code for all refusals, and say this of what is not there.
_SAYS_GONE = re.compile(
    r"Unable to describe|not found|no .* found|(could|can)(not| not) be found|do(es)?( not|n't) exist", re.IGNORECASE
)
_VALUE = re.compile(r", value: .*?(?=, type:|, valid | Unknown|$)")
DEFAULT_REGION = "us-east-1"


class GoneError(ProviderError):
    """The service does not know the resource."""


def isolate() -> None:
    """Keep boto3 in this process away from every credential, profile and endpoint of the person's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(_ISOLATED)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)


class Account:
    """Calls of the emulated account's services.

    Args:
        endpoint: URL of the emulator, on loopback.
        sleep: waits a number of seconds.
    """

    def __init__(self, endpoint: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = require_loopback(endpoint, "the emulated account's endpoint")
        self.sleep = sleep
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._session: Any = None
        self._account_id = ""

    @property
    def account_id(self) -> str:
        """The account's own number."""
        if not self._account_id:
            said = self.call("the emulated account", "sts", DEFAULT_REGION, "get_caller_identity", {})
            self._account_id = str(said["Account"])
        return self._account_id

    def client(self, service: str, region: str) -> Any:
        """The client of a service in a region, made once."""
        key = (service, region)
        if key not in self._clients:
            # Making one is not safe for threads; using it is.
            with self._lock:
                if key not in self._clients:
                    self._clients[key] = self._make(service, region)
        return self._clients[key]

    def _make(self, service: str, region: str) -> Any:
        import botocore.config
        import botocore.session

        self._session = self._session or botocore.session.Session()
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="emulated",
            aws_secret_access_key="emulated",  # noqa: S106 - the emulator takes any
            config=botocore.config.Config(
                retries={"max_attempts": 1, "mode": "standard"},
                max_pool_connections=64,
                connect_timeout=10,
                read_timeout=120,
                s3={"addressing_style": "path"},
                parameter_validation=True,
            ),
        )

    def input_shape(self, service: str, region: str, method: str) -> Any:
        """The botocore shape of what an operation takes; None when it takes nothing."""
        client = self.client(service, region)
        return client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape

    def call(self, subject: str, service: str, region: str, method: str, parameters: Mapping[str, Any]) -> Any:
        """One call.

        Args:
            subject: the resource's URN, for the sentence.

        Raises:
            GoneError: the service does not know what is asked for.
            ProviderError: anything else went wrong; the sentence names service, operation and subject.
        """
        import botocore.exceptions as refused
        from botocore.parsers import ResponseParserError

        where = f"{subject}: {service} {method}"
        try:
            return getattr(self.client(service, region), method)(**parameters)
        except refused.ClientError as error:
            said = error.response.get("Error", {})
            code, message = str(said.get("Code", "")), str(said.get("Message", ""))
            looks = method.startswith(("describe_", "get_", "list_", "head_"))
            if _GONE.search(code) or (looks and _SAYS_GONE.search(message)):
                raise GoneError(f"{where} refused: {code}: {message}") from None
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 500:
                message = f"the emulator does not know this operation or stumbled over it ({message.strip()[:200]})"
            raise ProviderError(f"{where} refused: {code}: {message}") from None
        except refused.ParamValidationError as invalid:
            # botocore quotes the values, which may be secrets.
            quoted = _VALUE.sub("", " ".join(str(invalid).split()))
            raise ProviderError(f"{where} takes no such parameters: {quoted}") from None
        except refused.EndpointConnectionError:
            raise ProviderError(
                f"{where}: the emulated account at {self.endpoint} does not answer; ./railyard up starts it again."
            ) from None
        except ResponseParserError:
            raise ProviderError(f"{where}: the emulator does not know this operation or stumbled over it.") from None
        except (refused.BotoCoreError, refused.HTTPClientError) as error:
            raise ProviderError(f"{where} did not come through: {error}") from None
