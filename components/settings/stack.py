"""All settings of a stack, read from a mapping or from the running program, with everything that is wrong with them.

The program reads them from `pulumi.Config`; operations, policies and verify read them from plain dictionaries, for
which no running program is needed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import ValidationError

from components.settings.cloud import CloudSettings, is_narrow_range, problems_of_cloud
from components.settings.given import GivenSettings, problems_of_given, problems_of_urls
from components.settings.kubernetes import KubernetesSettings, problems_of_kubernetes
from components.settings.local import LocalSettings, problems_of_ports
from components.settings.model import setting
from components.settings.payments import PaymentSettings, other_network, problems_of_payments
from components.settings.pool import problems_of_pools
from components.settings.problems import NAMESPACE, Problem, SettingsError, namespaced, problem
from components.settings.secrets import GIVEN_URLS, SECRET_KEYS, Generated, GivenPart, Secrets, generated_for
from components.settings.sentences import facts_of, fields_by_alias, sentence
from components.settings.service import ServiceSettings, problems_of_names, problems_of_size
from components.settings.watching import WatchingSettings

if TYPE_CHECKING:
    import pulumi

_KEY = re.compile(r"\b(?:railyard|aws):[A-Za-z]+")
PLATFORMS = ("local", "ecs", "kubernetes")


class Settings(
    LocalSettings,
    KubernetesSettings,
    GivenSettings,
    WatchingSettings,
    ServiceSettings,
    CloudSettings,
    PaymentSettings,
):
    """The plain settings of a stack, under `railyard:` in Pulumi.<stack>.yaml."""

    platform: Literal["local", "ecs", "kubernetes"] = setting(
        "local", "Where the service runs: local, this machine; ecs, AWS ECS on Fargate; kubernetes, a cluster."
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Read settings from a dictionary of config values; keys may carry the namespace, secrets are passed over.

        Raises:
            SettingsError: with every problem there is.
        """
        settings, problems = _read(cls, values)
        if settings is None or problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> Self:
        """Read settings from the `config` of a settings file, in which secrets are encrypted.

        Raises:
            SettingsError: with every problem there is, also of secrets that stand there in plain text.
        """
        settings, problems = _read(cls, {key: value for key, value in values.items() if not _sealed(value)})
        names = (key for key, value in values.items() if key.rpartition(":")[2] in SECRET_KEYS and not _sealed(value))
        for key in names:
            secret = namespaced(key.rpartition(":")[2])
            fix = f"Change it and store it with `pulumi config set --secret {secret}`."
            problems.append(Problem(secret, "is stored in plain text", fix))
        if settings is None or problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def from_pulumi(cls) -> tuple[Self, Secrets]:
        """Read settings and secrets of the running program.

        Raises:
            SettingsError: with every problem of both.
        """
        import pulumi
        from pulumi.runtime.config import CONFIG

        config = pulumi.Config(NAMESPACE)
        settings, problems = _read(cls, _structured(cls, CONFIG.get()))
        needed = settings.generated if settings else generated_for(config.get("platform") or "local", ())
        secret = tuple(value for value in needed if value.secret)
        problems += _problems_of_secrets(config, secret, settings)
        if settings:
            urls = {value.key: config.get(value.key) or "" for part in GIVEN_URLS.values() for value in part}
            problems += problems_of_urls(settings, settings.platform, urls)
        if settings is None or problems:
            raise SettingsError(problems)
        return settings, Secrets({value.key: config.require_secret(value.key) for value in secret})

    @property
    def given_parts(self) -> dict[GivenPart, int]:
        """Those of database and cache that somebody else runs, with their TCP ports; none but on Kubernetes."""
        return super().given_parts if self.platform == "kubernetes" else {}

    @property
    def generated(self) -> tuple[Generated, ...]:
        """The config values this stack needs that a local or emulated stack generates."""
        return generated_for(self.platform, self.rails, self.given_parts)


SettingsType = TypeVar("SettingsType", bound=Settings)


def _sealed(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"secure"}


