"""User data that cloud-init would pass over are said to be wrong; each outcome was seen with cloud-init 22.4 itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import InvalidFile, SlipwayError
from slipway.model.request import Flavor, Image, InstanceRequest
from slipway.runfile import load

FILE = """
schema: 1
hosts: {h: {vcpus: 8, memory: 8GiB, disk: 100GiB}}
flavors: {f: {vcpus: 1, memory: 512MiB, disk: 1GiB}}
images: {i: {path: ./i.qcow2, format: qcow2}}
instances: {web: {flavor: f, image: i, networks: [], user_data: {file: ./data}}}
"""
MARK = "\ufeff"

TAKEN = [
    "",
    "#cloud-config\npackages: [x]\n",
    "\n\n  #cloud-config\n",
    "#Cloud-Config\n",
    "#cloud-config\r\nruncmd: [ls]\r\n",
    "#cloud-config-archive\n- '#!/bin/sh'\n",
    "#!/bin/sh\necho\n",
    "#!/bin/sh\r\necho\r\n",
    "\n#cloud-boothook\n",
    "\n#part-handler\n",
    "#include\nhttps://example.org/x\n",
    "## template: jinja\n#cloud-config\n",
    'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b--\n',
    "hello",
    "password: secret",
    '{"a": 1}',
    MARK + "for another agent",
    "\nfor another agent",
]
PASSED_OVER = [
    (MARK + "#cloud-config\n", "byte-order mark"),
    (MARK + "#!/bin/sh\n", "byte-order mark"),
    (MARK + "\n#cloud-config\n", "byte-order mark"),
    ("\n" + MARK + "#!/bin/sh\n", "byte-order mark"),
    (MARK + "Content-Type: text/x-shellscript\nMIME-Version: 1.0\n\n", "byte-order mark"),
    ("\n#!/bin/sh\n", "must begin with #! itself"),
    (" #!/bin/sh\n", "must begin with #! itself"),
    ("\r\n\r\n#!/bin/sh\n", "must begin with #! itself"),
    ("\n## template: jinja\n#cloud-config\n", "must begin with ## template: itself"),
    ("\nContent-Type: text/x-shellscript\nMIME-Version: 1.0\n\n", "must begin with content-type: itself"),
    ("# cloud-config\n", "which cloud-init does not know; it must be #cloud-config"),
    ("#cloud_config\n", "which cloud-init does not know; it must be #cloud-config"),
    ("#cloud-init\n", "which cloud-init does not know; it must be #cloud-config"),
]


def request(text: str) -> InstanceRequest:
    flavor, image = Flavor("f", 1, 1 << 29, 1 << 30), Image("i", path="/i", format="qcow2")
    return InstanceRequest("web", flavor=flavor, image=image, networks=(), user_data=text)


@pytest.mark.parametrize("text", TAKEN)
def test_what_cloud_init_or_somebody_else_takes(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(FILE)
    (tmp_path / "data").write_bytes(text.encode())
    (entry,) = load(file).instances
    assert entry.request.user_data == text


@pytest.mark.parametrize(("text", "said"), PASSED_OVER)
def test_what_cloud_init_passes_over(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(FILE)
    (tmp_path / "data").write_bytes(text.encode())
    with pytest.raises(InvalidFile) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{file}:6:")
    assert said in problem
    with Orchestrator(tmp_path / "state") as slipway:
        with pytest.raises(SlipwayError, match=re.escape(said)):
            slipway.create(request(text))
        assert slipway.list() == []
