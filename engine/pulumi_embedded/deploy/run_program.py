"""Runs a Pulumi program in the project's interpreter, as the CLI's language host does. Not imported by the engine.

Exit codes: 0, 1 (the program failed), 32 (it failed and the reason has been shown).
"""

# ruff: noqa: PTH100, PTH109, PTH112, PTH116, PTH118, PTH120, PTH110, T201
from __future__ import annotations

import asyncio
import importlib.machinery
import json
import logging
import os
import runpy
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SHOWN = 32
# Python takes byte code for a file's when whole seconds and size agree: what changed a moment ago may change once more.
FRESH_SECONDS = 2.0
_HERE = os.path.dirname(os.path.abspath(__file__))


def read_arguments() -> dict[str, Any]:
    """Wait for what the engine passes on, and leave the program an empty standard input."""
    line = sys.stdin.buffer.readline()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it stays open
    if not line.endswith(b"\n"):
        sys.exit(0)  # the update was refused after all
    arguments: dict[str, Any] = json.loads(line)
    os.environ.update(arguments["environment"])
    return arguments


def user_traceback(error: BaseException, foreign: list[str]) -> str:
    """Return an exception's traceback without the frames of the SDK, of what it runs on, and of this file."""
    summary = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [summary]
    seen: set[int] = set()
    while pending:
        item = pending.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        kept = [frame for frame in item.stack if not _is_foreign(frame.filename, foreign)]
        item.stack[:] = kept
        pending += [item.__cause__, item.__context__, *(getattr(item, "exceptions", None) or [])]
    return "".join(summary.format())


def _is_foreign(filename: str, foreign: list[str]) -> bool:
    return filename.startswith("<frozen") or any(
        filename == path or filename.startswith(path + os.sep) for path in foreign
    )


def main() -> None:
    """Run the program and exit."""
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    runpy.run_path(os.path.join(_HERE, "bootstrap.py"))["die_with"](int(sys.argv[1]))
    try:
        import pulumi
        import pulumi.runtime
    except ImportError as error:
        print(
            f"The Pulumi SDK cannot be imported by {sys.executable}: {error}. "
            "Install the project's requirements into that environment (pip install -r requirements.txt).",
            file=sys.stderr,
        )
        sys.exit(SHOWN)
    args = read_arguments()
    configure(args, pulumi)
    sys.argv = [args["program"]]
    os.chdir(args["folder"])
    if not os.path.isdir(args["program"]):
        sys.path.insert(0, os.getcwd())
    keep_no_byte_code_of_fresh_files()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # unfinished futures are normal when a program fails
    sys.exit(run(args, pulumi))


def keep_no_byte_code_of_fresh_files() -> None:
    """Let a program that is written, run, and written again within a second run as it was written last."""
    loader: Any = importlib.machinery.SourceFileLoader
    write = loader._cache_bytecode

    def cache(self: Any, source_path: str, bytecode_path: str, data: bytes) -> None:
        if time.time() - os.stat(source_path).st_mtime > FRESH_SECONDS:
            write(self, source_path, bytecode_path, data)

    loader._cache_bytecode = cache


def configure(args: dict[str, Any], pulumi: Any) -> None:
    """Point the SDK at the engine."""
    runtime = pulumi.runtime
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    runtime.configure(
        runtime.Settings(
            monitor=args["monitor"],
            engine=args["engine"],
            project=args["project"],
            stack=args["stack"],
            parallel=args["parallel"],
            dry_run=args["dry_run"],
            organization=args["organization"],
            root_directory=args["root_directory"],
        )
    )
    if not args["debug"]:
        pulumi.log.debug = ignore  # each message is a call of its own to the engine, which would drop it
    wait_for_each_output_once(runtime)


def wait_for_each_output_once(runtime: Any) -> None:
    """Spare the SDK a wait of quadratic cost: whenever one output is there it begins to wait for all others anew.

    What is waited for, and that the first failure ends it, stay as in the SDK's `wait_for_rpcs`. An SDK that waits in
    another way is left alone.
    """
    stack, settings = runtime.stack, runtime.settings.SETTINGS
    wait_for_calls = getattr(stack, "wait_for_rpcs", None)
    if wait_for_calls is None or not hasattr(stack, "_get_rpc_manager") or not hasattr(settings, "outputs"):
        return

    async def wait() -> None:
        while True:
            await wait_for_calls(await_all_outstanding_tasks=False)
            await outputs_of(settings)
            if not stack._get_rpc_manager().rpcs:
                return

    stack.wait_for_rpcs = wait


async def outputs_of(settings: Any) -> None:
    """Wait for outputs, also those that are made meanwhile, in the order in which they are there."""
    finished: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
    outstanding = 0
    while True:
        with settings.lock:
            added = list(settings.outputs)
            settings.outputs.clear()
        for output in added:
            output.add_done_callback(finished.put_nowait)
        outstanding += len(added)
        if not outstanding:
            return
        await (await finished.get())
        outstanding -= 1


def ignore(*_args: Any, **_options: Any) -> None:
    """Take a debug message that nobody will hear."""


def run(args: dict[str, Any], pulumi: Any) -> int:
    """Run the program in its stack and return the exit code."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(args["parallel"] or 1, 1) * 4)
    loop.set_default_executor(executor)
    program = os.path.abspath(args["program"])

    def start() -> None:
        if os.path.isdir(program) and not os.path.exists(os.path.join(program, "__main__.py")):
            pulumi.log.error(f"unable to find main python program `__main__.py` in `{program}`")
            sys.exit(SHOWN)
        runpy.run_path(args["program"], run_name="__main__")

    code = 1
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(start))
        code = 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception as error:
        foreign = [
            os.path.dirname(pulumi.__file__),
            os.path.dirname(asyncio.__file__),
            os.path.dirname(str(sys.modules["concurrent.futures"].__file__)),
            os.path.abspath(runpy.__file__),
            os.path.abspath(__file__),
            _HERE,
        ]
        pulumi.log.error("Program failed with an unhandled exception:\n" + user_traceback(error, foreign))
        code = SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
