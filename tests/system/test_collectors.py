"""Collectors of session records: rsyslog of Debian over TLS with an authority of ours, over TCP and UDP, nfcapd for IPFIX, the native protocol of journald; one that is not there costs nothing but what its
queue does not hold."""
import json
import time

import pytest
from kit import WEB, config_of, own_lab, show, verify_ledger, wait_for
from test_courier import Authority
from test_session_log import LOGGED, of

TLS, TCP, UDP, IPFIX = 6514, 601, 514, 4739
CONFIG = """
global(workDirectory="{dir}" defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{dir}/ca.pem"
       defaultNetstreamDriverCertFile="{dir}/good.pem" defaultNetstreamDriverKeyFile="{dir}/good.key" maxMessageSize="8k")
template(name="raw" type="string" string="%inputname% %hostname% %app-name% %msgid% %syslogseverity% %msg%\\n")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
module(load="imptcp")
module(load="imudp")
input(type="imtcp" port="{tls}")
input(type="imptcp" port="{tcp}")
input(type="imudp" port="{udp}")
action(type="omfile" file="{dir}/received" template="raw" asyncWriting="off")
"""
STREAMS = """
log {{
    stream siem {{
        host {host};
        server-name siem.example;
        authorities corp;
    }}
    stream plain {{
        host {host};
        transport tcp;
    }}
    stream lossy {{
        host {host};
        transport udp;
    }}
    stream flows {{
        host {host};
        transport udp;
        format ipfix;
    }}
    stream local {{
        transport journal;
    }}
    stream stranger {{
        host {host};
        server-name siem.example;
        authorities other;
    }}
}}
"""


class Collector:
    def __init__(self, lab):
        self.node, self.dir = lab["web"], lab["web"].state / "rsyslog"
        self.dir.mkdir(exist_ok=True)
        authority = Authority("corp")
        authority.server(self.dir, "good", names=("siem.example",))
        (self.dir / "ca.pem").write_bytes(authority.pem())
        trust = lab["hq"].state / "etc" / "trust"
        trust.mkdir(exist_ok=True)
        (trust / "corp.pem").write_bytes(authority.pem())
        (trust / "other.pem").write_bytes(Authority("other").pem())
        (self.dir / "rsyslog.conf").write_text(CONFIG.format(dir=self.dir, tls=TLS, tcp=TCP, udp=UDP))
        self.process = None

    def start(self):
        self.process = self.node.popen(["rsyslogd", "-n", "-iNONE", "-f", str(self.dir / "rsyslog.conf")])

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def received(self, name):
        """[(hostname, app, msgid, severity, record)] that came by this input."""
        file = self.dir / "received"
        lines = file.read_text().splitlines() if file.exists() else []
        found = [line.split(" ", 5) for line in lines]
        return [(*f[1:5], json.loads(f[5])) for f in found if f[0] == name]


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgc")
    two_sites.up("on")
    try:
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


READER = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
while True:
    with open(sys.argv[1], "ab") as out:
        out.write(s.recv(65536) + b"\\n")
