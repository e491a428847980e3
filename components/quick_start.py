"""What makes a plan fast that needs a provider's SDK: millions of lines of which it uses a few thousand."""

from __future__ import annotations

import gc
import os
import sys
from functools import cache
from pathlib import Path
from types import FrameType

import pulumi.log
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2

from components.on_demand import load_on_demand

DEBUG = "RAILYARD_DEBUG"
_PROGRAM = str(Path(__file__).resolve().parents[1]) + os.sep


def start_quickly() -> None:
    """Spend the program's time on the stack: no search for garbage, and byte code that is kept.

    The SDKs' objects stay until the program ends, in seconds: looking through them again and again is a fifth of the
    time a plan takes. Where the environment forbids byte code beside the sources (PYTHONDONTWRITEBYTECODE), compiling
    them anew is half of it; there it is kept with the stack's state, if ./railyard said where that is. Services'
    modules are loaded when they are used. The SDK tells the engine of its own steps, for `pulumi --debug` to show, in
    calls that it waits for, 1,800 of them in a stack of 400 resources: they are made where RAILYARD_DEBUG is set, only.
    Where in the program a resource is declared is told by the program's own frames, not by those of what runs it.
    """
    gc.disable()
    load_on_demand()
    if not os.environ.get(DEBUG):
        pulumi.log.debug = _not_told
    resource._get_stack_trace = _frames_of_the_program
    folder = os.environ.get("RAILYARD_STATE", "")
    if sys.dont_write_bytecode and sys.pycache_prefix is None and Path(folder).is_absolute():
        sys.pycache_prefix, sys.dont_write_bytecode = str(Path(folder) / "bytecode"), False


def _not_told(*_message: object, **_options: object) -> None:
    """Stands in for `pulumi.log.debug`."""


def _frames_of_the_program() -> source_pb2.StackTrace:
    """Where a resource is being declared, as `pulumi.runtime.resource._get_stack_trace` has it, the nearest first.

    That reads all twenty frames' source lines, of which it needs none, and makes each file's URI anew.
    """
    frame: FrameType | None = sys._getframe(1)
    constructors = 0
    # The constructors of Resource, of CustomResource or ComponentResource, and of the resource itself.
    while frame is not None:
        constructors += frame.f_code.co_name == "__init__"
        if constructors == 3:
            break
        frame = frame.f_back
    frame = frame.f_back if frame is not None else None
    trace = source_pb2.StackTrace()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_PROGRAM):
            trace.frames.append(source_pb2.StackFrame(pc=_position(frame.f_code.co_filename, frame.f_lineno)))
        frame = frame.f_back
    return trace


@cache
def _position(file: str, line: int) -> source_pb2.SourcePosition:
    return source_pb2.SourcePosition(uri=Path(file).as_uri(), line=line)
