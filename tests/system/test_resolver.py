"""Addresses that change without a commit: domain names by a real name server (unbound), which changes its mind, lies and dies."""
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from kit import WEB, config_of, own_lab, processes, show, verify_ledger, wait_for
from test_courier import Authority
from test_question import ask
from test_witnessed import ADDRESS, last_entry

SECOND = "192.0.2.90"
NAME = "www.example.org"
TTL = 1


class Unbound:
    """On the machine `web`. Local data with a time to live of a second."""

    def __init__(self, lab):
        self.lab, self.directory, self.process = lab, lab["web"].state / "unbound", None
        self.directory.mkdir()

    def serve(self, *addresses):
        self.stop()
        data = "".join(f'    local-data: "{NAME}. {TTL} IN {"AAAA" if ":" in a else "A"} {a}"\n' for a in addresses)
        (self.directory / "unbound.conf").write_text(f"""server:
    interface: {ADDRESS}
    access-control: 0.0.0.0/0 allow
    username: ""
    chroot: ""
    directory: "{self.directory}"
    pidfile: "{self.directory}/pid"
    use-syslog: no
    logfile: "{self.directory}/log"
    do-daemonize: no
    local-zone: "example.org." static
    local-data: "example.org. {TTL} IN NS ns.example.org."
{data}remote-control:
    control-enable: no
""", encoding="utf-8")
        self.process = self.lab["web"].popen(["unbound", "-d", "-c", str(self.directory / "unbound.conf")])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
        self.process = None


class Https:
    """On the machine `web`: one answer for everybody, over TLS with a certificate that only a given authority has issued."""

    def __init__(self, lab, directory):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "good.pem", directory / "good.key")
        self.answer, self.running = b"", True
        self.listening = lab["web"].socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((ADDRESS, 8443))
        self.listening.listen(8)
        self.listening.settimeout(0.2)
        threading.Thread(target=self.serve, daemon=True).start()

    def says(self, body, status="200 OK", length=None):
        self.answer = f"HTTP/1.1 {status}\r\nContent-Length: {length or len(body)}\r\n\r\n{body}".encode()

    def serve(self):
        while self.running:
            try:
                connection, _ = self.listening.accept()
                connection.settimeout(2)
                with self.context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(self.answer)
                    tls.unwrap()
            except OSError:
                pass

    def close(self):
        self.running = False
        self.listening.close()


def text(*dns):
    settings = "".join(f" {s};" for s in dns)
    return config_of("hq", ("address-book {", f"dynamic-address {{ dns {{ minimum-ttl 1; hold-time 3;{settings} }} }}\n\naddress-book {{\n    address web {{\n        fqdn WWW.example.org;\n    }}\n"
                                              "    address-set webs {\n        address web;\n    }\n"),
                     ("destination any;\n                application [ http https", "destination webs;\n                application [ http https"))


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("res")

    def prepare(lab):
        resolv = lab["hq"].state / "resolv"
        resolv.write_text(f"nameserver {ADDRESS}\n", encoding="utf-8")
        lab["hq"].run(["mount", "--bind", resolv, "/etc/resolv.conf"])
        lab["web"].run(f"ip address add {SECOND}/24 dev eth0")
        lab.names = Unbound(lab)
        lab.names.serve(WEB)

    try:
        two_sites.up("on", prepare=prepare)
        two_sites.commit("hq", text(), "a name")
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        if "names" in vars(two_sites):
            two_sites.names.stop()
        two_sites.down()


def row(lab):
    rows = show(lab, "hq", "resolver")
    assert len(rows) == 1, rows
    return rows[0]


def addresses(lab, name="web"):
    return {r["address"]: r["state"] for r in show(lab, "hq", "address", name)}


def verdict(lab, address):
    return ask(lab, "hq", f"--src 10.1.0.2 --dst {address} --proto tcp --dport 80")["verdict"]


def reached(lab, address):
    return lab["host-a"].run(f"curl -s -o /dev/null -m 2 http://{address}/", check=False).returncode == 0


