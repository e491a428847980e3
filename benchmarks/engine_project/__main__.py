"""As many resources as BENCH_RESOURCES says; every tenth depends on the one before: there is an order to keep."""

import os

import pulumi


class Thing(pulumi.CustomResource):
    """A resource of the trivial provider."""

    value: pulumi.Output[str]

    def __init__(self, name: str, value: pulumi.Input[str], number: int) -> None:
        super().__init__("bench:index:Thing", name, {"value": value, "number": number, "tags": {"owner": "bench"}})


previous: Thing | None = None
for index in range(int(os.environ["BENCH_RESOURCES"])):
    value: pulumi.Input[str] = previous.value if previous is not None and index % 10 == 0 else f"value-{index}"
    previous = Thing(f"thing-{index:05}", value, index)
pulumi.export("last", previous.value if previous is not None else None)
