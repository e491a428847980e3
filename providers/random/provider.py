"""`random:*` resources: values made once, when the resource is made, and again only when an input changes.

Source of inputs, defaults and outputs: the docstrings of pulumi_random; of `bcryptHash`, terraform-provider-random's
`internal/provider/resource_password.go`: cost 10, and of a longer password the first 72 bytes.
"""

from __future__ import annotations

import base64
import random
import string
import uuid
from collections.abc import Callable
from importlib.metadata import version

from providers.base.diffing import Difference, difference
from providers.base.provider import Checked, Made, ProviderError, Resource
from providers.base.values import UNKNOWN, Properties, Secret, has_unknown, plain

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
BCRYPT_BYTES = 72
_BCRYPT_DIGITS = b"./" + (string.ascii_uppercase + string.ascii_lowercase + string.digits).encode()
_BCRYPT = bytes.maketrans(
    (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode(), _BCRYPT_DIGITS
)
_TEXT_DEFAULTS = {
    "lower": True, "upper": True, "numeric": True, "special": True,
    "minLower": 0, "minUpper": 0, "minNumeric": 0, "minSpecial": 0,
}  # fmt: skip
DEFAULTS: dict[str, Properties] = {
    "RandomPassword": _TEXT_DEFAULTS,
    "RandomString": _TEXT_DEFAULTS,
    "RandomId": {},
    "RandomBytes": {},
    "RandomUuid": {},
    "RandomInteger": {},
}
REQUIRED = {
    "RandomPassword": ("length",),
    "RandomString": ("length",),
    "RandomId": ("byteLength",),
    "RandomBytes": ("length",),
    "RandomInteger": ("min", "max"),
}
OUTPUTS = {
    "RandomPassword": ("bcryptHash", "result"),
    "RandomString": ("result",),
    "RandomId": ("b64Std", "b64Url", "dec", "hex"),
    "RandomBytes": ("base64", "hex"),
    "RandomUuid": ("result",),
    "RandomInteger": ("result",),
}


class RandomProvider:
    """Serves `random:*`.

    Args:
        entropy: where all randomness comes from; the operating system's by default.
    """

    package = "random"

    def __init__(self, endpoint: str = "", entropy: random.Random | None = None) -> None:
        self.version = version("pulumi_random")
        self._entropy = entropy or random.SystemRandom()
        self._makers: dict[str, Callable[[Properties], tuple[str, Properties]]] = {
            "RandomPassword": self._password,
            "RandomString": self._text,
            "RandomId": self._identifier,
            "RandomBytes": self._bytes,
            "RandomUuid": self._uuid,
            "RandomInteger": self._integer,
        }

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        return []

    def configure(self, config: Properties) -> None:
        return None

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        kind = self._kind(resource)
        inputs = {**DEFAULTS[kind], **new}
        lacking = [(name, "is required") for name in REQUIRED.get(kind, ()) if name not in inputs]
        return Checked(inputs, lacking or _impossible(plain(inputs)))

    def diff(self, resource: Resource, old: Properties, state: Properties, new: Properties) -> Difference:
        return difference(old, new, replaces_on={*old, *new})

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout_seconds: float) -> Made:
        kind = self._kind(resource)
        if preview:
            return Made("", {**inputs, **dict.fromkeys(OUTPUTS[kind], UNKNOWN)})
        made_id, made = self._makers[kind](plain(inputs))
        return Made(made_id, {**inputs, **made})

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> Made:
        if not state:
            raise ProviderError(f"{resource.urn}: a random value cannot be read back by its id; make a new one.")
        return Made(resource.id, state)

    def update(
        self,
        resource: Resource,
        old: Properties,
        state: Properties,
        new: Properties,
        *,
        preview: bool,
        timeout_seconds: float,
    ) -> Properties:
        # Every input replaces: only what the state lacks of defaults can come here.
        return {**state, **new}

    def delete(self, resource: Resource, inputs: Properties, state: Properties, *, timeout_seconds: float) -> None:
        return None

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise ProviderError(f"the offline random provider has no function {token}: random has none.")

    def _kind(self, resource: Resource) -> str:
        package, _, rest = resource.type.partition(":")
        kind = rest.rpartition(":")[2]
        if package != "random" or kind not in DEFAULTS:
            raise ProviderError(
                f"{resource.urn}: the offline random provider does not know the type {resource.type}; "
                f"it knows {', '.join(sorted(DEFAULTS))}."
            )
        return kind

    def _password(self, inputs: Properties) -> tuple[str, Properties]:
        drawn = self._characters(inputs)
        return "none", {"result": Secret(drawn), "bcryptHash": Secret(self._hash(drawn))}

    def _hash(self, password: str) -> str:
        import bcrypt

        salt = base64.b64encode(self._entropy.randbytes(16)).rstrip(b"=").translate(_BCRYPT)
        # The last digit stands for two bits alone.
        salt = salt[:-1] + _BCRYPT_DIGITS[_BCRYPT_DIGITS.index(salt[-1:]) & 0b110000 :][:1]
        return str(bcrypt.hashpw(password.encode()[:BCRYPT_BYTES], b"$2a$10$" + salt).decode())

    def _text(self, inputs: Properties) -> tuple[str, Properties]:
        result = self._characters(inputs)
        return result, {"result": result}

    def _characters(self, inputs: Properties) -> str:
        classes = {
            "Lower": string.ascii_lowercase,
            "Upper": string.ascii_uppercase,
            "Numeric": string.digits,
            "Special": inputs.get("overrideSpecial") or SPECIAL,
        }
        allowed = "".join(characters for name, characters in classes.items() if inputs[name.lower()])
        drawn = [
            self._entropy.choice(characters)
            for name, characters in classes.items()
            for _ in range(inputs[f"min{name}"] if inputs[name.lower()] else 0)
        ]
        drawn += [self._entropy.choice(allowed) for _ in range(inputs["length"] - len(drawn))]
        self._entropy.shuffle(drawn)
        return "".join(drawn)

    def _identifier(self, inputs: Properties) -> tuple[str, Properties]:
        drawn, prefix = self._entropy.randbytes(inputs["byteLength"]), inputs.get("prefix", "")
        url_safe = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
        return url_safe, {
            "b64Std": prefix + base64.b64encode(drawn).decode(),
            "b64Url": prefix + url_safe,
            "dec": f"{prefix}{int.from_bytes(drawn, 'big')}",
            "hex": prefix + drawn.hex(),
        }

    def _bytes(self, inputs: Properties) -> tuple[str, Properties]:
        drawn = self._entropy.randbytes(inputs["length"])
        return "none", {"base64": Secret(base64.b64encode(drawn).decode()), "hex": Secret(drawn.hex())}

    def _uuid(self, inputs: Properties) -> tuple[str, Properties]:
        result = str(uuid.UUID(bytes=self._entropy.randbytes(16), version=4))
        return result, {"result": result}

    def _integer(self, inputs: Properties) -> tuple[str, Properties]:
        drawn = self._entropy.randint(inputs["min"], inputs["max"])
        return str(drawn), {"result": drawn}


def _impossible(inputs: Properties) -> list[tuple[str, str]]:
    """Inputs that no value satisfies; nothing while one of them is unknown."""
    if has_unknown(inputs):
        return []
    if "lower" in inputs:
        least = sum(inputs[f"min{name}"] for name in ("Lower", "Upper", "Numeric", "Special"))
        if inputs["length"] < max(least, 1):
            return [("length", f"must be at least {max(least, 1)}, the sum of the minima")]
        if not any(inputs[name] for name in ("lower", "upper", "numeric", "special")):
            return [("special", "one of lower, upper, numeric and special must be allowed")]
    if "min" in inputs and inputs["min"] > inputs["max"]:
        return [("min", "must not be above max")]
    return []
