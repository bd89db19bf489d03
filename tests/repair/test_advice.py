"""What an audit says is to be typed mends what it found; where nothing that can be typed does, it says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import click
import pytest

from slipway import Orchestrator
from slipway.cli.advice import after_audit
from slipway.cli.main import main
from slipway.cli.options import Options
from slipway.model.neutron import ADMIN
from slipway.operations.audit import Difference, Finding
from tests.repair.conftest import Site
from tests.repair.test_every_difference import DAMAGES, STRANGER, Damage, both, changed, gone, network_of, sql, verb

_MOST = 3
"""Commands one after the other, of which each says what comes next."""


def type_(slipway: Orchestrator, words: Sequence[str]) -> None:
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    options = Options(drilled=slipway)
    with command.make_context(command.name, list(words), obj=options) as context:
        command.invoke(context)


def advised(slipway: Orchestrator, found: Sequence[Finding]) -> list[tuple[tuple[str, ...], str]]:
    return list(dict.fromkeys(after_audit(found, {instance.id: instance for instance in slipway.list()})))


def follow(slipway: Orchestrator) -> list[str]:
    """Type what is said until nothing is found any more; gives the commands."""
    typed: list[str] = []
    for _ in range(_MOST):
        if not (found := slipway.audit()):
            break
        advice = advised(slipway, found)
        assert advice, found
        for words, _purpose in advice:
            assert words, advice
            typed.append(" ".join(words))
            type_(slipway, words)
    return typed


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_what_an_audit_says_is_to_be_typed_mends_it(damage: Damage, make_site: Callable[..., Site]) -> None:
    site = make_site(remote=damage.remote, **damage.says)
    damage.do(site)
    with site.open() as slipway:
        follow(slipway)
        assert slipway.audit() == ()


def given(site: Site) -> None:
    with network_of(site) as network:
        (port,) = network.list_ports(ADMIN, device_id=site.instance().id)
        network.update_port(ADMIN, port.id, device_id=STRANGER)


SEEDED = {"more": ', user_data: "#cloud-config"'}
IN_STEPS = {
    "a disk gone of a guest that runs": Damage("", gone("disks"), (), says={}),
    "a seed with user data gone": Damage(
        "", both(verb("stop", force=True), lambda site: site.things("disks")[-1].unlink()), (), says=SEEDED
    ),
    "a port given to somebody else": Damage("", given, ()),
    "a disk attached to a guest that runs": Damage("", changed("domains", brought=["/tmp/x.qcow2"]), ()),
    "a disk that is stuck": Damage(
        "", sql("UPDATE effects SET state = 'stuck', error = 'E: x' WHERE kind = 'disk'"), ()
    ),
}
"""What a repair alone does not mend; some of it takes two commands."""


@pytest.mark.parametrize("name", IN_STEPS)
def test_what_a_repair_cannot_mend_is_mended_by_what_is_said_instead(name: str, make_site: Callable[..., Site]) -> None:
    damage = IN_STEPS[name]
    site = make_site(**damage.says)
    damage.do(site)
    with site.open() as slipway:
        typed = follow(slipway)
        assert slipway.audit() == (), typed
        assert typed
        assert not typed[0].startswith("repair "), "a repair does not mend it"


BY_HAND: dict[str, tuple[Callable[[Site], object], str]] = {
    "a kernel that was moved": (
        changed("domains", lacks=["kernel /boot/vmlinuz"]),
        "web-1: put the kernel /boot/vmlinuz back: its guest runs on, and cannot be started",
    ),
    "a state that nobody knows": (
        sql("UPDATE instances SET task_state = 'FOO'"),
        "web-1: go on with it by the Slipway that wrote it: this one does not know the state that it is in",
    ),
    "a kernel of a guest that has ended": (
        changed("domains", lacks=["kernel /boot/vmlinuz"], state="shutdown"),
        "web-1: put the kernel /boot/vmlinuz back, then repair",
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_where_nothing_that_can_be_typed_helps_it_says_so(name: str, make_site: Callable[..., Site]) -> None:
    damage, said = BY_HAND[name]
    site = make_site()
    damage(site)
    with site.open() as slipway:
        found = slipway.audit()
        assert ((), said) in advised(slipway, found)
        assert [words for words, _ in advised(slipway, found) if words] == []
        assert {one.mend.finding for one in slipway.repair()} == set(found)
        assert slipway.audit() == found, "nor does a repair"
    if name == "a state that nobody knows":
        site.sql("UPDATE instances SET task_state = NULL")
    site.change("domains", lacks=[])
    with site.open() as slipway:
        slipway.repair()
        assert slipway.audit() == ()


def test_a_row_that_a_delete_could_not_read_is_for_a_backup(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.sql("UPDATE effects SET result = 'x' WHERE kind = 'binding'")
    with site.open() as slipway:
        (((command, *_), _),) = advised(slipway, slipway.audit())
        assert command == "delete", "it may be that it can be taken back without that row"
        slipway.delete("web-1")
        said = advised(slipway, slipway.audit())
        assert [words for words, _ in said] == [()]
        assert "slipway restore" in said[0][1]


def test_every_kind_of_difference_is_provoked(make_site: Callable[..., Site]) -> None:
    """One that is added to the audit is to be provoked here as well."""
    said = {found.partition(" ")[0] for damage in DAMAGES for found in damage.found}
    known = {"unreachable", "damaged"}
    assert said | known == set(Difference)
    site = make_site()
    (site.state / "world" / "node-1" / "domains" / "broken.json").write_text("{")
    with site.open() as slipway:
        found = slipway.audit()
        assert {one.difference for one in found} == {Difference.UNREACHABLE}, json.dumps([str(one) for one in found])
        assert [words for words, _ in advised(slipway, found)] == [()]
