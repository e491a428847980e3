"""What every provider of the local platform keeps to."""

from __future__ import annotations

import base64
import errno
import importlib
import pkgutil

import pulumi.dynamic
import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import UNKNOWN

import components.local
from components.local.errors import LocalPlatformError, sentence, sentences
from components.local.provider import LocalProvider
from components.local.text_file import TextFileProvider

# The engine finds a provider again by this import path, in states of stacks that run now. A class that moves leaves its
# old path working, as an alias; then its line here stays.
IMPORT_PATHS = {
    "FolderProvider": "components.local.folder",
    "MigrationProvider": "components.local.migration",
    "PortProvider": "components.local.port",
    "PostgresClusterProvider": "components.local.postgres_cluster",
    "PostgresDatabaseProvider": "components.local.postgres_database",
    "PostgresRoleProvider": "components.local.postgres_role",
    "ProcessProvider": "components.local.process",
    "SecretFileProvider": "components.local.secret_file",
    "SeedFileProvider": "components.local.seed_file",
    "SupervisorProvider": "components.local.supervisor",
    "TextFileProvider": "components.local.text_file",
}


def pickled(module: str, name: str) -> bytes:
    """The bytes of an object without state whose class is found by its import path, in pickle's protocol 4."""
    words = [b"\x8c" + len(word).to_bytes(1, "little") + word + b"\x94" for word in (module.encode(), name.encode())]
    frame = b"".join(words) + b"\x93\x94)\x81\x94."
    return b"\x80\x04\x95" + len(frame).to_bytes(8, "little") + frame


def all_subclasses() -> dict[str, type[LocalProvider]]:
    for module in pkgutil.iter_modules(components.local.__path__):
        importlib.import_module(f"components.local.{module.name}")

    def below(kind: type[LocalProvider]) -> list[type[LocalProvider]]:
        return [found for child in kind.__subclasses__() for found in (child, *below(child))]

    return {kind.__name__: kind for kind in below(LocalProvider)}


class TestPickle:
    def test_each_provider_has_its_bytes_pinned(self) -> None:
        assert set(all_subclasses()) == set(IMPORT_PATHS)

    @pytest.mark.parametrize("name", sorted(IMPORT_PATHS))
    def test_a_provider_is_pickled_as_its_import_path_alone(self, name: str) -> None:
        assert base64.b64decode(serialize_provider(all_subclasses()[name]())) == pickled(IMPORT_PATHS[name], name)

    @pytest.mark.parametrize("name", sorted(IMPORT_PATHS))
    def test_a_provider_carries_no_state_and_is_no_secret(self, name: str) -> None:
        provider = all_subclasses()[name]()
        assert vars(provider) == {}
        assert provider.serialize_as_secret_always is False


class TestTypes:
    def test_each_resource_has_the_type_the_policies_match_on(self) -> None:
        all_subclasses()
        ours = {kind.__name__: kind for kind in pulumi.dynamic.Resource.__subclasses__()}
        local = {name: kind for name, kind in ours.items() if kind.__module__.startswith("components.local.")}
        assert len(local) == 11
        for name, kind in local.items():
            assert kind._resource_type_name == f"dynamic/railyard:{name}"


WANTED = {"path": "/a", "content": "new", "mode": "0644", "__provider": "p"}


class TestDiff:
    def test_what_is_found_as_wanted_is_no_change(self) -> None:
        result = TextFileProvider().diff("/a", {**WANTED, "__provider": "older"}, WANTED)
        assert result.changes is False

    def test_what_is_found_different_is_a_change(self) -> None:
        result = TextFileProvider().diff("/a", {**WANTED, "content": "edited"}, WANTED)
        assert (result.changes, result.replaces) == (True, [])

    def test_another_place_is_a_replacement(self) -> None:
        result = TextFileProvider().diff("/b", {**WANTED, "path": "/b"}, WANTED)
        assert (result.changes, result.replaces) == (True, ["path"])

    def test_what_is_not_known_yet_counts_as_different(self) -> None:
        result = TextFileProvider().diff("/a", WANTED, {**WANTED, "content": UNKNOWN})
        assert result.changes is True


class TestCheck:
    @pytest.mark.parametrize("name", sorted(IMPORT_PATHS))
    def test_unknown_values_pass(self, name: str) -> None:
        unknown = dict.fromkeys(("path", "content", "configured", "stackFolder", "process", "command"), UNKNOWN)
        result = all_subclasses()[name]().check({}, dict(unknown))
        assert result.failures == []
        assert result.inputs == unknown


class TestSentences:
    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (errno.ENOSPC, "No space is left on the disk that holds /state/file"),
            (errno.EACCES, "This account may not use /state/file"),
            (errno.EROFS, "/state/file is on a read-only file system"),
            (errno.EIO, "at /state/file: look at that path"),
        ],
    )
    def test_an_error_of_the_system_is_one_sentence_with_the_path(self, number: int, words: str) -> None:
        said = sentence(OSError(number, "Input/output error", "/state/file"))
        assert words in said
        assert "\n" not in said

    def test_a_provider_raises_the_sentence(self) -> None:
        def full() -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "/full/file")

        with pytest.raises(LocalPlatformError, match="No space is left on the disk that holds /full/file"), sentences():
            full()
