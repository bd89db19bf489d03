"""Disks as files: qcow2 overlays on cached images, and the seed that cloud-init reads; needs `qemu-img`."""
