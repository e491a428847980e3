"""The API server, over the official client: apply, read, delete, events; errors in one sentence."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, NotFoundError, ResourceNotFoundError
from urllib3.exceptions import HTTPError

from providers.base.loopback import require_loopback
from providers.base.provider import ProviderError
from providers.base.values import Properties
from providers.kubernetes.kinds import Kind

CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
# Calls of one update at the same time: as many as the engine makes.
CONNECTIONS = 48
_FORBIDDEN_USERS = ("exec", "auth-provider")


class MissingKindError(Exception):
    """The API server does not serve the kind: its CustomResourceDefinition is not there (yet)."""


class Cluster:
    """One API server.

    Args:
        kubeconfig: text, JSON or YAML; its current context names the server, which has to be on loopback.
        endpoint: what the server has to be, when it is known from elsewhere.

    Raises:
        ProviderError: the kubeconfig cannot be used, or leads off this machine.
    """

    def __init__(self, kubeconfig: str, endpoint: str = "") -> None:
        document = _parsed(kubeconfig)
        server = require_loopback(_server(document), "the server of the kubeconfig")
        if endpoint and urlsplit(endpoint).netloc != urlsplit(server).netloc:
            raise ProviderError(
                f"the kubeconfig leads to {server}, and the emulated cluster is at {endpoint}: give its own kubeconfig."
            )
        self.server = server
        settings = client.Configuration()
        config.load_kube_config_from_dict(document, client_configuration=settings)
        settings.connection_pool_maxsize = CONNECTIONS
        settings.retries = 2
        settings.proxy = None
        self._api = client.ApiClient(settings)
        self._dynamic: DynamicClient | None = None
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="railyard-discovery-", ignore_cleanup_errors=True)
        self._discoveries = 0

    def apply(
        self, kind: Kind, manifest: Properties, manager: str, *, dry_run: bool = False, force: bool = False
    ) -> Properties:
        """Server-side apply; returns the object.

        Raises:
            MissingKindError, NotFoundError, DynamicApiError: as the API server answered.
        """
        metadata = manifest["metadata"]
        extra: dict[str, Any] = {"dry_run": "All"} if dry_run else {}
        answer = self._resource(kind).server_side_apply(
            body=manifest,
            name=metadata["name"],
            namespace=metadata.get("namespace"),
            field_manager=manager,
            force_conflicts=force,
            field_validation="Strict",
            _request_timeout=(CONNECT_SECONDS, READ_SECONDS),
            **extra,
        )
        return _told(answer)

    def get(self, kind: Kind, name: str, namespace: str) -> Properties | None:
        """The object, or None when it is not there."""
        try:
            answer = self._resource(kind).get(
                name=name, namespace=namespace or None, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
        except (NotFoundError, MissingKindError):
            return None
        return _told(answer)

    def select(self, kind: Kind, namespace: str, selector: str) -> list[Properties]:
        """Objects by label selector."""
        answer = self._resource(kind).get(
            namespace=namespace, label_selector=selector, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
        )
        return [dict(item) for item in _told(answer).get("items", [])]

    def delete(self, kind: Kind, name: str, namespace: str, propagation: str) -> None:
        """Ask for the object's end; no error when it is gone."""
        body = client.V1DeleteOptions(propagation_policy=propagation)
        with contextlib.suppress(NotFoundError, MissingKindError):
            self._resource(kind).delete(
                name=name,
                namespace=namespace or None,
                body=body,
                _request_timeout=(CONNECT_SECONDS, READ_SECONDS),
            )

    def namespaced(self, kind: Kind) -> bool:
        """Whether objects of the kind are in a namespace; True for one that is not served."""
        try:
            return bool(self._resource(kind).namespaced)
        except MissingKindError:
            return True

    def events(self, namespace: str, name: str) -> list[str]:
        """What was said about an object and what it made, newest last, for a message."""
        found = self.select(Kind("v1", "Event"), namespace or "default", "")
        about = [event for event in found if event.get("involvedObject", {}).get("name", "").startswith(name)]
        warnings = [event for event in about if event.get("type") == "Warning"]
        warnings.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        return [str(event.get("message", "")).strip() for event in warnings]

    def is_ready(self) -> bool:
        """Whether the API server says that it is, everything it starts with included."""
        try:
            answer = self._api.call_api(
                "GET",
                f"{self.server}/readyz",
                header_params={"authorization": self._api.configuration.auth_settings()["BearerToken"]["value"]},
                _request_timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        except (ApiException, HTTPError, OSError):
            # Until then it refuses connections, or whoever asks.
            return False
        return bool(answer.status == 200)

    def _resource(self, kind: Kind) -> Any:
        try:
            return self._found(kind, self._client(None))
        except MissingKindError:
            # A definition may have come since the server was asked what it serves.
            return self._found(kind, self._client(self._dynamic))

    def _client(self, stale: DynamicClient | None) -> DynamicClient:
        """The client that knows what the server serves; asked anew when it is the `stale` one."""
        with self._lock:
            if self._dynamic is None or self._dynamic is stale:
                self._discoveries += 1
                # The client's own place for it is a file of the machine's, shared by all servers of this address.
                file = Path(self._folder.name) / f"{self._discoveries}.json"
                self._dynamic = DynamicClient(self._api, cache_file=str(file))
            return self._dynamic

    def _found(self, kind: Kind, known: DynamicClient) -> Any:
        try:
            return known.resources.get(api_version=kind.api_version, kind=kind.kind)
        except ResourceNotFoundError as error:
            raise MissingKindError(
                f"the API server does not know {kind.kind} of {kind.api_version}: "
                "install its CustomResourceDefinition first."
            ) from error


@contextlib.contextmanager
def explained(urn: str, doing: str) -> Iterator[None]:
    """Turn what the client raises into a ProviderError of one sentence."""
    try:
        yield
    except MissingKindError as error:
        raise ProviderError(f"{urn}: {error}") from None
    except (DynamicApiError, ApiException) as error:
        raise ProviderError(f"{urn}: the API server refused to {doing} it: {reason(error)}") from None
    except (HTTPError, OSError) as error:
        raise ProviderError(f"{urn}: the API server did not answer when asked to {doing} it: {error}") from None


def reason(error: DynamicApiError | ApiException) -> str:
    """The sentence in the API server's answer."""
    body = error.body.decode() if isinstance(error.body, bytes) else str(error.body or "")
    try:
        return str(json.loads(body).get("message") or error.reason)
    except (ValueError, AttributeError):
        return str(error.reason)


def kubeconfig_text(value: str) -> str:
    """The kubeconfig itself, of a value that may be a path."""
    path = Path(value)
    with contextlib.suppress(OSError, ValueError):
        if "\n" not in value and not value.lstrip().startswith("{") and path.is_file():
            return path.read_text(encoding="utf-8")
    return value


def _told(answer: Any) -> Properties:
    told: Properties = answer.to_dict()
    return told


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        document = None
    if not isinstance(document, dict) or not document.get("clusters"):
        raise ProviderError("the kubeconfig is neither JSON nor YAML with clusters: give its text or its path.")
    for user in document.get("users") or []:
        for forbidden in _FORBIDDEN_USERS:
            if forbidden in (user.get("user") or {}):
                raise ProviderError(
                    f"the kubeconfig runs a program for a token ({forbidden}): "
                    "the offline provider takes a token or a certificate that is in the file."
                )
    return document


def _server(document: dict[str, Any]) -> str:
    current = document.get("current-context")
    contexts = {entry["name"]: entry["context"] for entry in document.get("contexts") or []}
    clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
    if current not in contexts or contexts[current].get("cluster") not in clusters:
        raise ProviderError(f"the kubeconfig's current context {current!r} names no cluster in it.")
    return str(clusters[contexts[current]["cluster"]].get("server", ""))


def kubeconfig_of(server: str, authority: bytes, token: str) -> str:
    """A kubeconfig with a token in it, for a file that only its owner reads."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "emulated",
                    "cluster": {
                        "server": server,
                        "certificate-authority-data": base64.b64encode(authority).decode(),
                    },
                }
            ],
            "users": [{"name": "emulated", "user": {"token": token}}],
            "contexts": [{"name": "emulated", "context": {"cluster": "emulated", "user": "emulated"}}],
            "current-context": "emulated",
        },
        indent=1,
    )


def kubeconfig_from_environment() -> str:
    """The text of the file that KUBECONFIG names, for a process started with an endpoint.

    Raises:
        ProviderError: there is none. The user's own ~/.kube/config is never read.
    """
    path = os.environ.get("KUBECONFIG", "")
    if not path or not Path(path).is_file():
        raise ProviderError(
            "KUBECONFIG names no file: start the provider with the kubeconfig of the emulated cluster in it."
        )
    return Path(path).read_text(encoding="utf-8")
