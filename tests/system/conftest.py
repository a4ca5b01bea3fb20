import os

import pytest

import matrix
from kit import GATEWAYS, own_lab, verify_ledger
from matrix import in_the_matrix  # noqa: F401


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by ./check --quick")
    config.addinivalue_line("markers", "long: by ./check --long alone")
    matrix.configure(config)


def pytest_collection_modifyitems(items):
    matrix.collected(items)


@pytest.fixture(scope="module")
def lab():
    """A lab two-sites for each test file, with its tunnel up. Its ledgers must verify at the end."""
    assert os.geteuid() == 0, "the lab needs root"
    two_sites = own_lab("pgt")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()
