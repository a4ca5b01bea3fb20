import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import kit  # noqa: E402  (and with it the path to the lab's own modules)
from sites import Sites  # noqa: E402
import matrix  # noqa: E402
from matrix import in_the_matrix  # noqa: E402,F401


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by ./check --quick")
    config.addinivalue_line("markers", "long: by ./check --long alone")
    matrix.configure(config)


def pytest_collection_modifyitems(items):
    matrix.collected(items)


@pytest.fixture
def sites(request):
    made = []

    def make(**kwargs):
        made.append(Sites(**kwargs))
        return made[-1]

    yield make
    for each in made:
        try:
            kit.verify_ledger(each.lab, "hq")
        finally:
            each.down()
