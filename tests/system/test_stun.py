"""What a STUN client behind the gateway finds out about its NAT (RFC 5780): mapping and filtering for each option of persistent-nat, by coturn's
server at two addresses and its discovery program. Skipped where coturn is not installed. With one worker and with two."""
import re
import shutil
import subprocess

import pytest
from kit import WEB, config_of, drops, own_lab, show, verify_ledger, wait_for

OTHER = "192.0.2.81"
STUN = ("application-set office {", """application stun {
        protocol udp;
        destination-port 3478-3479;
    }
    application-set office {""")
PERMIT = ("application [ http https dns ping", "application [ stun http https dns ping")
HAIRPIN = ("    global {\n", """    from trust to trust {
        rule among { match { source hq-lan; destination hq-lan; application any; } then { permit; } }
    }
    global {
""")
FILTERING = {"address-and-port-dependent": "Address and Port Dependent Filtering",
             "address-dependent": "Address Dependent Filtering",
             "endpoint-independent": "Endpoint Independent Filtering"}

pytestmark = pytest.mark.skipif(not (shutil.which("turnserver") and shutil.which("turnutils_natdiscovery")), reason="coturn is not installed")


@pytest.fixture(scope="module", name="lab", params=(1, 2), ids=lambda n: f"{n} workers")
def stun_lab(request):
    lab = own_lab("pst")
    lab.workers = request.param
    lab.up("on")
    try:
        lab["web"].run(f"ip addr add {OTHER}/24 dev eth0")
        server = lab["web"].daemon(
            f"turnserver -n -S -L {WEB} -L {OTHER} -p 3478 --alt-listening-port 3479 --no-tls --no-dtls --no-cli "
            f"--db {lab.state}/turn.db --pidfile {lab.state}/turn.pid --log-file stdout", lab.state / "turnserver.log")
        wait_for(lambda: lab["web"].run("ss -Huln sport = :3479").stdout.count("3479") >= 2, 10, "the STUN server")
        yield lab
        server.terminate()
        server.wait(10)
        verify_ledger(lab, "hq")
    finally:
        lab.down()


def discover(lab, options, port):
    """The program ends by itself, with a status that says nothing."""
    client = lab["host-a"].popen(f"turnutils_natdiscovery {options} -L 10.1.0.2 -l {port} {WEB}", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        return client.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        client.kill()
        return client.communicate()[0]


@pytest.mark.parametrize("filtering", FILTERING)
def test_mapping_and_filtering(lab, filtering):
    persistent = ("source-nat interface;", f"source-nat interface;\n                persistent-nat {filtering};")
    lab.commit("hq", config_of("hq", STUN, PERMIT, HAIRPIN, persistent), filtering)
    port = 20000 + 10 * list(FILTERING).index(filtering)
    mapping = discover(lab, "-m", port)
    assert "Endpoint Independent Mapping" in mapping, f"{mapping}{drops(lab, 'hq')}"
    found = discover(lab, "-f", port + 1)
    assert re.search(rf"\b(NAT with )?{FILTERING[filtering]}", found), f"{found}{drops(lab, 'hq')}"
    inward = [row for row in show(lab, "hq", "sessions") if row["src"].startswith("192.0.2.8")]
    assert bool(inward) == (filtering != "address-and-port-dependent"), inward
    assert {row["rule"] for row in inward} <= {"to-internet"}