def _structured(model: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """Config values as the engine passes them: structured ones are JSON text."""
    structured = dict(values)
    for name, field in fields_by_alias(model).items():
        key = namespaced(name)
        if field.annotation is not str and str(structured.get(key, ""))[:1] in ("[", "{"):
            # Text that is no JSON is left as it is: the model says what is wrong with it.
            with contextlib.suppress(ValueError):
                structured[key] = json.loads(structured[key])
    return structured


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain settings among config values, without their namespace."""
    plain: dict[str, Any] = {}
    for key, value in values.items():
        namespace, _, name = key.rpartition(":")
        ours = namespace in ("", NAMESPACE) and name not in SECRET_KEYS
        if key == namespaced("region") or (ours and not (namespace and name == "region")):
            plain[name] = value
    return plain


def _read(model: type[SettingsType], values: Mapping[str, Any]) -> tuple[SettingsType | None, list[Problem]]:
    """The settings, None when a key is wrong by itself; and all problems, also those between keys that are right."""
    plain = _plain(values)
    problems: list[Problem] = []
    wrong: set[str] = set()
    try:
        settings = model.model_validate(plain)
    except ValidationError as errors:
        problems = [sentence(model, dict(error)) for error in errors.errors()]
        wrong = {str(error["loc"][0]) for error in errors.errors()}
        settings = model.model_validate({key: value for key, value in plain.items() if key not in wrong})
    # A relation with a key that is wrong by itself has to wait until that is mended.
    waiting = {namespaced(name) for name in wrong}
    between = [] if "platform" in wrong else _problems_between(settings)
    problems += [found for found in between if waiting.isdisjoint(_KEY.findall(str(found)))]
    return (None if wrong else settings), problems


def _problems_between(settings: Settings) -> list[Problem]:
    """What is wrong between keys that are each right."""
    problems = _problems_of_platform(settings) + problems_of_payments(settings, settings.platform)
    if settings.platform == "local":
        return problems + problems_of_ports(settings.ports)
    if settings.platform == "kubernetes":
        problems += problems_of_kubernetes(settings, lets_nodes_in=len(settings.given_parts) < 2)
        problems += problems_of_given(settings, settings)
    else:
        problems += problems_of_size(settings)
    problems += problems_of_cloud(settings) + problems_of_pools(settings, settings, settings)
    return problems + _problems_of_lnd(settings) + problems_of_names(settings)


def _problems_of_platform(settings: Settings) -> list[Problem]:
    """Keys that the platform misses, and those that are of another platform."""
    problems = []
    if settings.platform == "local" and not settings.solana_pay_to:
        missing = problem("solanaPayTo", "is missing")
        fix = f"{missing.fix[:-1]}; ./railyard up generates it for a local stack."
        problems.append(Problem(missing.key, missing.what, fix))
    for name, field in type(settings).model_fields.items():
        alias, facts, value = field.alias or name, facts_of(field), getattr(settings, name)
        if settings.platform in facts.get("platforms", PLATFORMS):
            if facts.get("required") and not value:
                problems.append(problem(alias, "is missing"))
        elif value != field.default and name != "region":
            key, others = namespaced(alias), " and ".join(facts["platforms"])
            what = f"is a setting of platform {others}, and railyard:platform is {settings.platform!r}"
            problems.append(Problem(key, what, f"Remove it with `pulumi config rm {key}`."))
    return problems


def _problems_of_lnd(settings: Settings) -> list[Problem]:
    """Whether tasks get to LND: by their security group they leave the VPC on 443 and for its addresses alone."""
    fix = f"Name LND's own with `pulumi config set --path '{NAMESPACE}:lndCidrs[0]' <address>/32`."
    key, address = f"{NAMESPACE}:lndCidrs", settings.lnd_address
    if address and address[1] != 443 and not settings.lnd_cidrs:
        what = f"is missing, and tasks cannot reach LND on port {address[1]} without"
        return [Problem(key, what, fix)]
    return [
        Problem(key, f"has {cidr!r}, which is no address range from /16 to /32", fix)
        for cidr in settings.lnd_cidrs
        if not is_narrow_range(cidr)
    ]


def _problems_of_secrets(
    config: pulumi.Config, needed: tuple[Generated, ...], settings: Settings | None
) -> list[Problem]:
    from pulumi.runtime.config import is_config_secret

    problems = []
    for value in needed:
        key = f"{NAMESPACE}:{value.key}"
        set_it = f"`pulumi config set --secret {key}`"
        given = config.get(value.key) or ""
        mixed = other_network(given, settings.network) if settings else ""
        if not given:
            generated = (
                "" if settings and settings.platform != "local" else "Run ./railyard up, which generates it, or "
            )
            fix = f"{generated}{set_it}." if generated else f"Set it with {set_it}."
            problems.append(Problem(key, f"({value.description}) is missing", fix))
        elif not is_config_secret(key):
            problems.append(
                Problem(key, f"({value.description}) is stored in plain text", f"Change it and store it with {set_it}.")
            )
        elif mixed and settings:
            what = f"is {mixed}, and railyard:network is {settings.network!r}"
            problems.append(Problem(key, what, f"Store the one of the stack's network with {set_it}."))
    return problems
