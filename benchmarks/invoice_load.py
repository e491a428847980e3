"""Create-invoice through the router of a running local stack, at a fixed rate, whatever the answers take.

    .venv/bin/python benchmarks/invoice_load.py [--rate 50] [--seconds 20]

Open loop: a request is sent when it is due, not when the one before has been answered, so that a slow answer is not
hidden by the ones that were never asked. As the yardstick, GET /health goes the same way at the same rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[1]


def railyard(*arguments: str) -> dict[str, object]:
    """What a command of ./railyard prints as JSON."""
    done = subprocess.run([ROOT / "railyard", *arguments], capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


async def load(session: aiohttp.ClientSession, method: str, path: str, rate: float, seconds: float) -> list[float]:
    """Latencies in milliseconds, from when each request was due.

    Raises:
        RuntimeError: an answer was not 200.
    """
    begun = time.monotonic()

    async def one(number: int) -> float:
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        body = {"amount": 1000 + number, "memo": f"invoice {number}"} if method == "POST" else None
        async with session.request(method, path, json=body) as answer:
            text = await answer.text()
            if answer.status != 200:
                raise RuntimeError(f"{method} {path} answers {answer.status}: {text[:200]}")
        return (time.monotonic() - due) * 1000

    return await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50, help="requests a second (50)")
    parser.add_argument("--seconds", type=float, default=20, help="length of each load (20)")
    arguments = parser.parse_args()
    url = str(railyard("status", "--json")["url"])
    key = str(railyard("keys", "create", "--environment", "test", "--permissions", "read,write", "--unlimited")["key"])
    async with aiohttp.ClientSession(url, headers={"x-api-key": key}) as session:
        for method, path in (("GET", "/health"), ("POST", "/api/lightning/create-invoice")):
            await load(session, method, path, arguments.rate, 2)  # warm
            found = sorted(await load(session, method, path, arguments.rate, arguments.seconds))
            p99 = found[int(len(found) * 0.99)]
            print(
                f"{method:<4} {path:<30} {len(found):>5} at {arguments.rate:.0f}/s: "
                f"median {statistics.median(found):6.1f} ms, p99 {p99:6.1f} ms, slowest {found[-1]:6.1f} ms"
            )


if __name__ == "__main__":
    asyncio.run(main())
