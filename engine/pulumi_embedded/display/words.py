"""The CLI's words, marks and colours for each operation."""

from __future__ import annotations

RED, GREEN, YELLOW, MAGENTA, CYAN, BLUE, BOLD = "31", "32", "33", "35", "36", "34", "1"
HEADLINE = "1;35"

ORDER = (
    "same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced", "read",
    "read-replacement", "refresh", "discard", "discard-replaced", "remove-pending-replace", "import",
    "import-replacement",
)  # fmt: skip
"""Operations in the order in which summaries list them (`deploy.StepOps`)."""

QUIET = {"same", "read", "discard", "read-replacement"}
"""Operations that change nothing and are left out of counts of changes."""

MARKS = {
    "same": "  ", "create": "+ ", "delete": "- ", "update": "~ ", "replace": "+-", "create-replacement": "++",
    "delete-replaced": "--", "read": "> ", "read-replacement": ">>", "refresh": "~ ", "discard": "< ",
    "discard-replaced": "<<", "import": "= ", "import-replacement": "=>", "remove-pending-replace": "~ ",
}  # fmt: skip

COLORS = {
    "create": GREEN, "create-replacement": GREEN, "delete": RED, "delete-replaced": RED, "update": YELLOW,
    "replace": MAGENTA, "read": CYAN, "read-replacement": CYAN, "refresh": YELLOW, "discard": CYAN,
    "discard-replaced": CYAN, "import": BLUE, "import-replacement": BLUE, "remove-pending-replace": YELLOW,
}  # fmt: skip

PLANNED = {
    "same": "", "create": "create", "update": "update", "delete": "delete", "replace": "replace",
    "create-replacement": "create replacement", "delete-replaced": "delete original", "read": "read",
    "read-replacement": "read for replacement", "refresh": "refreshing", "discard": "discard",
    "discard-replaced": "discard original", "import": "import", "import-replacement": "import replacement",
    "remove-pending-replace": "",
}  # fmt: skip

RUNNING = {
    "same": "", "create": "creating", "update": "updating", "delete": "deleting", "replace": "replacing",
    "create-replacement": "creating replacement", "delete-replaced": "deleting original", "read": "reading",
    "read-replacement": "reading for replacement", "refresh": "refreshing", "discard": "discarding",
    "discard-replaced": "discarding original", "import": "importing", "import-replacement": "importing replacement",
    "remove-pending-replace": "",
}  # fmt: skip

DONE = {
    "same": "", "create": "created", "update": "updated", "delete": "deleted", "replace": "replaced",
    "create-replacement": "created replacement", "delete-replaced": "deleted original", "read": "read",
    "read-replacement": "read for replacement", "refresh": "refresh", "discard": "discarded",
    "discard-replaced": "discarded original", "import": "imported", "import-replacement": "imported replacement",
    "remove-pending-replace": "",
}  # fmt: skip

FAILED = {
    "same": "failed", "create": "creating failed", "create-replacement": "creating failed",
    "update": "updating failed", "delete": "deleting failed", "delete-replaced": "deleting failed",
    "replace": "replacing failed", "read": "reading failed", "read-replacement": "reading failed",
    "refresh": "refreshing failed", "discard": "discarding failed", "discard-replaced": "discarding failed",
    "import": "importing failed", "import-replacement": "importing failed", "remove-pending-replace": "",
}  # fmt: skip

PAST = {
    "same": "unchanged", "create": "created", "update": "updated", "delete": "deleted", "replace": "replaced",
    "create-replacement": "create-replacement", "delete-replaced": "delete-replaced", "refresh": "refreshed",
    "import": "imported", "import-replacement": "imported-replacement", "discard-replaced": "discarded",
    "remove-pending-replace": "removed-pending-replace",
}  # fmt: skip

HEADLINES = {
    "preview": ("update", "Previewing"), "up": ("update", "Updating"), "refresh": ("refresh", "Refreshing"),
    "destroy": ("destroy", "Destroying"), "import": ("import", "Importing"),
}  # fmt: skip


def headline(kind: str, *, preview: bool) -> str:
    """Return `Updating` or `Previewing update` and the like."""
    planned, running = HEADLINES[kind]
    return f"Previewing {planned}" if preview else running


class Paint:
    """Colours text, or leaves it as it is."""

    def __init__(self, *, colored: bool) -> None:
        """Remember whether there is colour."""
        self.colored = colored

    def __call__(self, text: str, style: str) -> str:
        """Return `text` in a style (SGR codes), itself when there is no colour or no style."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colored and style and text else text

    def operation(self, text: str, operation: str) -> str:
        """Return `text` in an operation's colour."""
        return self(text, COLORS.get(operation, ""))


def plural(count: int, word: str) -> str:
    """Return `1 change`, `2 changes`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
