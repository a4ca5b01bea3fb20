"""Which tests are rows of the table that ./check prints of other implementations (tools/interop_matrix.py), and whose column they are in.

The row is said by `@pytest.mark.row("key exchange {group}")`, with the test's parameters for the words in braces, or else by the test's name;
the column by PEER of the test's file: the name of an implementation and of its package, and the release where it comes of another one.
"""
import subprocess

import pytest


def configure(config):
    config.addinivalue_line("markers", "row(words): the row of the table of other implementations, with parameters in braces")


def collected(items):
    """Before any test is skipped: the table says that too. Each conftest.py sees all tests, so this happens twice."""
    for item in items:
        peer = getattr(item.module, "PEER", None)
        if peer and not item.user_properties:
            mark = item.get_closest_marker("row")
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            words = mark.args[0].format(**parameters) if mark else item.originalname.removeprefix("test_").replace("_", " ")
            item.user_properties += [("interop-row", words), ("interop-peer", " of ".join(peer[::2]))]


@pytest.fixture(autouse=True)
def in_the_matrix(request, record_property):
    peer = getattr(request.module, "PEER", None)
    if peer:
        record_property("interop-version", version_of(request, peer[1]))


def version_of(request, package):
    if "root" in request.fixturenames:
        return request.getfixturevalue("root").version(package)
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], check=False, capture_output=True, text=True).stdout
