"""What the libvirt driver does beyond the contract: its errors, its owners, its patience, and KVM."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.compute.domain_xml import build_domain_xml, domain_name
from slipway.drivers.deadline import within
from slipway.errors import ComputeError, HypervisorUnavailable, InvalidDomainXml, SlipwayError, UnsupportedHardware
from slipway.model.machine import Acceleration, Domain, PowerState, Vif
from slipway.model.numa import parse_cpus
from slipway.model.record import Instance
from slipway.model.request import Boot, Host, Image
from tests.drivers.conftest import make_vif as make_vif
from tests.host.libvirtd import WITH_US, Libvirtd
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.host

HOST = Host("node-1", vcpus=8, memory=1 << 40, disk=1 << 40, compute="libvirt", accel="tcg")
MakeDomain = Callable[..., Domain]


@pytest.fixture
def host(libvirtd: Libvirtd) -> Iterator[Host]:
    yield replace(HOST, uri=libvirtd.uri)
    libvirtd.ensure_running()
    libvirtd.clear()


def driver(host: Host, state: Path, owner: str = "slipway") -> Any:
    from slipway.drivers.compute.libvirt.driver import LibvirtCompute

    return LibvirtCompute(host, state, owner)


REFUSED: dict[str, tuple[Callable[[str], str], type[SlipwayError], str]] = {
    "schema": (lambda xml: xml.replace("<features>", "<features><no-such/>"), InvalidDomainXml, "schema"),
    "sense": (lambda xml: re.sub(">[0-9]+</memory>", ">0</memory>", xml), InvalidDomainXml, "[Mm]emory"),
    "emulator missing": (
        lambda xml: xml.replace("<devices>", "<devices><emulator>/no/such/qemu</emulator>"),
        ComputeError,
        "/no/such/qemu",
    ),
    "vcpus": (lambda xml: xml.replace(">1</vcpu>", ">10000</vcpu>"), UnsupportedHardware, "CPUs"),
    "bridge missing": (
        lambda xml: xml.replace(
            "<devices>", '<devices><interface type="bridge"><source bridge="no-such"/></interface>'
        ),
        ComputeError,
        "no-such",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_libvirt_refuses(host: Host, tmp_path: Path, make_domain: MakeDomain, what: str) -> None:
    change, kind, text = REFUSED[what]
    domain = make_domain()
    with pytest.raises(kind, match=text) as caught:
        driver(host, tmp_path).spawn(replace(domain, xml=change(domain.xml)))
    assert str(caught.value).startswith(f"node-1: starting domain {domain.name}: ")
    assert "\n" not in str(caught.value)
    assert list(driver(host, tmp_path).list_domains()) == []


def test_domains_of_another_installation_are_not_ours(host: Host, tmp_path: Path, make_domain: MakeDomain) -> None:
    ours, theirs = driver(host, tmp_path), driver(host, tmp_path, "another")
    domain = make_domain()
    ours.spawn(domain)
    assert [info.instance_id for info in ours.list_domains()] == [domain.instance_id]
    assert list(theirs.list_domains()) == []
    theirs.destroy(domain.instance_id)
    assert ours.power_state(domain.instance_id) is PowerState.RUNNING


def test_a_machine_that_was_paused_or_killed(
    host: Host, libvirtd: Libvirtd, tmp_path: Path, make_domain: MakeDomain
) -> None:
    import libvirt

    domain, compute = make_domain(), driver(host, tmp_path)
    compute.spawn(domain)
    connection = libvirt.open(libvirtd.uri)
    connection.lookupByUUIDString(domain.instance_id).suspend()
    connection.close()
    assert compute.power_state(domain.instance_id) is PowerState.PAUSED
    libvirtd.machines(domain.instance_id)[0].kill()
    until(lambda: compute.power_state(domain.instance_id) is PowerState.CRASHED, "the domain's end")
    compute.spawn(domain)
    assert compute.power_state(domain.instance_id) is PowerState.RUNNING


def test_a_daemon_that_was_restarted_is_found_again(
    host: Host, libvirtd: Libvirtd, tmp_path: Path, make_domain: MakeDomain
) -> None:
    domain, compute = make_domain(), driver(host, tmp_path)
    compute.spawn(domain)
    libvirtd.kill()
    with pytest.raises(HypervisorUnavailable, match="node-1: libvirt at qemu"):
        compute.list_domains()
    libvirtd.restart()
    assert [info.state for info in compute.list_domains()] == [PowerState.RUNNING]


def test_a_daemon_that_was_stopped_holds_nobody_up(host: Host, libvirtd: Libvirtd) -> None:
    from slipway.drivers.compute.libvirt.connection import Connection

    assert host.uri is not None
    known, new = Connection("node-1", host.uri, look=1.0), Connection("node-1", host.uri, look=1.0)
    ask: Callable[[Connection], Any] = lambda connection: connection.ask("looking", lambda c: c.numOfDomains())  # noqa: E731
    ask(known)
    with libvirtd.hanging():
        for connection in (known, new):
            began = time.monotonic()
            with pytest.raises(HypervisorUnavailable, match=r"did not answer within 1 s"):
                ask(connection)
            assert time.monotonic() - began < 60
        # Whoever comes while another thread is connecting waits no longer than that one may.
        late = Connection("node-1", host.uri, look=30.0)
        with ThreadPoolExecutor(3) as pool:
            began = time.monotonic()
            tries = [pool.submit(_within, 1.0, ask, late) for _ in range(3)]
            assert {type(future.exception()) for future in tries} == {HypervisorUnavailable}
            assert time.monotonic() - began < 20
    assert ask(known) == ask(new) == 0


def test_a_daemon_that_was_stopped_holds_up_nobody_who_lets_a_connection_go(host: Host, libvirtd: Libvirtd) -> None:
    from slipway.drivers.compute.libvirt.connection import Connection

    assert host.uri is not None
    connections = [Connection("node-1", host.uri) for _ in range(3)]
    garbage: list[Any] = [*connections, *(one.ask("looking", lambda libvirtd: libvirtd) for one in connections)]
    # What stands in a circle is collected when the garbage is, in whichever thread that comes to be.
    garbage.append(garbage)
    with libvirtd.hanging():
        began = time.monotonic()
        del connections, garbage
        gc.collect()
        assert time.monotonic() - began < 5


_IN_A_CIRCLE = """
import os, signal, sys
from slipway.drivers.compute.libvirt.opened import Opened
garbage = [Opened(sys.argv[1])]
garbage.append(garbage)
[os.kill(int(stopped), signal.SIGSTOP) for stopped in sys.argv[2:]]
"""


def test_a_connection_that_is_open_at_its_end_holds_no_process_up(host: Host, libvirtd: Libvirtd) -> None:
    """No thread can be started any more then, and nobody is to be asked."""
    assert host.uri is not None
    daemon = libvirtd.daemon()
    assert daemon is not None
    try:
        for stopped in ((), (str(daemon.pid),)):
            subprocess.run([sys.executable, "-c", _IN_A_CIRCLE, host.uri, *stopped], check=True, timeout=30)
    finally:
        daemon.send_signal(signal.SIGCONT)


def _within(seconds: float, ask: Callable[[Any], Any], connection: Any) -> Any:
    with within(seconds):
        return ask(connection)


def test_kvm_only_after_a_guest_has_booted_under_it(host: Host, tmp_path: Path, libvirtd: Libvirtd) -> None:
    """Whichever it is here: what was found out is kept, and nobody tries again."""
    instance = str(uuid.uuid4())
    auto = replace(host, accel="auto")
    asked = driver(auto, tmp_path)
    first, again = asked.platform_for_instance(instance), asked.platform_for_instance(instance)
    slow = f"guests of {host.name} run under TCG, many times slower than under KVM: "
    assert first.news.startswith(slow) if first.acceleration is Acceleration.TCG else first.news == ""
    assert again.news == "", "it is said once"
    assert libvirtd.machines() == []
    (file,) = (tmp_path / "acceleration").glob("*.json")
    before = file.stat().st_mtime_ns
    later = driver(auto, tmp_path).platform_for_instance(instance)
    assert (later.acceleration, later.news) == (first.acceleration, "")
    assert file.stat().st_mtime_ns == before
    assert driver(replace(host, accel="tcg"), tmp_path / "tcg").platform_for_instance(instance).news == ""


# --- boot from the network ------------------------------------------------------------------------------------------


@contextmanager
def boot_server(libvirtd: Libvirtd, directory: Path) -> Iterator[str]:
    """A bridge with DHCP and TFTP, where the daemon is; it hands out the least guest that says something."""
    from slipway.drivers.compute.libvirt.acceleration import _BOOT_SECTOR

    bridge = "brq-boot-test"
    (directory / "least").write_bytes(_BOOT_SECTOR)
    for command in (
        ("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0"),
        ("ip", "address", "add", "192.168.77.1/24", "dev", bridge),
        ("ip", "link", "set", bridge, "up"),
    ):
        subprocess.run(libvirtd.inside(*command), check=True)
    options = [f"--interface={bridge}", "--dhcp-range=192.168.77.50,192.168.77.99", "--dhcp-boot=least", "--port=0"]
    tftp = ["--enable-tftp", f"--tftp-root={directory}", "--user=root", "--conf-file=/dev/null", "--no-ping"]
    files = [f"--dhcp-leasefile={directory}/leases", f"--pid-file={directory}/pid"]
    server = ["dnsmasq", "--keep-in-foreground", "--bind-interfaces", *options, *tftp, *files]
    process = subprocess.Popen([*WITH_US, *libvirtd.inside(*server)], stderr=subprocess.DEVNULL)
    try:
        until((directory / "pid").exists, "dnsmasq")
        yield bridge
    finally:
        process.terminate()
        process.wait()
        subprocess.run(libvirtd.inside("ip", "link", "delete", bridge), check=True)


def test_a_machine_boots_from_the_network_where_its_image_says_so(
    host: Host,
    libvirtd: Libvirtd,
    tmp_path: Path,
    make_instance: Callable[..., Instance],
    make_vif: Callable[..., Vif],
) -> None:
    """N1: it gets its address and the name of its boot file by DHCP, the file by TFTP, and runs it."""
    from slipway.drivers.compute.libvirt.acceleration import MARKER

    compute = driver(host, tmp_path)
    instance = make_instance(image=Image("net", boot=Boot.NETWORK), memory=64 << 20)
    log = Path(compute.console_log(instance.id))
    log.parent.mkdir(parents=True)
    with boot_server(libvirtd, tmp_path) as bridge:
        vif = replace(make_vif(mtu=0), bridge=bridge)
        xml = build_domain_xml(instance, host, [], [vif], compute.platform_for_instance(instance.id))
        compute.spawn(Domain(instance.id, domain_name(instance), 1, 64 << 20, 1, xml))
        until(lambda: MARKER in log.read_bytes(), "the guest's text")
        compute.destroy(instance.id)


CHANGES: dict[str, tuple[str, str, bool]] = {
    "memory was added to the machine": ("<memory unit='KiB'>", "<memory unit='KiB'>1", True),
    "huge pages were reserved": ("<pages unit='KiB' size='2048'>0<", "<pages unit='KiB' size='2048'>64<", True),
    "another processor": ("<feature name='sse4.2'/>", "", False),
    "another model": ("<model>Nehalem</model>", "<model>Broadwell</model>", False),
}
CAPABILITIES = """<capabilities><host>
<cpu><arch>x86_64</arch><model>Nehalem</model><feature name='ss'/><feature name='sse4.2'/></cpu>
<topology><cells><cell>
<memory unit='KiB'>5466328</memory><pages unit='KiB' size='2048'>0</pages></cell></cells></topology>
</host></capabilities>"""


@pytest.mark.parametrize("what", CHANGES)
def test_kvm_is_tried_again_on_another_processor_only(what: str) -> None:
    from xml.etree.ElementTree import fromstring

    from slipway.drivers.compute.libvirt.acceleration import _processor

    old, new, same = CHANGES[what]
    changed = CAPABILITIES.replace(old, new)
    assert changed != CAPABILITIES
    assert (_processor(fromstring(changed)) == _processor(fromstring(CAPABILITIES))) is same


def test_the_guest_that_proves_kvm_does_boot(host: Host, tmp_path: Path) -> None:
    """Under TCG, where it must; else nobody would ever get KVM."""
    import libvirt

    from slipway.drivers.compute.libvirt.acceleration import boots

    connection = libvirt.open(host.uri)
    try:
        assert boots(connection, str(tmp_path / "guest"), Acceleration.TCG, within=PATIENCE)
        assert not boots(connection, str(tmp_path / "guest"), Acceleration.TCG, within=0.0)
    finally:
        connection.close()
    assert list(tmp_path.iterdir()) == []


def test_a_libvirt_that_one_process_has_is_not_watched(tmp_path: Path) -> None:
    """It would be that one's as long as it watches."""
    embedded = replace(HOST, uri=f"qemu:///embed?root={tmp_path}")
    with pytest.raises(ComputeError, match=r"node-1: qemu:///embed.* only a libvirt with a daemon is watched"):
        driver(embedded, tmp_path).watch(print)


def test_it_measures_its_machine(host: Host, tmp_path: Path) -> None:
    seen = driver(host, tmp_path).measure()
    assert seen.vcpus == os.cpu_count()
    assert 1 << 28 < seen.memory <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert sum(len(parse_cpus(cell)) for cell in seen.numa) == seen.vcpus
    assert re.fullmatch(r"QEMU \d+\.\d+\.\d+, libvirt \d+\.\d+\.\d+", seen.version)
