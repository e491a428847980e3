"""`python -m operations`, which `./railyard` hands over to. What ends a command early is told in one sentence."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command that the arguments name; return its exit code."""
    from operations.errors import OperationError

    try:
        from operations.commandline import app

        app(prog_name="./railyard")
    except OperationError as error:
        return _end(error.sentence, error.exit_code)
    except KeyboardInterrupt:
        return _end("stopped.", 130)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader of a pipe went away; the interpreter would complain again when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        return _end(f"{error.filename or 'the system'}: {error.strerror or error}.", 1)
    return 0


def _end(sentence: str, code: int) -> int:
    red, reset = ("\033[31m", "\033[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    sys.stdout.flush()
    sys.stderr.write(f"{red}railyard:{reset} {sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
