"""Where the state is: PULUMI_BACKEND_URL, the project's `backend.url`, or what `login` stored in PULUMI_HOME."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pulumi_embedded.backend.files import MAX_SETTINGS_BYTES, read_limited, write_atomic
from pulumi_embedded.errors import EngineError, LoginError, UnsupportedError

BACKEND_URL_ENV = "PULUMI_BACKEND_URL"
HOME_ENV = "PULUMI_HOME"
FILE_PREFIX = "file://"


@dataclass(frozen=True)
class Location:
    """A backend's address as the person gave it, and the folder it means."""

    url: str
    folder: Path


def pulumi_home(environment: dict[str, str] | None = None) -> Path:
    """Return PULUMI_HOME, `~/.pulumi` unless set."""
    env = os.environ if environment is None else environment
    given = env.get(HOME_ENV)
    return Path(given) if given else Path.home() / ".pulumi"


def parse_url(url: str, working_folder: Path) -> Location:
    """Return the folder that a `file://` address means (`~` is the home folder, a relative path starts here).

    Raises:
        UnsupportedError: the address is of another kind of backend.
    """
    if not url.startswith(FILE_PREFIX):
        scheme = urlsplit(url).scheme or "cloud"
        raise UnsupportedError(f"the backend '{_without_credentials(url)}' ({scheme})")
    path = unquote(url.removeprefix(FILE_PREFIX).split("?")[0])
    at_home = path == "~" or path.startswith("~/")
    folder = Path.home() / path[2:] if at_home else working_folder / path
    return Location(url=url, folder=Path(os.path.normpath(folder)))


def current_location(project_url: str, working_folder: Path) -> Location:
    """Return the backend in force.

    Args:
        project_url: `backend.url` of Pulumi.yaml, or empty.
        working_folder: where relative addresses start.

    Raises:
        LoginError: nobody logged in.
        UnsupportedError: the address is not a `file://` one.
    """
    url = os.environ.get(BACKEND_URL_ENV) or project_url or str(_credentials().get("current") or "")
    if not url:
        raise LoginError(
            f"no state backend is chosen: set {BACKEND_URL_ENV}=file://<folder> or run `pulumi login file://<folder>`"
        )
    location = parse_url(url, working_folder)
    if not location.folder.is_dir():
        raise EngineError(f'unable to open state directory "{url}": {location.folder} is not a folder; make it first')
    return location


def store_login(url: str) -> None:
    """Remember `url` as the current backend, beside what other logins left."""
    credentials = _credentials()
    accounts = credentials.get("accounts")
    accounts = accounts if isinstance(accounts, dict) else {}
    accounts.setdefault(url, {"lastValidatedAt": "0001-01-01T00:00:00Z"})
    credentials.update({"current": url, "accounts": accounts})
    _store(credentials)


def remove_login(url: str | None) -> str:
    """Forget one login (the current one when `url` is None), or every one when it is empty; return which."""
    credentials = _credentials()
    accounts = credentials.get("accounts")
    accounts = accounts if isinstance(accounts, dict) else {}
    if url == "":
        _store({})
        return "everything"
    gone = url if url is not None else str(credentials.get("current") or "")
    if not gone:
        raise EngineError("nobody is logged in to a backend, so there is nothing to log out of")
    accounts.pop(gone, None)
    if credentials.get("current") == gone:
        credentials.pop("current", None)
    credentials["accounts"] = accounts
    _store(credentials)
    return gone


def _credentials_path() -> Path:
    return pulumi_home() / "credentials.json"


def _credentials() -> dict[str, Any]:
    path = _credentials_path()
    try:
        data = json.loads(read_limited(path, MAX_SETTINGS_BYTES))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise EngineError(f"{path} is not valid JSON; remove it and run `pulumi login` again") from None
    return data if isinstance(data, dict) else {}


def _store(credentials: dict[str, Any]) -> None:
    write_atomic(_credentials_path(), json.dumps(credentials, indent=4).encode())


def _without_credentials(url: str) -> str:
    head, separator, tail = url.partition("://")
    return head + separator + tail.rpartition("@")[2]
