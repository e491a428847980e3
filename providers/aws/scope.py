"""Parameters and outputs out of what is known of a resource: templates, functions and JMESPath."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jmespath

from providers.aws.kind import Scope

_NAME = re.compile(r"\$([A-Za-z0-9]+)")


def filled(parameter: Any, scope: Scope) -> Any:
    """A parameter with its templates filled: "$name" alone keeps the value's type, within text it becomes text."""
    if callable(parameter):
        return parameter(scope)
    if isinstance(parameter, str):
        alone = _NAME.fullmatch(parameter)
        if alone:
            return scope.get(alone[1])
        return _NAME.sub(lambda found: str(scope.get(found[1], "")), parameter)
    if isinstance(parameter, Mapping):
        return {key: value for key, item in parameter.items() if (value := filled(item, scope)) is not None}
    if isinstance(parameter, list | tuple):
        return [value for item in parameter if (value := filled(item, scope)) is not None]
    return parameter


def mentioned(parameter: Any) -> Iterable[str]:
    """The names that a parameter's templates use."""
    if isinstance(parameter, str):
        yield from _NAME.findall(parameter)
    elif isinstance(parameter, Mapping):
        for item in parameter.values():
            yield from mentioned(item)
    elif isinstance(parameter, list | tuple):
        for item in parameter:
            yield from mentioned(item)


def expressed(expression: str, document: Any, scope: Scope) -> Any:
    """What an expression of the table gives: a template when it has a "$", else JMESPath in the document."""
    if "$" in expression:
        return filled(expression, scope)
    try:
        return jmespath.search(expression, document)
    except jmespath.exceptions.JMESPathTypeError:
        # A function met a member that is not there (yet).
        return None


def camel(name: str) -> str:
    """A member's name as Pulumi writes it: DBInstanceArn becomes dbInstanceArn."""
    head = re.match(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+$|[A-Z]", name)
    return name if head is None else head[0].lower() + name[head.end() :]
