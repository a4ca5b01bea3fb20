"""Floods in the lab two-sites: what an outsider can fill on the gateway hq, how it is detected that it is full, and what other users do
meanwhile. tests/system/test_limits.py tests whether the others can continue, bench/floods how fast.

Senders run on machines of the lab (flooder.py). The table has one row for each flood.
"""
import contextlib
import re
import signal
import socket
import subprocess
import time
from collections import namedtuple

from nodes import LAB_DIR, LabError, wait_for
from two_sites import CONFIGS, TwoSites

RATE = 20000  # packets a second of one sender
BOUND = 10    # seconds within which each action of the other users must be complete
WEB, HOST_A, WITNESS_PORT, BRANCH_WAN = "192.0.2.80", "10.1.0.2", 7381, "203.0.113.2"
CONNECTIONS = ("trust", "host-a", WEB, 80, "10.1.0.250"), ("vpn", "host-b", HOST_A, 5201)

PUBLISHED = """
    from untrust to trust {
        rule published {
            match {
                source any;
                destination hq-lan;
                application [ http iperf-udp ];
            }
            then {
                permit;
            }
        }
    }
    global {"""
FLOODER = """
    peer flooder {
        local-address 198.51.100.2;
        remote-address any;
        local-id hq.example.net;
        remote-id flooder.example.net;
        pre-shared-key flooder;
        proposals modern;
    }
}

ipsec {"""
FLOODERS_TUNNEL = """
    tunnel flooder {
        peer flooder;
        zone vpn;
        local 10.1.0.0/24;
        remote 10.9.0.0/24;
        proposals modern;
    }
    tunnel branch {"""
SESSIONS = 2048
CHANGES = (
    ("host-name hq;", f"host-name hq;\n    session-limit {SESSIONS};\n    half-open-limit 256;"),
    ("\n    global {", PUBLISHED), ("start always;", "start never;"), ("}\n\nipsec {", FLOODER), ("\n    tunnel branch {", FLOODERS_TUNNEL),
)


