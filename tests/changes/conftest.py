"""The site of the repairs: simulated hosts with wiring, a network service that is elsewhere."""

from tests.repair.conftest import make_site as make_site
