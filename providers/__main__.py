"""`python -m providers PACKAGE[=ENDPOINT]...`: serve packages until stdin ends; stdout's first line says where.

That line is what PULUMI_DEBUG_PROVIDERS has to be: `aws:40001,random:40002`. An endpoint is the URL of the emulated
account (aws) or of the API server (kubernetes); the others need none. One process serves them all, for most of what a
provider costs is the start of its process. It ends with whoever started it: their end of the pipe closes, however
they end.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from providers.base.loopback import require_loopback
from providers.base.protocol import without_the_sdk
from providers.base.provider import Provider, ProviderError

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
        ProviderError: there is no such package, or the endpoint is not on this machine.
    """
    if package not in PACKAGES:
        raise ProviderError(f"there is no offline provider {package!r}, only {', '.join(sorted(PACKAGES))}.")
    if endpoint:
        require_loopback(endpoint, "the endpoint")
    module, _, name = PACKAGES[package].partition(":")
    made: Provider = getattr(importlib.import_module(module), name)(endpoint)
    return made


def main() -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(
        prog="python -m providers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", nargs="+", metavar="PACKAGE[=ENDPOINT]", help=", ".join(sorted(PACKAGES)))
    asked = [given.partition("=") for given in parser.parse_args().packages]
    without_the_sdk()
    from providers.base.server import start

    try:
        serving = [(package, *start(make(package, endpoint))) for package, _, endpoint in asked]
    except ProviderError as error:
        sys.stderr.write(f"providers: {error}\n")
        return 1
    sys.stdout.write(",".join(f"{package}:{port}" for package, _, port in serving) + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    for ending in [server.stop(grace=None) for _, server, _ in serving]:
        ending.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