def test_a_name_becomes_addresses(lab):
    wait_for(lambda: row(lab)["state"] == "current", 10, "an answer")
    assert addresses(lab) == {WEB: "current"} and row(lab)["value"] == NAME, row(lab)
    wait_for(lambda: verdict(lab, WEB) == "permit", 5, "the address in the policy")
    assert reached(lab, WEB) and verdict(lab, SECOND) == "deny" and not reached(lab, SECOND)


def test_answers_change(lab):
    """The new address is permitted, the former one stays for the hold time, and then its sessions end."""
    index, _ = last_entry(lab, "config_commit")
    with lab["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM) as flow:
        flow.connect((WEB, 80))
        wait_for(lambda: show(lab, "hq", "sessions", "--dst", WEB, "--dport", "80", "--state", "established"), 5, "a session")
        lab.names.serve(SECOND, "2001:db8:80::80")
        wait_for(lambda: addresses(lab).get(SECOND) == "current", 10, "the other address")
        assert addresses(lab)[WEB] == "held" and addresses(lab)["2001:db8:80::80"] == "current"
        wait_for(lambda: verdict(lab, SECOND) == "permit", 3, "it in the policy")
        assert reached(lab, SECOND)
        wait_for(lambda: WEB not in addresses(lab), 8, "the end of the hold time")
        wait_for(lambda: verdict(lab, WEB) == "deny", 3, "the policy without it")
        assert not reached(lab, WEB)
        wait_for(lambda: not show(lab, "hq", "sessions", "--dst", WEB, "--dport", "80", "--state", "established"), 5, "the end of its session")
    assert last_entry(lab, "config_commit")[0] == index  # no commit of it


def test_what_is_known_outlives_everybody(lab):
    lab.names.stop()
    wait_for(lambda: row(lab)["state"] == "stale", 15, "a dead name server")
    assert row(lab)["reason"] and addresses(lab)[SECOND] == "stale" and reached(lab, SECOND)
    for name in ("resolver", "control", "dataplane"):
        pid, restarts = processes(lab, "hq")[name]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda name=name, n=restarts: name in processes(lab, "hq") and processes(lab, "hq")[name][1] > n, 15, f"{name} again")
        wait_for(lambda: all(r["state"] == "ready" for r in show(lab, "hq", "status") if r["process"] in ("resolver", "control", "dataplane")), 15, "ready")
        if name == "resolver":
            assert row(lab)["state"] == "unknown", row(lab)
            assert verdict(lab, SECOND) == "permit"
        if name == "control":
            break  # nobody is left who knows: the resolver and control have both begun anew
    lab.names.serve(WEB)
    wait_for(lambda: verdict(lab, WEB) == "permit", 15, "answers again")
    pid, restarts = processes(lab, "hq")["control"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: processes(lab, "hq")["control"][1] > restarts, 15, "control again")
    assert verdict(lab, WEB) == "permit"  # the resolver has told the new one


