"""What drivers and tasks guarantee, as pytest classes: subclass one, and give it a fixture that makes yours.

`compute.ComputeContract`, `network.NetworkContract`, `wiring.WiringContract`, `disk.DiskContract`, `task.TaskContract`.
Slipway's own drivers and tasks are tested by the very same ones. docs/writing-tasks-and-drivers.md has an example of
each kind.

Each class says which fixtures it asks for. Those of them that it can do without it skips, and says so.
"""
