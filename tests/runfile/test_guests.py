"""What a run file gives to guests: keys as in authorized_keys, files with owners, time zone, locale, networks."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from slipway import errors
from slipway.checks import mistakes_of
from slipway.model.request import InstanceRequest, PublicKey
from slipway.runfile import loads

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGI"
FILE = """\
schema: 1
hosts: {{a: {{vcpus: 1, memory: 1GiB, disk: 9GiB}}}}
flavors: {{f: {{vcpus: 1, memory: 1GiB, disk: 1GiB}}}}
images: {{i: {{kernel: ./k}}}}
{more}
instances:
  web:
    flavor: f
    image: i
    networks: []
{says}
"""


def request(says: str, more: str = "", place: Path = Path("/files")) -> InstanceRequest:
    text = FILE.format(says=indent(says, "    "), more=more)
    return loads(text, str(place / "demo.yaml")).instances[0].request


def mistakes(says: str, more: str = "") -> tuple[str, ...]:
    with pytest.raises(errors.InvalidFile) as caught:
        request(says, more)
    return caught.value.problems


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        f"{KEY} alice@here",
        f"no-pty {KEY}",
        f'from="10.0.0.0/8,fe80::/10",no-agent-forwarding,command="echo \\"a b\\"" {KEY} x',
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
        f'environment="A=1, 2" {KEY}',
    ],
)
def test_a_key_is_a_line_of_authorized_keys(key: str) -> None:
    assert mistakes_of(key, PublicKey) == []


@pytest.mark.parametrize(
    "key", ["", "ssh-ed25519", f"no pty {KEY}", f'from="10.0.0.0/8 {KEY}', f"{KEY}\n{KEY}", f", {KEY}", "-----BEGIN"]
)
def test_what_is_no_key(key: str) -> None:
    assert mistakes_of(key, PublicKey)


def test_a_keypair_may_be_a_file_of_several_keys(tmp_path: Path) -> None:
    (tmp_path / "authorized_keys").write_text(f"# mine\n\n{KEY} a\n  no-pty {KEY} b  \r\n{KEY} a\n")
    more = f"keypairs: {{team: {{file: ./authorized_keys}}, me: {KEY} a, other: {KEY} c}}"
    made = request("keypairs: [team, me, other]", more, tmp_path)
    assert made.ssh_keys == (f"{KEY} a", f"no-pty {KEY} b", f"{KEY} c")
    (tmp_path / "authorized_keys").write_text(f"{KEY} a\nnonsense\n")
    with pytest.raises(errors.InvalidFile, match='"team" is no public key'):
        request("keypairs: [team]", "keypairs: {team: {file: ./authorized_keys}}", tmp_path)
    (tmp_path / "authorized_keys").write_text("# none\n")
    with pytest.raises(errors.InvalidFile, match='"team" is no public key'):
        request("keypairs: [team]", "keypairs: {team: {file: ./authorized_keys}}", tmp_path)


def test_what_a_guest_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("version: 2\nethernets:\n  eth0: {dhcp4: true}\n")
    made = request(
        "timezone: America/Argentina/Ushuaia\nlocale: sr_RS.UTF-8@latin\nnetwork_config: {file: ./net.yaml}\n"
        'files: {/a: {content: x, mode: "1777", owner: "www-data:adm"}}',
        place=tmp_path,
    )
    assert (made.timezone, made.locale) == ("America/Argentina/Ushuaia", "sr_RS.UTF-8@latin")
    assert made.network_config == "version: 2\nethernets:\n  eth0: {dhcp4: true}\n"
    assert (made.files[0].owner, made.files[0].mode) == ("www-data:adm", "1777")
    assert request("config_drive: true").config_drive


def test_what_a_guest_has_of_its_host() -> None:
    made = request("cdrom: ./x.iso\nshares: {src: ../src, data: /srv}")
    assert made.cdrom == "/files/x.iso"
    assert [(share.tag, share.path) for share in made.shares] == [("src", "/src"), ("data", "/srv")]
    installer = "images: {i: {boot: cdrom, firmware: uefi-secure, tpm: true}}"
    image = loads(
        FILE.format(says="    cdrom: /x.iso", more="").replace("images: {i: {kernel: ./k}}", installer), "a.yaml"
    )
    assert image.instances[0].request.image.tpm


def test_what_boots_from_a_cdrom_needs_one() -> None:
    text = FILE.format(says="", more="").replace("kernel: ./k", "boot: cdrom")
    with pytest.raises(errors.InvalidFile, match='image "i" boots from a CD-ROM: it needs cdrom'):
        loads(text, "demo.yaml")
    with pytest.raises(errors.InvalidFile, match="boot: cdrom excludes path and kernel"):
        loads(text.replace("boot: cdrom", "boot: cdrom, path: ./p"), "demo.yaml")
    with pytest.raises(errors.InvalidFile, match="firmware: uefi-secure needs machine: q35, not pc"):
        loads(text.replace("boot: cdrom", "kernel: ./k, firmware: uefi-secure, machine: pc"), "demo.yaml")


@pytest.mark.parametrize(
    ("says", "what"),
    [
        ("cdrom: 1", "cdrom must be"),
        ("shares: {'a b': /srv}", "is not a tag of at most 36 letters"),
        ("shares: {a: 1}", "a must be"),
        ("timezone: ../etc/passwd", "timezone must be a time zone, such as Europe/Berlin"),
        ("timezone: Europe/", "timezone must be a time zone"),
        ("locale: de DE", "locale must be a locale, such as de_DE.UTF-8"),
        ('files: {/a: {content: x, owner: "a b"}}', "owner must be a user, or user:group"),
        ('files: {/a: {content: x, mode: "999"}}', "mode must be a mode in octal"),
        ("config_drive: yes", "config_drive must be"),
        ("network_config: 'nonsense'", "network_config needs version: 1 or version: 2"),
        ("network_config: 'version: 3'", "network_config needs version: 1 or version: 2"),
        ("network_config: 'version: 2'", "network_config of version 2 says nothing: it needs ethernets"),
        ("network_config: '{network: {version: 2, ethernets: {}}}'", "network_config begins with network:"),
        ("network_config: 'version: [2'", "network_config cannot be read: network_config:2:1: not valid YAML"),
        (
            "network_config: 'version: 2\n\n      ethernets: {a: 1}'\nconfig_drive: true",
            "a config_drive has no place for it",
        ),
        ("network_config: {file: ./none}", 'network_config file "./none" cannot be read'),
    ],
)
def test_mistakes(says: str, what: str) -> None:
    (problem,) = mistakes(says)
    assert what in problem


def test_the_catalogues_names_need_no_entry() -> None:
    text = FILE.format(says="", more="").replace("image: i\n", "image: debian\n")
    assert loads(text, "demo.yaml").instances[0].request.image.path == "image:debian"
    with pytest.raises(errors.InvalidFile, match='unknown image "debain", did you mean "debian"'):
        loads(text.replace("image: debian", "image: debain"), "demo.yaml")
