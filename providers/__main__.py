"""`python -m providers PACKAGE`: serve one package, the port on the first line of stdout, until stdin ends.

The process ends with whoever started it: their end of the pipe closes, however they end.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from providers.base.loopback import require_loopback
from providers.base.provider import Provider, ProviderError
from providers.base.server import start

# Each imports its own client library, and no process needs them all.
PACKAGES = {
    "aws": "providers.aws.provider:AwsProvider",
    "docker": "providers.docker.provider:DockerProvider",
    "kubernetes": "providers.kubernetes.provider:KubernetesProvider",
    "random": "providers.random.provider:RandomProvider",
}


def make(package: str, endpoint: str) -> Provider:
    """The package's provider.

    Args:
        endpoint: URL of the emulated account (aws) or of the API server (kubernetes); the others need none.

    Raises:
        ProviderError: the endpoint is not on this machine.
    """
    if endpoint:
        require_loopback(endpoint, "the endpoint")
    module, _, name = PACKAGES[package].partition(":")
    made: Provider = getattr(importlib.import_module(module), name)(endpoint)
    return made


def main() -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m providers", description=__doc__)
    parser.add_argument("package", choices=sorted(PACKAGES))
    parser.add_argument("--endpoint", default="", help="where the emulated account is: a URL on loopback")
    arguments = parser.parse_args()
    try:
        server, port = start(make(arguments.package, arguments.endpoint))
    except ProviderError as error:
        sys.stderr.write(f"providers: {error}\n")
        return 1
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    server.stop(grace=None).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
