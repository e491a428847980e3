"""`docker:index/image:Image`: built by a daemon of this machine and pushed to a registry of this machine.

Where either is missing (an emulated account's registry takes no image) the image is recorded, not emulated: its digest
is computed from the build's context, so that the same sources have the same digest and changed ones another.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from providers.base.diffing import Difference, difference
from providers.base.loopback import require_loopback
from providers.base.provider import Checked, Made, ProviderError, Resource
from providers.base.values import UNKNOWN, Properties, has_unknown, plain

IMAGE = "docker:index/image:Image"
NOT_EMULATED = "no registry of this machine takes it: its digest is that of the build's context"
# What a build never sends, whatever .dockerignore says.
_NEVER = frozenset({".git", "__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_OUTPUTS = ("baseImageName", "registryServer", "repoDigest")
_BLOCK_BYTES = 1024 * 1024


class DockerProvider:
    """Serves `docker:*`."""

    package = "docker"

    def __init__(self, endpoint: str = "") -> None:
        self.version = version("pulumi_docker")

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        return []

    def configure(self, config: Properties) -> None:
        return None

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        _require_image(resource)
        inputs = dict(new)
        build = plain(new.get("build"))
        failures = []
        if "imageName" not in new:
            failures.append(("imageName", "is required"))
        if isinstance(build, dict) and not has_unknown(build):
            if Path(str(build.get("context", "."))).is_dir():
                # As the real provider does: changed sources are a changed input.
                inputs["build"] = {**new["build"], "contextDigest": context_digest(build)}
            else:
                failures.append(("build.context", f"{build.get('context')} is no folder"))
        return Checked(inputs, failures)

    def diff(self, resource: Resource, old: Properties, state: Properties, new: Properties) -> Difference:
        return difference(old, new, ignored={"__defaults"})

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout_seconds: float) -> Made:
        _require_image(resource)
        if preview:
            return Made("", {**inputs, **dict.fromkeys(_OUTPUTS, UNKNOWN)})
        outputs = self._made(resource, plain(inputs))
        return Made(outputs["repoDigest"].rpartition("@")[2], {**inputs, **outputs})

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> Made:
        return Made(resource.id, state, inputs)

    def update(
        self,
        resource: Resource,
        old: Properties,
        state: Properties,
        new: Properties,
        *,
        preview: bool,
        timeout_seconds: float,
    ) -> Properties:
        if preview:
            return {**new, **dict.fromkeys(_OUTPUTS, UNKNOWN)}
        return {**new, **self._made(resource, plain(new))}

    def delete(self, resource: Resource, inputs: Properties, state: Properties, *, timeout_seconds: float) -> None:
        # As the real provider: what was pushed belongs to the registry's own rules.
        return None

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise ProviderError(f"the offline docker provider has no function {token}.")

    def _made(self, resource: Resource, inputs: dict[str, Any]) -> Properties:
        name = str(inputs["imageName"])
        repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        registry = name.split("/", 1)[0]
        build = inputs.get("build") or {}
        digest = "" if inputs.get("skipPush") else self._pushed(resource, name, registry, build)
        digest = digest or f"sha256:{context_digest(build)}"
        return {
            "baseImageName": name,
            "imageName": name,
            "registryServer": registry,
            "repoDigest": f"{repository}@{digest}",
        }

    def _pushed(self, resource: Resource, name: str, registry: str, build: dict[str, Any]) -> str:
        """The digest of the image that was built and pushed; "" where daemon or registry are not on this machine."""
        try:
            require_loopback(f"//{registry}", "the registry")
        except ProviderError:
            return ""
        import docker
        from docker.errors import DockerException

        host = os.environ.get("DOCKER_HOST", "")
        if host and not host.startswith("unix://"):
            require_loopback(host.replace("tcp://", "http://"), "DOCKER_HOST")
        try:
            client = docker.from_env()
            client.images.build(
                path=str(build.get("context", ".")),
                dockerfile=build.get("dockerfile"),
                buildargs=build.get("args"),
                platform=build.get("platform"),
                tag=name,
                rm=True,
            )
            said = list(client.images.push(name, stream=True, decode=True))
        except DockerException as error:
            raise ProviderError(f"{resource.urn}: docker cannot build or push {name}: {error}") from None
        for line in said:
            if "error" in line:
                raise ProviderError(f"{resource.urn}: docker cannot push {name}: {line['error']}")
        found = [line["aux"]["Digest"] for line in said if "Digest" in line.get("aux", {})]
        return str(found[-1]) if found else ""


def _require_image(resource: Resource) -> None:
    if resource.type != IMAGE:
        raise ProviderError(
            f"{resource.urn}: the offline docker provider does not know the type {resource.type}; it knows {IMAGE}."
        )


def context_digest(build: dict[str, Any]) -> str:
    """The SHA-256 of a build's context: its files by path and content, its Dockerfile, arguments and platform."""
    folder = Path(str(build.get("context", ".")))
    total = hashlib.sha256()
    for path in _files(folder):
        total.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111 != 0}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                total.update(block)
    dockerfile = build.get("dockerfile")
    if dockerfile and Path(dockerfile).is_file():
        total.update(Path(dockerfile).read_bytes())
    total.update(repr((sorted((build.get("args") or {}).items()), build.get("platform"))).encode())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NEVER)
        yield from (Path(root) / name for name in sorted(names) if not name.endswith(".pyc"))
