"""What `validate` and `run` know of the machine that they are typed on: said with its place, and nothing is done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from slipway import load
from slipway.cli.main import main
from slipway.errors import InvalidFile

SIZE = "vcpus: 8, memory: 8GiB, disk: 100GiB"
REAL = f'{SIZE}, compute: libvirt, disks: qcow2, uri: "test:///default"'


def run_file(hosts: str, images: str = "", instance: str = "", more: str = "") -> str:
    return f"""\
schema: 1
hosts: {{{hosts}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{{images or "path: ./there.qcow2"}}}}}
instances: {{web: {{flavor: small, image: tiny, networks: []{instance}}}}}
{more}"""


REMOTE = REAL.replace("test:///default", "qemu+ssh://elsewhere/system")

CASES = {
    "a driver by another name": (
        run_file(f"a: {{{SIZE}, compute: kvm}}"),
        'no compute driver "kvm" is installed, did you mean "libvirt"? (there are: libvirt, sim)',
        "kvm",
    ),
    "a driver that is misspelt": (
        run_file(f"a: {{{SIZE}, wiring: linuxbrige}}"),
        'no wiring driver "linuxbrige" is installed, did you mean "linuxbridge"? (there are: ',
        "linuxbrige",
    ),
    "a driver of disks": (run_file(f"a: {{{SIZE}, disks: ceph}}"), 'no disk driver "ceph" is installed (there', "ceph"),
    "a network driver": (
        run_file(f"a: {{{SIZE}}}", more="settings: {network: neutrn}"),
        'no network driver "neutrn" is installed, did you mean "neutron"?',
        "neutrn",
    ),
    "a zone": (
        run_file(f"a: {{{SIZE}, zone: rack-a}}, b: {{{SIZE}}}", instance=", zone: rack-b"),
        'unknown zone "rack-b", did you mean "rack-a"?',
        "rack-b",
    ),
    "another zone than the host's": (
        run_file(f"a: {{{SIZE}, zone: rack-a}}, b: {{{SIZE}}}", instance=", host: b, zone: rack-a"),
        'host "b" is in zone "nova", not "rack-a"',
        "rack-a",
    ),
    "an image that is not there": (
        run_file(f"a: {{{REAL}}}", "path: ./absent.qcow2"),
        'path "./absent.qcow2" is not there',
        "./absent",
    ),
    "an image that is a directory": (
        run_file(f"a: {{{REAL}}}", "path: ./dir"),
        'path "./dir" is not a file',
        "./dir",
    ),
    "an image by a file's URL": (
        run_file(f"a: {{{REAL}}}", "path: file:///no/such%20file"),
        'path "file:///no/such%20file" is not there',
        "file:///",
    ),
    "an image for some host": (
        run_file(f"a: {{{SIZE}}}, b: {{{REAL}}}", "path: ./absent.qcow2"),
        'path "./absent.qcow2" is not there',
        "./absent",
    ),
    "an image by http without a digest": (
        run_file(f"a: {{{REAL}}}", "path: http://host/tiny.qcow2"),
        "an image by http needs its sha256 on hosts with disks: qcow2",
        "http:",
    ),
    "a kernel": (run_file(f"a: {{{REAL}}}", "kernel: ./vmlinux"), 'kernel "./vmlinux" is not there', "./vmlinux"),
    "an initrd": (
        run_file(f"a: {{{REAL}}}", "kernel: ./there.qcow2, initrd: ./initrd"),
        'initrd "./initrd" is not there',
        "./initrd",
    ),
    "a volume": (
        run_file(f"a: {{{REAL}}}", instance=", disks: [1GiB, {volume: ./data.raw, format: raw}]"),
        'volume "./data.raw" is not there',
        "./data.raw",
    ),
    "a broken URL that would be opened": (
        run_file(f"a: {{{REAL}}}", 'path: "http://[::1/x"'),
        "path is no URL that can be used: Invalid IPv6 URL",
        '"http',
    ),
    "a broken URL, wherever it would be opened": (
        run_file(f"a: {{{SIZE}}}", 'path: "http://[::1/x"'),
        "path is no URL that can be used: Invalid IPv6 URL",
        '"http',
    ),
    "a URL of another kind": (
        run_file(f"a: {{{SIZE}}}", "path: ftp://host/x"),
        "path must be a path or a URL of file:, http:, https:, not of ftp:",
        "ftp:",
    ),
    "a URI": (
        run_file(f'a: {{{SIZE}, compute: libvirt, uri: "qemu://[x/system"}}'),
        "uri is no URL that can be used: ",
        '"qemu:',
    ),
}
GOOD = {
    "the simulator opens no files": run_file(f"a: {{{SIZE}}}", "path: ./absent.qcow2"),
    "the hosts that open it are not chosen": run_file(
        f"a: {{{SIZE}}}, b: {{{REAL}}}", "path: ./absent.qcow2", ", host: a"
    ),
    "a digest may be in the cache": run_file(f"a: {{{REAL}}}", f"path: ./absent.qcow2, sha256: {'a' * 64}"),
    "what is there": run_file(f"a: {{{REAL}}}"),
    "kernels of another machine": run_file(f"a: {{{REMOTE}}}", "kernel: ./absent"),
    "zones of hosts on record": run_file("", instance=", zone: rack-b"),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "there.qcow2").touch()
    (tmp_path / "dir").mkdir()
    return tmp_path / "f.yaml"


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize("case", CASES)
def test_it_is_said_with_its_place_and_nothing_is_done(here: Path, case: str, command: str) -> None:
    text, expected, word = CASES[case]
    here.write_text(text)
    before = text[: text.rindex(word)].split("\n")
    place = f"{here}:{len(before)}:{len(before[-1]) + 1}"
    done = CliRunner().invoke(main, [command, str(here), "--state", str(here.parent / "state")])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{place}: {expected}"), done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith(" ")] == done.stderr.splitlines()[:1]
    assert not (here.parent / "state").exists()


@pytest.mark.parametrize("case", GOOD)
def test_what_may_be_had_is_valid(here: Path, case: str) -> None:
    here.write_text(GOOD[case])
    done = CliRunner().invoke(main, ["validate", str(here)])
    assert done.exit_code == 0, done.stderr


def test_a_program_with_drivers_of_its_own_is_not_told_of_this_machine(here: Path) -> None:
    here.write_text(run_file(f"a: {{{SIZE}, compute: mine, disks: mine}}"))
    assert load(str(here)).hosts[0].compute == "mine"
    with pytest.raises(InvalidFile, match='no compute driver "mine"'):
        load(here, here=True)


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed")
def test_a_type_of_machine_that_qemu_has_not(here: Path) -> None:
    here.write_text(run_file(f"a: {{{REAL}}}", "path: ./there.qcow2, machine: pc-q53-7.2"))
    with pytest.raises(InvalidFile, match=r'4:47: machine "pc-q53-7.2" is no type of machine of this QEMU'):
        load(here, here=True)
    for machine in ("q35", "pc", "microvm"):
        here.write_text(run_file(f"a: {{{REAL}}}", f"path: ./there.qcow2, machine: {machine}"))
        load(here, here=True)


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        (None, '6:11: unknown workflow "./wf.yaml": neither a known name nor a file'),
        ("schema: 1\nname: wf\nsteps:\n  - {id: a, uses: nonsense}\n", 'wf.yaml:4:19: unknown task "nonsense"'),
        ("schema: 1\n", "wf.yaml:1:1: the file needs name, steps"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_workflow(here: Path, workflow: str | None, expected: str, command: str) -> None:
    here.write_text(run_file(f"a: {{{SIZE}}}", more="workflow: ./wf.yaml\n"))
    if workflow is not None:
        (here.parent / "wf.yaml").write_text(workflow)
    state = here.parent / "state"
    done = CliRunner().invoke(main, [command, str(here), "--state", str(state)])
    assert done.exit_code == 2
    assert expected in done.stderr
    listed = CliRunner().invoke(main, ["list", "--state", str(state), "--output", "json"])
    assert listed.exit_code == 1 or listed.stdout == "[]\n"