"""


@pytest.fixture(scope="module")
def journal(lab):
    """A reader in journald's place, by its native protocol, in the gateway's own /run/systemd. Returns the entries so far."""
    file = lab["hq"].state / "journal"
    lab["hq"].run("mkdir -p /run/systemd")
    lab["hq"].run("mount -t tmpfs tmpfs /run/systemd")
    lab["hq"].run("mkdir -p /run/systemd/journal")
    reader = lab["hq"].popen(["/usr/bin/python3", "-c", READER, str(file)])
    wait_for(lambda: lab["hq"].run("test -S /run/systemd/journal/socket", check=False).returncode == 0, 10, "the reader listens")
    yield lambda: [dict(line.split("=", 1) for line in entry.splitlines()) for entry in file.read_text().split("\n\n") if entry] if file.exists() else []
    reader.kill()
    reader.wait()


@pytest.fixture(scope="module")
def collector(lab, journal):
    made = Collector(lab)
    made.start()
    lab.commit("hq", config_of("hq") + STREAMS.format(host=WEB), "collectors")
    yield made
    made.stop()


def objects(text):
    """JSON objects one after the other, with or without an array around them."""
    found, decoder = [], json.JSONDecoder()
    while (at := text.find("{")) >= 0:
        one, end = decoder.raw_decode(text[at:])
        found.append(one)
        text = text[at + end:]
    return found


def refused(lab):
    lab["host-a"].run(f"timeout 2 bash -c 'exec 3<>/dev/tcp/{WEB}/23'", check=False)


def row(lab, name):
    return next(r for r in show(lab, "hq", "export") if r["name"] == name)


def test_records_arrive(lab, collector):
    for name in ("siem", "plain"):
        wait_for(lambda name=name: row(lab, name)["state"] == "connected", 20, f"{name} is connected")
    refused(lab)
    for name in ("imtcp", "imptcp", "imudp"):
        wait_for(lambda name=name: collector.received(name), 10, f"a record by {name}")
        host, app, msgid, severity, record = collector.received(name)[0]
        assert (host, app, msgid, severity) == ("hq", "plaingate", "session-deny", "4")
        assert (record["rule"], record["dst"], record["dst_port"], record["reason"]) == ("no-telnet", WEB, 23, "policy-reject")


def test_a_stranger_gets_nothing(lab, collector):
    """The certificate is of an authority that this stream does not name."""
    stranger = row(lab, "stranger")
    assert int(stranger["records"]) == 0 and stranger["state"] != "connected" and "not trusted" in stranger["reason"]


def test_what_waits_arrives(lab, collector):
    before = len(collector.received("imtcp"))
    collector.stop()
    wait_for(lambda: row(lab, "siem")["state"] != "connected", 10, "the end is seen")
    for _ in range(3):
        refused(lab)
    wait_for(lambda: int(row(lab, "siem")["queued"]) == 3, 10, "three records wait")
    collector.start()
    wait_for(lambda: len(collector.received("imtcp")) >= before + 3, 30, "they arrive")
    assert len(collector.received("imtcp")) == before + 3
    assert int(row(lab, "siem")["lost"]) == 0


def test_flows_arrive(lab, collector):
    """By nfcapd, which knows templates and NAT events; read by nfdump."""
    flows = collector.dir / "flows"
    flows.mkdir()
    nfcapd = lab["web"].popen(["nfcapd", "-w", str(flows), "-p", str(IPFIX), "-t", "3600"])
    wait_for(lambda: str(IPFIX) in lab["web"].run("ss -Hlun").stdout, 10, "nfcapd listens")
    lab.commit("hq", config_of("hq", LOGGED) + STREAMS.format(host=WEB), "flows begin again")
    refused(lab)
    lab["host-a"].run(f"ping -c 1 -W 2 {WEB}")
    lab["hq"].run("plaingate clear sessions")
    wait_for(lambda: of(lab, "session-close"), 5, "the session's end")
    wait_for(lambda: int(row(lab, "flows")["queued"]) == 0, 20, "all are sent")  # it asks every four seconds
    time.sleep(0.5)  # what is in nfcapd's socket
    nfcapd.terminate()
    nfcapd.wait(10)
    (file,) = [f for f in flows.iterdir() if f.name.startswith("nfcapd") and f.stat().st_size > 300]
    found = objects(lab["web"].run(["nfdump", "-q", "-r", str(file), "-o", "json"]).stdout)
    deny = next(f for f in found if f.get("dst_port") == 23)
    end = next(f for f in found if str(f.get("nat_event_id")) == "5")  # nfdump 1.7.1 writes a string
    assert (deny["src4_addr"], deny["dst4_addr"], deny["proto"], deny["in_packets"]) == ("10.1.0.2", WEB, 6, 1)
    assert (end["src4_addr"], end["dst4_addr"], end["proto"], end["in_bytes"], end["src4_xlt_ip"]) == ("10.1.0.2", WEB, 1, 84, "198.51.100.2")


def test_the_journal_has_the_fields(lab, collector, journal):
    wait_for(lambda: row(lab, "local")["state"] == "connected", 20, "the journal is connected")
    sent = len(journal())
    refused(lab)
    wait_for(lambda: len(journal()) > sent, 10, "an entry")
    entry = journal()[-1]
    assert (entry["PLAINGATE_RULE"], entry["PLAINGATE_DST"], entry["PLAINGATE_DST_PORT"]) == ("no-telnet", WEB, "23")
    assert (entry["PRIORITY"], entry["PLAINGATE_REASON"], entry["SYSLOG_IDENTIFIER"]) == ("4", "policy-reject", "plaingate")
