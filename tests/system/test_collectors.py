"""Collectors of session records: rsyslog and syslog-ng of Debian over TLS with an authority of ours, over TCP and UDP; nfcapd for IPFIX over UDP, Debian's python3-ipfix over TCP and TLS; systemd's journald. One
that is not there costs nothing but what its queue does not hold."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from kit import LabError, ROOT, WEB, config_of, own_lab, show, verify_ledger, wait_for
from test_courier import Authority
from test_session_log import LOGGED, of

TLS, TCP, UDP, IPFIX, IPFIX_TLS = 6514, 601, 514, 4739, 4740
JOURNALD = "/lib/systemd/systemd-journald"
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
SYSLOG_NG = """
@version: 3.35
options {{ keep-hostname(yes); use-dns(no); stats-freq(0); }};
source imtcp {{ syslog(ip("0.0.0.0") port({tls}) transport("tls") tls(key-file("{dir}/good.key") cert-file("{dir}/good.pem") peer-verify(optional-untrusted))); }};
source imptcp {{ syslog(ip("0.0.0.0") port({tcp}) transport("tcp")); }};
source imudp {{ syslog(ip("0.0.0.0") port({udp}) transport("udp")); }};
destination received {{ file("{dir}/received" template("${{SOURCE}} ${{HOST}} ${{PROGRAM}} ${{MSGID}} ${{LEVEL_NUM}} ${{MSG}}\n")); }};
log {{ source(imtcp); source(imptcp); source(imudp); destination(received); }};
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
    stream flows-tcp {{
        host {host};
        transport tcp;
        format ipfix;
    }}
    stream flows-tls {{
        host {host};
        server-name siem.example;
        authorities corp;
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
    """rsyslog."""
    name = "rsyslog"

    def __init__(self, lab):
        self.node, self.dir = lab["web"], lab["web"].state / self.name
        self.dir.mkdir(exist_ok=True)
        self.process = None

    def trust(self, etc):
        """An authority of its own, which the gateway knows as `corp`, and another one as `other`."""
        authority = Authority("corp")
        authority.server(self.dir, "good", names=("siem.example",))
        (self.dir / "ca.pem").write_bytes(authority.pem())
        (etc / "trust").mkdir(exist_ok=True)
        (etc / "trust/corp.pem").write_bytes(authority.pem())
        (etc / "trust/other.pem").write_bytes(Authority("other").pem())

    def written(self, config):
        file = self.dir / "config"
        file.write_text(config.format(dir=self.dir, tls=TLS, tcp=TCP, udp=UDP))
        return str(file)

    def start(self):
        self.process = self.node.popen(["env", "RES_OPTIONS=timeout:1 attempts:1", "rsyslogd", "-n", "-iNONE", "-f", self.written(CONFIG)])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def received(self, name):
        """[(hostname, app, msgid, severity, record)] that came by this input."""
        file = self.dir / "received"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        found = [line.split(" ", 5) for line in lines if line.endswith("\n")]
        return [(*f[1:5], json.loads(f[5])) for f in found if f[0] == name]


class SyslogNg(Collector):
    """Unpacked beside rsyslog, with which its package conflicts."""
    name = "syslog-ng"

    def __init__(self, lab, rsyslog):
        super().__init__(lab)
        unpacked = subprocess.run([ROOT / "tools/unpack-packages", "unpacked"], capture_output=True, text=True, timeout=120, check=False)
        if unpacked.returncode:
            pytest.skip(unpacked.stderr[-300:])
        self.root = unpacked.stdout.strip()
        for file in ("good.pem", "good.key"):
            shutil.copy(rsyslog.dir / file, self.dir)

    def start(self):
        script = ('export LD_LIBRARY_PATH=$(echo "$1"/usr/lib/*-linux-gnu | tr " " :):"$1"/usr/lib/syslog-ng; at=$2 config=$3; cd "$1"; '
                  'exec usr/sbin/syslog-ng -F --no-caps --module-path "$(echo "$1"/usr/lib/syslog-ng/[0-9]*)" -f "$config" -R "$at/persist" -p "$at/pid" -c "$at/control" >"$at/said" 2>&1')
        self.process = self.node.popen(["sh", "-c", script, "sh", self.root, str(self.dir), self.written(SYSLOG_NG)])


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgc")
    two_sites.up("on")
    try:
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


class Journald:
    """systemd's, in the gateway's own /run/systemd."""
    CONFIG = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=\nForwardToSyslog=no\nForwardToWall=no\nRateLimitIntervalSec=0\n"

    def __init__(self, lab):
        self.node, self.dir, self.process = lab["hq"], lab["hq"].state / "journal", None
        self.dir.mkdir()
        (self.dir / "id").write_text("0123456789abcdef0123456789abcdef\n")
        script = ("mkdir -p /run/systemd /run/log; mount -t tmpfs tmpfs /run/systemd; mount -t tmpfs tmpfs /run/log; mkdir /run/log/journal; mount --bind \"$1\" /run/log/journal; "
                  "touch /etc/machine-id; mount --bind \"$1/id\" /etc/machine-id; mkdir -p /run/systemd/journal /run/systemd/journald.conf.d; echo \"$2\" >/run/systemd/journald.conf.d/lab.conf; "
                  "test \"$(stat -fc %T /sys/fs/cgroup)\" != sysfs || mount -t cgroup2 cgroup2 /sys/fs/cgroup")  # it asks whose message it is
        self.node.run(["sh", "-ec", script, "sh", str(self.dir), self.CONFIG])

    def start(self):
        self.node.run("rm -f /run/systemd/journal/socket")
        self.process = self.node.popen([JOURNALD])
        wait_for(lambda: self.process.poll() is not None or list(self.dir.glob("*/system.journal")) and self.node.run("test -S /run/systemd/journal/socket", check=False).returncode == 0,
                 20, "journald listens")
        if self.process.poll() is not None:
            raise LabError("journald has ended at once")

    def stop(self):
        self.process.kill()
        self.process.wait(30)

    def entries(self, *matches):
        found = self.node.run(["journalctl", f"--directory={self.dir}", "-q", "-o", "json", "SYSLOG_IDENTIFIER=plaingate", *matches], check=False).stdout
        return [json.loads(line) for line in found.splitlines()]


@pytest.fixture(scope="module")
def journal(lab):
    """None where this machine has no journald, or it cannot run in a namespace here."""
    made = None
    if os.path.exists(JOURNALD) and shutil.which("journalctl"):
        try:
            made = Journald(lab)
            made.start()
        except LabError:
            made = None
    yield made
    if made:
        made.stop()


@pytest.fixture(scope="module")
def collector(lab, journal):
    hosts = lab["web"].state / "hosts"
    hosts.write_text("127.0.0.1 localhost web\n")
    lab["web"].run(["mount", "--bind", str(hosts), "/etc/hosts"])  # both daemons ask for their host's whole name, which a name server that is not there answers after five seconds
    made = Collector(lab)
    made.trust(lab["hq"].state / "etc")
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
    wait_for(lambda: lab["web"].run(f"ss -Hlun sport = :{IPFIX}").stdout.split()[1] == "0", 10, "nfcapd to have read its socket")
    nfcapd.terminate()
    nfcapd.wait(10)
    (file,) = [f for f in flows.iterdir() if f.name.startswith("nfcapd") and f.stat().st_size > 300]
    found = objects(lab["web"].run(["nfdump", "-q", "-r", str(file), "-o", "json"]).stdout)
    deny = next(f for f in found if f.get("dst_port") == 23)
    end = next(f for f in found if str(f.get("nat_event_id")) == "5")  # nfdump 1.7.1 writes a string
    assert (deny["src4_addr"], deny["dst4_addr"], deny["proto"], deny["in_packets"]) == ("10.1.0.2", WEB, 6, 1)
    assert (end["src4_addr"], end["dst4_addr"], end["proto"], end["in_bytes"], end["src4_xlt_ip"]) == ("10.1.0.2", WEB, 1, 84, "198.51.100.2")


READER = """
import ipfix.ie, ipfix.reader, json, socket, ssl, sys
ipfix.ie.use_iana_default(); ipfix.ie.use_5103_default()
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if len(sys.argv) > 3 else None
if context: context.load_cert_chain(sys.argv[3] + ".pem", sys.argv[3] + ".key")
for connection in range(2):
    peer = listener.accept()[0]
    if context: peer = context.wrap_socket(peer, server_side=True)
    reader = ipfix.reader.from_stream(peer.makefile("rb"))
    for record in reader.namedict_iterator():
        with open(sys.argv[2], "a") as out:
            out.write(json.dumps([connection, reader.msg.sequence, record], default=str) + "\\n")
        if connection == 0 and record.get("destinationTransportPort") == 23: break
    peer.shutdown(socket.SHUT_RDWR)
"""


@pytest.mark.parametrize("name, port", [("flows-tcp", IPFIX), ("flows-tls", IPFIX_TLS)])
def test_flows_by_a_connection(lab, collector, name, port):
    """By python3-ipfix, which knows what a template has said in the same connection and nothing else. The reader ends the first connection."""
    if not os.path.isdir("/usr/lib/python3/dist-packages/ipfix"):
        pytest.skip("Debian's package python3-ipfix is not installed")
    file = collector.dir / name
    reader = lab["web"].popen(["/usr/bin/python3", "-c", READER, str(port), str(file), *([str(collector.dir / "good")] if port == IPFIX_TLS else [])])

    def read(connection):
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        return [(n, record) for at, n, record in (json.loads(line) for line in lines if line.endswith("\n")) if at == connection]
    try:
        lab.commit("hq", config_of("hq", LOGGED), "no collectors")
        wait_for(lambda: str(port) in lab["web"].run("ss -Hltn").stdout, 20, "the reader listens")
        lab.commit("hq", config_of("hq", LOGGED) + STREAMS.format(host=WEB), "collectors again")
        wait_for(lambda: row(lab, name)["state"] == "connected", 30, "it is connected")
        lab["host-a"].run(f"ping -c 1 -W 2 {WEB}")
        lab["hq"].run("plaingate clear sessions")
        wait_for(lambda: len(read(0)) >= 2, 30, "a session's begin and end")
        refused(lab)
        wait_for(lambda: any(r.get("destinationTransportPort") == 23 for _, r in read(0)), 30, "the refused call")
        # What the kernel took before the end was seen is lost, so another call each time.
        wait_for(lambda: read(1) or refused(lab), 60, "another connection, read without what the first one said", pause=0.3)
    finally:
        reader.kill()
        reader.wait()
    numbers, records = zip(*read(0))
    end = next(r for r in records if r.get("natEvent") == 5)
    deny = next(r for r in records if r.get("destinationTransportPort") == 23)
    assert numbers == tuple(range(len(numbers))) and read(1)[0][0] == 0, "RFC 7011 section 3.1: data records sent before in this connection"
    assert (end["sourceIPv4Address"], end["destinationIPv4Address"], end["postNATSourceIPv4Address"], end["protocolIdentifier"]) == ("10.1.0.2", WEB, "198.51.100.2", 1)
    assert (end["octetDeltaCount"], end["reverseOctetDeltaCount"], end["firewallEvent"]) == (84, 84, 2)
    assert (deny["firewallEvent"], deny["protocolIdentifier"], deny["packetDeltaCount"]) == (3, 6, 1)


@pytest.fixture
def fields(lab, collector, journal):
    if not journal:
        pytest.skip("Debian's package systemd is not installed, or its journald does not run in a namespace of this machine")
    return lambda: journal.entries("PLAINGATE_RULE=no-telnet")


def test_the_journal_has_the_fields(lab, journal, fields):
    wait_for(lambda: row(lab, "local")["state"] == "connected", 30, "the journal is connected")
    sent = len(fields())
    refused(lab)
    wait_for(lambda: len(fields()) > sent, 20, "an entry")
    entry = fields()[-1]
    assert (entry["PLAINGATE_RULE"], entry["PLAINGATE_DST"], entry["PLAINGATE_DST_PORT"]) == ("no-telnet", WEB, "23")
    assert (entry["PRIORITY"], entry["PLAINGATE_REASON"], entry["_TRANSPORT"]) == ("4", "policy-reject", "journal")
    assert journal.entries("PLAINGATE_RULE=no-such-rule") == [] and len(journal.entries("PLAINGATE_DST_PORT=23")) >= len(fields())


def test_a_journal_that_stops_gets_it_later(lab, journal, fields):
    """Its socket holds a few datagrams; what is beyond that waits here, and what waits for one that has died goes to the next one."""
    sent = len(fields())
    journal.process.send_signal(signal.SIGSTOP)
    for _ in range(3):
        refused(lab)
    journal.process.send_signal(signal.SIGCONT)
    os.kill(journal.process.pid, signal.SIGCONT)  # nsenter stopped with it
    wait_for(lambda: len(fields()) >= sent + 3, 20, "the entries")
    journal.stop()
    for _ in range(2):
        refused(lab)  # the first one finds that it is gone
    wait_for(lambda: "refused" in row(lab, "local")["reason"], 20, "its death is seen")
    journal.start()
    wait_for(lambda: len(fields()) >= sent + 5, 30, "what waited")
    assert len(fields()) == sent + 5 and int(row(lab, "local")["lost"]) == 0


def test_syslog_ng_has_the_same(lab, collector):
    other = SyslogNg(lab, collector)
    lab.commit("hq", config_of("hq", LOGGED), "no collectors")
    collector.stop()
    other.start()
    try:
        for port in (TLS, TCP, UDP):
            wait_for(lambda port=port: lab["web"].run(f"ss -Hltun sport = {port}").stdout, 30, f"it listens at {port}")
        lab.commit("hq", config_of("hq", LOGGED) + STREAMS.format(host=WEB), "collectors again")
        for name in ("siem", "plain"):
            wait_for(lambda name=name: row(lab, name)["state"] == "connected", 30, f"{name} is connected")
        refused(lab)
        for name in ("imtcp", "imptcp", "imudp"):
            wait_for(lambda name=name: other.received(name), 20, f"a record by {name}")
            host, app, msgid, severity, record = other.received(name)[-1]
            assert (host, app, msgid, severity, record["rule"], record["dst_port"]) == ("hq", "plaingate", "session-deny", "4", "no-telnet", 23)
    finally:
        other.stop()
        collector.start()
