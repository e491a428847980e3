"""What pydantic found wrong, as sentences that name the key, the rule and the command that mends it."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.settings.problems import Problem, namespaced

_WORDS = {
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
_INTEGER = ("int_parsing", "int_type", "int_from_float", "finite_number")
_TRUTH = ("bool_parsing", "bool_type")
# What a secret looks like that was given to a plain setting by mistake: it is not shown again.
_SECRET = re.compile(
    r"^(sk|rk|whsec|xox[a-z]|glpat|gh[a-z])[_-]|://[^/\s]*:[^/\s]*@|(key|token|secret)=|^[0-9a-f]{64,}$", re.I
)
_MAP = ("model_type", "model_attributes_type", "dict_type")


def fields_by_alias(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by their names in the files."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def facts_of(field: FieldInfo) -> dict[str, Any]:
    """What `setting` wrote beside the type: platforms, required, wanted."""
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def sentence(model: type[BaseModel], error: dict[str, Any]) -> Problem:
    """A pydantic error as a problem; the value is shown, but for one that looks like a secret.

    Args:
        model: whose field is wrong.
        error: one of `ValidationError.errors()`.
    """
    path = [str(part) for part in error["loc"]]
    # As the CLI's paths are: a list's part by its number in brackets, which a shell takes within quotes alone.
    key = namespaced(path[0]) + "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in path[1:])
    quoted = f"'{key}'" if "[" in key else key
    set_it = f"pulumi config set --path {quoted}" if len(path) > 1 else f"pulumi config set {key}"
    field = fields_by_alias(model).get(path[0])
    if error["type"] == "extra_forbidden":
        inner = field.annotation if field and len(path) > 1 else model
        names = list(fields_by_alias(inner)) if isinstance(inner, type) and issubclass(inner, BaseModel) else []
        remove_it = set_it.replace("config set", "config rm")
        return Problem(key, "is not a setting", f"Remove it with `{remove_it}`; {_known(path[-1], names)}.")
    said = _rule(error, facts_of(field).get("wanted", "") if field else "")
    if error["type"] == "tuple_type":
        set_it = f"pulumi config set --path '{key}[0]'"
    return Problem(key, f"is {_shown(error['input'])} and {said}", f"Set it with `{set_it} <value>`.")


def _shown(value: object) -> str:
    return "what looks like a secret" if _SECRET.search(str(value)) else repr(value)


def _rule(error: dict[str, Any], wanted: str) -> str:
    kind = error["type"]
    if kind in _INTEGER:
        return "must be a whole number"
    if kind in _TRUTH:
        return "must be true or false"
    if kind in _MAP:
        return "must be a map of names to port numbers"
    if kind == "tuple_type":
        return "must be a list"
    if kind in _WORDS:
        return _WORDS[kind].format(**error.get("ctx", {}))
    if wanted:
        return f"must be {wanted}"
    return str(error["msg"])[:1].lower() + str(error["msg"])[1:]


def _known(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"the nearest names are {', '.join(close)}"
    return f"the settings are {', '.join(names)}" if len(names) <= 12 else "docs/configuration.md lists the settings"
