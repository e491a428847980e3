"""Surgery on a state keeps it whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_embedded.errors import EngineError, StateError
from pulumi_embedded.state import editing
from pulumi_embedded.state.deployment import Deployment, verify_integrity
from pulumi_embedded.state.sealing import RESOURCE_REFERENCE_SIG, SIG

ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
PROVIDER = "urn:pulumi:dev::proj::pulumi:providers:test::default"


def urn(name: str) -> str:
    return f"urn:pulumi:dev::proj::test:index:Thing::{name}"


def thing(name: str, **extra: Any) -> dict[str, Any]:
    return {"urn": urn(name), "custom": True, "id": name, "type": "test:index:Thing", **extra}


def state() -> list[dict[str, Any]]:
    return [
        {"urn": ROOT, "custom": False, "type": "pulumi:pulumi:Stack"},
        {"urn": PROVIDER, "custom": True, "id": "p1", "type": "pulumi:providers:test"},
        thing("a", parent=ROOT, provider=f"{PROVIDER}::p1"),
        thing("b", parent=ROOT, dependencies=[urn("a")], propertyDependencies={"x": [urn("a")]}),
        thing("c", parent=ROOT, deletedWith=urn("b"), inputs={"r": {SIG: RESOURCE_REFERENCE_SIG, "urn": urn("a")}}),
    ]


def names(resources: list[dict[str, Any]]) -> list[str]:
    return [str(resource["urn"]).rpartition("::")[2] for resource in resources]


class TestDelete:
    def test_a_resource_that_nothing_needs_goes(self) -> None:
        assert names(editing.delete(state(), [urn("c")], force=False, with_dependents=False))[-1] == "b"

    def test_a_needed_resource_stays_and_its_dependents_are_named(self) -> None:
        with pytest.raises(EngineError, match=r'"b".*\n.*"c"'):
            editing.delete(state(), [urn("a")], force=False, with_dependents=False)

    def test_dependents_go_along_when_asked(self) -> None:
        left = editing.delete(state(), [urn("a")], force=False, with_dependents=True)
        assert names(left) == ["proj-dev", "default"]

    def test_several_may_be_named_in_any_order(self) -> None:
        left = editing.delete(state(), [urn("b"), urn("c")], force=False, with_dependents=False)
        assert names(left) == ["proj-dev", "default", "a"]

    def test_a_protected_resource_needs_force(self) -> None:
        resources = [*state()[:-1], thing("c", protect=True)]
        with pytest.raises(EngineError, match="--force"):
            editing.delete(resources, [urn("c")], force=False, with_dependents=False)
        assert "c" not in names(editing.delete(resources, [urn("c")], force=True, with_dependents=False))

    def test_an_unknown_resource_is_an_error(self) -> None:
        with pytest.raises(EngineError, match="No such resource"):
            editing.delete(state(), [urn("zzz")], force=False, with_dependents=False)


class TestRename:
    def test_every_reference_follows(self) -> None:
        renamed = editing.rename(state(), urn("a"), "new")
        assert urn("a") not in str(renamed)
        assert names(renamed) == ["proj-dev", "default", "new", "b", "c"]
        verify_integrity(Deployment(resources=renamed))

    def test_a_provider_keeps_its_resources(self) -> None:
        renamed = editing.rename(state(), PROVIDER, "other")
        assert renamed[2]["provider"].endswith("::other::p1")
        verify_integrity(Deployment(resources=renamed))

    def test_a_taken_name_is_refused(self) -> None:
        with pytest.raises(EngineError, match="taken"):
            editing.rename(state(), urn("a"), "b")


def test_a_stack_is_renamed_with_its_root_and_all_its_urns() -> None:
    renamed = editing.rename_stack(state(), ("proj", "dev"), ("other", "prod"))
    assert renamed[0]["urn"] == "urn:pulumi:prod::other::pulumi:pulumi:Stack::other-prod"
    assert ":dev::" not in str(renamed)
    verify_integrity(Deployment(resources=renamed))


class TestFlags:
    def test_protect_and_unprotect(self) -> None:
        protected = editing.set_flag(state(), [urn("a")], "protect", True)
        assert [item.get("protect") for item in protected] == [None, None, True, None, None]
        assert "protect" not in editing.set_flag(protected, [urn("a")], "protect", False)[2]

    def test_all_means_the_resources_but_not_the_stack_and_its_providers(self) -> None:
        assert [item.get("protect") for item in editing.set_flag(state(), None, "protect", True)] == [
            None,
            None,
            True,
            True,
            True,
        ]


class TestRepair:
    @given(st.permutations(range(5)))
    def test_any_order_is_sorted_into_a_whole_state(self, order: list[int]) -> None:
        shuffled = [state()[index] for index in order]
        repaired, _ = editing.repair(shuffled)
        verify_integrity(Deployment(resources=repaired))
        assert sorted(names(repaired)) == sorted(names(shuffled))

    def test_references_to_what_is_gone_are_removed_and_said(self) -> None:
        broken = [
            thing("b", dependencies=[urn("gone")], parent=urn("gone2"), propertyDependencies={"x": [urn("gone")]})
        ]
        repaired, notes = editing.repair(broken)
        verify_integrity(Deployment(resources=repaired))
        assert len(notes) == 1
        assert "gone" in notes[0]

    def test_a_circle_cannot_be_repaired(self) -> None:
        with pytest.raises(StateError, match="circle"):
            editing.repair([thing("a", dependencies=[urn("b")]), thing("b", dependencies=[urn("a")])])
