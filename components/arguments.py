"""Arguments of components: a wrong one is refused by its name, with what is wrong and how to mend it."""

from __future__ import annotations


class ArgumentError(ValueError):
    """An argument of a component is wrong.

    Args:
        component: the args class, as `DatabaseArgs`.
        key: the argument's name.
        what: what is wrong, to follow the key: "is 3 and must be at least 7".
        fix: the whole sentence that says what to do.
    """

    def __init__(self, component: str, key: str, what: str, fix: str) -> None:
        self.component, self.key, self.what, self.fix = component, key, what, fix
        super().__init__(f"{component}.{key} {what}. {fix}")