class Floods(TwoSites):
    """The lab with small tables, one more peer, and a witness that every commit requires."""

    def begin(self):
        self.commits = 0
        self.up("on", prepare=lambda lab: lab.write_key("hq", "flooder.psk", "the flooder has this key from its owner\n"))
        self["internet"].run(["ip", "route", "replace", "10.1.0.0/24", "via", "198.51.100.2"])
        self["internet"].run(["ip", "-6", "route", "replace", "fd00:1::/64", "via", "2001:db8:1::2"])
        (self.state / "addresses").write_text("".join(f"addr add 10.1.0.{i}/24 dev eth0\n" for i in (*range(10, 200), 250)), encoding="ascii")
        self["host-a"].run(["ip", "-batch", self.state / "addresses"])
        # Like members of the group plaingate-view: they may use `show`.
        self["hq"].run("chown root:nogroup /run/plaingate/control.sock")
        self["hq"].run("chmod 0660 /run/plaingate/control.sock")
        self.listeners = [self.listen("host-a", port) for port in (80, 5201)]
        self.start_witness()
        self.commit_again()
        self.handshake()
        self.wait_for_tunnel()

    def end(self):
        for listener in getattr(self, "listeners", []):
            listener.close()
        self.down()

    def listen(self, node, port):
        s = self[node].socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", port))
        s.listen()
        return s

    def start_witness(self):
        directory, program = self["web"].state / "witness", self.build / "src/proc/witness/plaingate-witness"
        directory.mkdir()
        self.witness_key = self["web"].run([program, "--key", directory / "key", "--new-key", "witness.example/one"]).stdout.strip()
        log = self.show("hq", "ledger")[0]["vkey"]
        self["web"].daemon([program, "--key", directory / "key", "--db", directory / "db", "--listen", f"0.0.0.0:{WITNESS_PORT}",
                            "--log", log], directory / "log")
        wait_for(lambda: b"listening on" in (directory / "log").read_bytes(), 10, "the witness to listen")

    # --- what the other users do; each returns how many seconds it took, or raises ---

    def handshake(self):
        """Branch has no IKE SA, and establishes one."""
        branch = self["branch"]

        def ended():
            """Hq may have begun a handshake that comes to its end only now."""
            if any(row["state"] == "established" for row in self.show("branch", "ike")):
                branch.run(["plaingate", "ike", "terminate", "hq"], timeout=60)
            return not self.tunnel_up(["branch"])

        branch.run(["plaingate", "ike", "terminate", "hq"], timeout=60)
        try:  # is not measured
            wait_for(ended, 3 * BOUND, "the old tunnel to end")
        except LabError as error:
            raise LabError(f"{error}; branch: {self.log_end('branch')}; hq: {self.log_end('hq')}; hq has {self.show('hq', 'ike')}") from error
        began = time.monotonic()
        branch.run(["plaingate", "ike", "initiate", "hq"], timeout=BOUND)
        wait_for(lambda: self.tunnel_up(["branch"]), BOUND, "the tunnel", pause=0.01)
        return time.monotonic() - began

    def connection(self, filled=()):
        """From another source to the Internet, and from another zone through the tunnel; the longer of both. Not from zones that are flooded."""
        return max(self.connect(*row) for zone, *row in CONNECTIONS if zone not in filled)

    def connect(self, node, address, port, source=""):
        began = time.monotonic()
        with self[node].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(BOUND)
            s.bind((source, 0))
            s.connect((address, port))
        return time.monotonic() - began

    def commit_again(self):
        """Requires the witness's signature; otherwise it is refused."""
        self.commits += 1
        text = (CONFIGS / "hq.conf").read_text(encoding="utf-8")
        for old, new in CHANGES:
            if old not in text:
                raise LabError(f"hq.conf does not contain {old!r}")
            text = text.replace(old, new, 1)
        text += f"""
evidence {{
    witness one {{
        address {WEB};
        port {WITNESS_PORT};
        key "{self.witness_key}";
    }}
    heartbeat 2;
    required commit;
}}
"""
        began = time.monotonic()
        self.commit("hq", text, f"commit {self.commits}")
        return time.monotonic() - began

    def show_tables(self):
        began = time.monotonic()
        for table in ("status", "ike", "ipsec", "counters", "ledger"):
            self["hq"].run(["plaingate", "show", table, "--json"], timeout=BOUND)
        return time.monotonic() - began

    def others(self, *names):
        """{action: seconds} during these floods. Each action has BOUND seconds."""
        return {"handshake": self.handshake(), "connection": self.connection([FLOODS[name].zone for name in names]),
                "commit": self.commit_again(), "show": self.show_tables()}

    # --- floods ---

    def counter(self, name):
        values = {row["counter"]: int(row["value"]) for row in self.show("hq", "counters")}
        return values.get(name, values.get(f"drop-{name}"))

    def ike_rows(self, **wanted):
        return sum(all(row.get(key) == value for key, value in wanted.items()) for row in self.show("hq", "ike"))

    def logged(self, pattern):
        return len(re.findall(pattern, (self["hq"].state / "plaingated.log").read_text(encoding="utf-8")))

    def witness_connections(self):
        return self["web"].run(["ss", "-Htn", "state", "established", f"( sport = :{WITNESS_PORT} )"]).stdout.count("\n")

    @contextlib.contextmanager
    def flooded(self, *names, seconds=300):
        """During these floods, once each has filled what it fills; a flood that ends before is an error."""
        floods, running = [FLOODS[name] for name in names], []
        before = [flood.level(self) for flood in floods]
        try:
            for flood in floods:
                for node, *words in flood.senders(self):
                    running.append(self.sender(node, words, seconds))
            for flood, level in zip(floods, before):
                wait_for(lambda flood=flood, level=level: flood.level(self) >= flood.full + (level if flood.grows else 0), 15,
                         f"{flood.what} to be full; {flood.level(self)}, {level} before")
            yield
            over = [process.args for process in running if process.poll() is not None]
            if over:
                raise LabError(f"floods ended before the other users' actions: {over}")
        finally:
            for process in running:
                process.send_signal(signal.SIGKILL)
                process.wait(10)
            self["hq"].run(["plaingate", "clear", "sessions"])

    def sender(self, node, words, seconds):
        process = self[node].popen(["/usr/bin/python3", LAB_DIR / "flooder.py", words[0], RATE, seconds, *words[1:]],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if process.stdout.readline() != "begins\n":
            raise LabError(f"flooder {words[0]}: {process.stderr.read()[-800:]}")
        return process


# what it fills; who sends; how it is detected that it is full: a level, and its value, in addition to the value before if it grows; a zone of
# which no new host is admitted meanwhile, as threat-model.md says
Flood = namedtuple("Flood", "what senders level full grows zone", defaults=[None])


def counted(what, name, full, *senders, zone=None):
    return Flood(what, lambda lab: senders, lambda lab: lab.counter(name), full, True, zone)


def sessions(*senders, zone=None):
    """Drops do not show it: among SYNs there is always an unanswered one, which is evicted."""
    return Flood("the session table", lambda lab: senders, lambda lab: lab.counter("sessions-now"), SESSIONS - 8, False, zone)


FLOODS = {
    "half-open IKE SAs": Flood("the half-open IKE SAs", lambda lab: [("internet", "ike_sa_inits", BRANCH_WAN)],
                               lambda lab: lab.ike_rows(state="waiting for IKE_AUTH"), 64, False),
    "a peer with a key": Flood("the IKE SAs of one peer", lambda lab: [("web", "one_peer", lab["hq"].state / "etc/keys/flooder.psk",
                                                                        "flooder.example.net")],
                               lambda lab: lab.ike_rows(peer="flooder"), 8, False),
    "sessions of one source": sessions(("web", "echo_server"), ("host-a", "sessions_of_one_source")),
    "sessions of one zone": sessions(("web", "echo_server"), ("host-a", "sessions_of_one_zone"), zone="trust"),
    "SYNs": counted("the half-open TCP sessions", "half-open-evicted", 1000, ("internet", "syns")),
    "fragments of one source": counted("the datagrams that wait for their pieces", "fragment-limit", 1000, ("web", "fragments")),
    "absent neighbours": counted("the questions for link addresses", "neighbour-limit", 1000, ("internet", "absent_neighbours")),
    "denied and logged": counted("the lines of a rule's log", "log-records-suppressed", 1000, ("internet", "denied")),
    "pings and dead ends": counted("the errors that a zone is owed", "error-replies-suppressed", 1000, ("internet", "icmp")),
    "IKE and ESP to 4500": Flood("the IKE messages of one source", lambda lab: [("internet", "port_4500", lab.show("hq", "ipsec")[0]["spi_in"])],
                                 lambda lab: lab.counter("ike-limit"), 1000, True),
    "silent administrators": Flood("the places of control's clients", lambda lab: [("hq", "control_clients", "/run/plaingate/control.sock")],
                                   lambda lab: lab.logged("control warn: closing client "), 20, True),
    "administrators who read nothing": Flood("the places of control's clients", lambda lab: [
        ("web", "echo_server"), ("host-a", "sessions_of_one_source"), ("hq", "readers")],
        lambda lab: lab.logged("control warn: closing client "), 20, True),
    "silent clients of the witness": Flood("the witness's connections", lambda lab: [("web", "witness_clients", str(WITNESS_PORT))],
                                           lambda lab: lab.witness_connections(), 400, False),
}
