"""Another name and other words: what is refused before anything is done, what nothing is done for, what is seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from slipway import NetworkRequest, errors
from tests.repair.conftest import Site


def test_a_name_that_is_taken_or_none_is_refused_before_anything(make_site: Callable[..., Site]) -> None:
    with make_site().open() as slipway:
        other = slipway.create(replace(slipway.list()[0].request, name="shop-1", networks=()))
        before = len(slipway.show("web-1").history)
        with pytest.raises(errors.InstanceExists, match="instance shop-1 exists in project default"):
            slipway.changes.rename("web-1", "shop-1")
        for wrong in ("", "a b/../c\n"):
            with pytest.raises(errors.InvalidRequest):
                slipway.changes.rename("web-1", wrong)
        assert slipway.changes.rename("web-1", "web-1").name == "web-1"
        assert len(slipway.show("web-1").history) == before
        slipway.delete(other.id)
        assert slipway.changes.rename("web-1", "shop-1").name == "shop-1"


def test_the_old_name_is_free_and_the_domain_keeps_its_own(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open() as slipway:
        slipway.changes.rename("web-1", "shop-1")
        changed = slipway.changes.attach_interface("shop-1", NetworkRequest(network="a"))
        assert changed.fault is None
        again = slipway.create(replace(changed.request, name="web-1", networks=()))
        assert (again.fault, slipway.audit()) == (None, ())
        ports = [port.dns_name for port in slipway.network.list_ports() if port.device_id == changed.id]
        assert ports == ["shop-1", "shop-1"]
    definition = next(path for path in (site.state / "instances").rglob("*.xml") if changed.id in path.name)
    text = definition.read_text()
    assert "<title>shop-1</title>" in text
    assert f"<name>web-1-{changed.id[:8]}</name>" in text


def test_words_are_set_and_taken_away(make_site: Callable[..., Site]) -> None:
    with make_site().open() as slipway:
        slipway.changes.set("web-1", metadata={"a": "1", "b": "2"})
        changed = slipway.changes.set("web-1", metadata={"a": None, "c": "3"})
        assert dict(changed.request.metadata) == {"b": "2", "c": "3"}
        before = len(slipway.show("web-1").history)
        assert slipway.changes.set("web-1", metadata={"c": "3"}, autostart=True) == changed
        with pytest.raises(errors.InvalidRequest):
            slipway.changes.set("web-1", security_groups=["strict", "strict"])
        assert len(slipway.show("web-1").history) == before
        unknown = slipway.changes.set("web-1", security_groups=["nobody"])
        assert unknown.fault is not None
        assert unknown.fault.type == "SecurityGroupNotFound"
        assert unknown.request.security_groups == ()
        assert slipway.audit() == ()