def test_a_feed_by_file(lab):
    """A list that denies, replaced, broken, and kept over a restart."""
    feeds = lab["hq"].state / "etc/feeds"
    feeds.mkdir()
    (feeds / "bad.txt").write_text("# bad ones\n192.0.2.0/25 ; all\n", encoding="utf-8")
    conf = config_of("hq", ("address-book {", "dynamic-address { feed bad { file bad.txt; update-interval 1; } }\n\naddress-book {\n    address bad {\n        feed bad;\n    }\n"),
                     ("        rule no-telnet {", "        rule no-bad {\n            match {\n                source any;\n                destination bad;\n                application any;\n"
                      "            }\n            then {\n                deny;\n            }\n        }\n        rule no-telnet {"))
    (lab["hq"].state / "etc/hq.conf").write_text(conf, encoding="utf-8")
    said = lab["hq"].run("plaingate check /etc/plaingate/hq.conf")
    assert "rule 'no-bad'" in said.stdout + said.stderr and "denies nothing" in said.stdout + said.stderr, said
    lab.commit("hq", conf, "a feed")
    wait_for(lambda: verdict(lab, WEB) == "deny", 10, "the list")
    assert addresses(lab, "bad") == {"192.0.2.0/25": "current"} and not reached(lab, WEB)
    _, entry = last_entry(lab, "address_feed")
    assert entry["body"]["sha256"] == row(lab)["sha256"] and entry["body"]["from"] == "file bad.txt", entry
    (feeds / "bad.txt").write_text("192.0.2.128/25\n<html>\n", encoding="utf-8")
    wait_for(lambda: "line 2: found '<html>'" in row(lab)["reason"], 5, "the fault")
    assert row(lab)["state"] == "stale" and verdict(lab, WEB) == "deny"
    pid, restarts = processes(lab, "hq")["resolver"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: processes(lab, "hq").get("resolver", (0, 0))[1] > restarts and show(lab, "hq", "resolver"), 10, "the resolver again")
    wait_for(lambda: row(lab)["state"] == "stale", 5, "the last good copy")
    assert verdict(lab, WEB) == "deny"
    (feeds / "new").write_text("203.0.113.0/24\n", encoding="utf-8")
    (feeds / "new").rename(feeds / "bad.txt")
    wait_for(lambda: verdict(lab, WEB) == "permit", 10, "the next list")


def test_countries(lab):
    """A rule for a country: of a database that is replaced, and broken."""
    feeds, make = lab["hq"].state / "etc/feeds", str(lab.build / "tests/unit/resolve/make_mmdb")
    feeds.mkdir(exist_ok=True)
    subprocess.run([make, feeds / "c.mmdb", "192.0.2.0/25=DE", "2001:db8::/32=FR"], check=True)
    lab.commit("hq", config_of("hq", ("address-book {", "dynamic-address { geoip { file c.mmdb; update-interval 1; } }\n\naddress-book {\n    address near {\n        country de;\n    }\n"),
                               ("destination any;\n                application [ http https", "destination near;\n                application [ http https")), "a country")
    wait_for(lambda: verdict(lab, WEB) == "permit", 15, "the database")
    assert addresses(lab, "near") == {"192.0.2.0/25": "current"} and reached(lab, WEB)
    said = row(lab)
    assert (said["kind"], said["value"], said["addresses"]) == ("country", "DE", 1) and said["built"], said
    log = (lab["hq"].state / "plaingated.log").read_text(encoding="utf-8")
    assert "countries is not used" not in log  # nor is a commit that the supervisor has yet to apply a fault
    _, entry = last_entry(lab, "country_database")
    assert entry["body"]["sha256"] == said["sha256"] and entry["body"]["countries"] == "DE", entry
    (feeds / "new").write_text("<html>", encoding="utf-8")
    (feeds / "new").rename(feeds / "c.mmdb")
    wait_for(lambda: "not a MaxMind database" in row(lab)["reason"], 15, "the fault")
    assert row(lab)["state"] == "stale" and verdict(lab, WEB) == "permit"
    subprocess.run([make, feeds / "new", "192.0.2.0/25=FR", "203.0.113.0/24=DE"], check=True)
    (feeds / "new").rename(feeds / "c.mmdb")
    wait_for(lambda: verdict(lab, WEB) == "deny", 15, "the next database")
    assert addresses(lab, "near") == {"203.0.113.0/24": "current"}


