"""What is wrong with the settings: one sentence a problem, with the key and the cure, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "railyard"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the settings: the key with its namespace, what is wrong, and how to mend it."""

    key: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key} {self.what}. {self.fix}"


class SettingsError(Exception):
    """The settings are wrong; `problems` has all of them, the message one a line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def namespaced(name: str) -> str:
    """The config key of a setting: `aws:region` for the region, `railyard:<name>` for all others."""
    return "aws:region" if name == "region" else f"{NAMESPACE}:{name}"


def problem(name: str, what: str, value: str = "<value>") -> Problem:
    """A problem whose cure is another value of the same key."""
    key = namespaced(name)
    path = "--path " if "." in name else ""
    return Problem(key, what, f"Set it with `pulumi config set {path}{key} {value}`.")
