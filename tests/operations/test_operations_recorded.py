"""What `up --emulated` ends with fits a terminal, and leaves nothing out that `status` does not list."""

from __future__ import annotations

from typing import Any

from operations.emulated.provider_processes import recorded
from operations.emulated.recorded import UNTAKEN, Lacking, listing, recorded_of, summary

LACKING: Lacking = {
    "aws:rds/instance:Instance": {"finalSnapshotIdentifier": "kept in the state", "port": "moto tells its own"},
    "aws:backup/framework:Framework": {"*": "moto has no CreateFramework"},
    "docker:index/image:Image": {"*": "no registry of this machine takes it"},
}


def resource(type_: str, inputs: dict[str, Any] | None = None, **outputs: Any) -> dict[str, Any]:
    return {"type": type_, "inputs": inputs or {}, "outputs": outputs}


def test_only_what_was_asked_for_counts_and_every_resource_is_asked() -> None:
    database = "aws:rds/instance:Instance"
    found = recorded_of(
        [
            resource(database, {"port": 5432, "finalSnapshotIdentifier": "", "__defaults": ["port"]}),
            resource(database, {"finalSnapshotIdentifier": "last"}, __recorded=["domain.fqdn"]),
            resource("docker:index/image:Image"),
            resource("aws:sns/topic:Topic", {"name": "critical"}),
        ],
        LACKING,
    )
    assert found == {
        database: {"domain.fqdn": UNTAKEN, "finalSnapshotIdentifier": "kept in the state"},
        "docker:index/image:Image": {"*": "no registry of this machine takes it"},
    }


def test_of_every_type_there_is_the_summary_fits_a_terminal_and_the_list_has_each_property() -> None:
    everything = recorded()
    lines = summary(everything, "staging")
    assert lines[0].startswith("recorded, not emulated: ")
    assert max(map(len, lines)) <= 80
    # The services of the table, the head and the way to the list; a few of them wrap.
    assert len(lines) < 50
    assert lines[-1].endswith("./railyard status staging --recorded")
    text = " ".join(lines)
    for name, reasons in everything.items():
        own = name.rpartition(":")[2]
        assert f"{own} (all)" in text if "*" in reasons else f"{own} {len(reasons)}" in text
    listed = " ".join(line.strip() for line in listing(everything))
    for name, reasons in everything.items():
        assert name in listed
        for key, why in reasons.items():
            assert f"{'the whole type' if key == '*' else key}: {why}" in listed


def test_a_stack_whose_account_has_it_all_is_told_so() -> None:
    assert summary({}, "staging") == []
    assert listing({}) == ["Nothing of this stack is recorded only: its account has it all."]