def test_a_feed_over_https(lab):
    """By name, with an authority of its own; what is wrong with an answer costs nothing that is known."""
    lab.names.serve(ADDRESS)
    authority, directory = Authority("feeds"), lab["web"].state / "https"
    directory.mkdir()
    authority.server(directory, "good", names=(NAME,))
    trust = lab["hq"].state / "etc/trust"
    trust.mkdir(exist_ok=True)
    (trust / "feeds.pem").write_bytes(Authority("somebody else").pem())
    server = Https(lab, directory)
    try:
        server.says('{"prefixes":[{"ip_prefix":"192.0.2.0/25"}]}')
        lab.commit("hq", config_of("hq", ("address-book {", f'dynamic-address {{ feed cloud {{ url "https://{NAME}:8443/list.json"; authorities feeds; format json; '
                                          "member ip_prefix; update-interval 1; } }\n\naddress-book {\n    address cloud {\n        feed cloud;\n    }\n"),
                                   ("destination any;\n                application [ http https", "destination cloud;\n                application [ http https")), "a feed by URL")
        wait_for(lambda: "certificate is not trusted" in row(lab)["reason"], 10, "no trust")
        assert row(lab)["state"] == "unknown" and verdict(lab, WEB) == "deny"
        (trust / "feeds.pem").write_bytes(authority.pem())
        wait_for(lambda: row(lab)["state"] == "current", 15, "the list")
        assert addresses(lab, "cloud") == {"192.0.2.0/25": "current"}
        wait_for(lambda: verdict(lab, WEB) == "permit", 5, "it in the policy")
        assert last_entry(lab, "address_feed")[1]["body"]["from"] == f"https://{NAME}:8443/list.json"
        for said, reason in ((("gone", "404 Not Found"), "status 404"), (('{"prefixes":[{"ip_', "200 OK", 400), "ended"), (("<html>",), "line 1: found '<html>'")):
            server.says(*said)
            wait_for(lambda reason=reason: reason in row(lab)["reason"], 10, reason)
            assert row(lab)["state"] == "stale" and verdict(lab, WEB) == "permit"
        server.says('{"prefixes":[{"ip_prefix":"203.0.113.0/24"}]}')
        wait_for(lambda: verdict(lab, WEB) == "deny", 12, "the next list")
    finally:
        server.close()


def test_lies_of_a_name_server(lab):
    lab.commit("hq", text(), "a name again")
    lab.names.serve("127.0.0.1", "224.0.0.1", "10.1.0.2", "::1")
    wait_for(lambda: "loopback" in row(lab)["reason"], 10, "the reason")
    assert set(addresses(lab)) <= {WEB, "10.1.0.2"}
    lab.commit("hq", text("refuse-private"), "no private ones")
    lab.names.serve("10.1.0.2")
    wait_for(lambda: "private" in row(lab)["reason"], 10, "the reason")


def test_a_peer_by_name(lab):
    """A tunnel to a name without an address, then with one where nobody answers, then with the peer's; what stands outlives the name."""
    peer = "203.0.113.2"
    rows = lambda: [r for r in show(lab, "hq", "ike") if r["peer"] == "branch" and r.get("name") == NAME]  # noqa: E731
    up = lambda: [r for r in rows() if r["state"] == "established"]  # noqa: E731
    explained = lambda: lab["hq"].run("plaingate vpn explain branch", check=False).stdout  # noqa: E731
    lab.names.serve()
    lab.commit("hq", config_of("hq", (f"remote-address {peer};", f"remote-address {NAME};"),
                               ("address-book {", "dynamic-address { dns { minimum-ttl 1; } }\n\naddress-book {")), "a peer by name")
    wait_for(lambda: any(f"no address of {NAME} is known: " in r["reason"] for r in rows()), 30, "the name without an address")
    assert rows()[0]["name_error"] and f"no address of {NAME} is known: " in explained()
    lab.names.serve(SECOND)
    wait_for(lambda: any(r["remote"].startswith(f"{SECOND}:") for r in rows()), 30, "a message to its address")
    lab.names.serve(peer)
    wait_for(up, 30, "the tunnel to its next address")
    assert up()[0]["remote"].startswith(f"{peer}:") and up()[0]["name_addresses"] == peer, up()
    assert last_entry(lab, "ike_sa_up")[1]["body"]["remote"].startswith(f"{peer}:")
    assert [(r["kind"], r["object"], r["value"]) for r in show(lab, "hq", "resolver")] == [("peer", "branch", NAME)]
    spi = up()[0]["spi_i"]
    lab.names.stop()
    wait_for(lambda: up() and up()[0]["name_error"], 30, "silence of the name server")
    assert up()[0]["spi_i"] == spi and f"{NAME} had {peer} " in explained()
