"""The lab `two-sites`:

   host-a --- lan0 hq wan0 --- internet --- wan0 branch lan0 --- host-b
   10.1.0.2        198.51.100.2    |     203.0.113.2        10.2.0.2
   fd00:1::2                      web                       fd00:2::2
                               192.0.2.80

`internet` only routes between 198.51.100.0/24, 203.0.113.0/24 and 192.0.2.0/24: it has no route to either LAN, so what reaches
it in clear from a LAN goes nowhere and is seen there. web and host-b have real web servers.

The gateways hq and branch run Plaingate, or the kernel's own forwarding without any policy ("kernel": for comparison and to
test the lab itself), or nothing ("none": the user of the lab starts something else there).
"""
import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from nodes import LAB_DIR, OBSERVED, ROOT, LabError, Node, link, run, wait_for

GATEWAYS = ("hq", "branch")
LINKS = (  # node, interface, its addresses, and the other end's
    ("host-a", "eth0", ("10.1.0.2/24", "fd00:1::2/64"), "hq", "lan0", ("10.1.0.1/24", "fd00:1::1/64")),
    ("hq", "wan0", ("198.51.100.2/24", "2001:db8:1::2/64"), "internet", "hq0", ("198.51.100.1/24", "2001:db8:1::1/64")),
    ("branch", "wan0", ("203.0.113.2/24", "2001:db8:2::2/64"), "internet", "branch0", ("203.0.113.1/24", "2001:db8:2::1/64")),
    ("web", "eth0", ("192.0.2.80/24", "2001:db8:80::80/64"), "internet", "web0", ("192.0.2.1/24", "2001:db8:80::1/64")),
    ("host-b", "eth0", ("10.2.0.2/24", "fd00:2::2/64"), "branch", "lan0", ("10.2.0.1/24", "fd00:2::1/64")),
)
DEFAULT_ROUTES = (
    ("host-a", "10.1.0.1", "fd00:1::1"), ("host-b", "10.2.0.1", "fd00:2::1"), ("hq", "198.51.100.1", "2001:db8:1::1"),
    ("branch", "203.0.113.1", "2001:db8:2::1"), ("web", "192.0.2.1", "2001:db8:80::1"),
)
KERNEL_ROUTES = (  # only if the gateways forward by the kernel: routes to the LANs
    ("internet", "10.1.0.0/24", "198.51.100.2"), ("internet", "10.2.0.0/24", "203.0.113.2"),
    ("internet", "fd00:1::/64", "2001:db8:1::2"), ("internet", "fd00:2::/64", "2001:db8:2::2"),
)
WEB_SERVERS = ("host-b", "web")
FORWARD = {"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1}
EXECUTABLES = ("plaingate", "plaingated", "plaingate-keeper", "plaingate-ike", "plaingate-dataplane", "plaingate-ledger",
               "plaingate-control", "plaingate-entropy", "plaingate-courier", "plaingate-export", "plaingate-resolver",
               "plaingate-certifier-openssl", "plaingate-certifier-gnutls", "plaingate-ssh")
CONFIGS = LAB_DIR / "two-sites"


OBSERVED_TABLES, UNTOLD = ("status", "ike", "ipsec"), ("sha256", "memory_bytes")  # where a wait was in vain


class TwoSites:
    links, default_routes, kernel_routes, web_servers = LINKS, DEFAULT_ROUTES, KERNEL_ROUTES, WEB_SERVERS
    router = "internet"  # always forwards; it is not a gateway

    def __init__(self, prefix=None, build=None):
        self.prefix = prefix if prefix is not None else os.environ.get("PLAINGATE_LAB_PREFIX", "pg-")
        self.build = Path(build or os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build")).resolve()
        self.state = LAB_DIR / ".state" / self.prefix.rstrip("-")
        self.nodes = {name: Node(name, self.prefix, self.state) for name in self.names()}
        self.daemons = {}
        self.workers = int(os.environ.get("PLAINGATE_LAB_WORKERS", "1"))

    @classmethod
    def names(cls):
        return list(dict.fromkeys(name for row in cls.links for name in (row[0], row[3])))

    def __getitem__(self, name):
        if name not in self.nodes:
            raise LabError(f"no machine is named {name}; the lab has {', '.join(self.nodes)}")
        return self.nodes[name]

    def up(self, offloads="on", gateways="plaingate", configs=None, prepare=None):
        """gateways: one of plaingate, kernel, none for both, or a dict by node. configs: texts by node, instead of lab/two-sites.
        prepare: called with the lab before the gateways are started."""
        kinds = gateways if isinstance(gateways, dict) else {name: gateways for name in GATEWAYS}
        self.down()
        OBSERVED.append(self.observation)
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            if "plaingate" in kinds.values():
                self.copy_executables()
            for name, node in self.nodes.items():
                node.start(gateway=name in GATEWAYS)
            self.wire(offloads)
            for name, kind in kinds.items():
                if kind == "kernel":
                    self.nodes[name].sysctl(FORWARD)
            if "kernel" in kinds.values():
                for name, prefix, via in self.kernel_routes:
                    run(["ip", "-n", self.nodes[name].netns, "route", "add", prefix, "via", via])
            for name in self.web_servers:
                self.start_web(name)
            plaingates = [name for name in GATEWAYS if kinds[name] == "plaingate"]
            if plaingates:
                self.make_keys()
            if prepare:
                prepare(self)
            for name in plaingates:
                self.start_gateway(name)
            for name in plaingates:
                text = (configs or {}).get(name) or (CONFIGS / f"{name}.conf").read_text(encoding="utf-8")
                self.commit(name, text, "lab two-sites")
        except BaseException:
            self.down(keep_state=True)
            raise

    def down(self, keep_state=False):
        """Ends everything in this lab, also if another process started it. keep_state: keeps the logs, which tell why something failed."""
        if self.observation in OBSERVED:
            OBSERVED.remove(self.observation)
        for node in self.nodes.values():
            node.stop()
        for daemon in self.daemons.values():
            daemon.wait(10)
        self.daemons = {}
        if not keep_state:
            shutil.rmtree(self.state, ignore_errors=True)

    # --- parts ---

    def copy_executables(self):
        """Copies, so that another build does not change what the lab runs."""
        target = self.state / "bin"
        target.mkdir(parents=True, exist_ok=True)
        for name in EXECUTABLES:
            found = [p for p in self.build.glob(f"src/**/{name}") if p.is_file() and os.access(p, os.X_OK)]
            if len(found) != 1:
                raise LabError(f"{self.build} contains no executable {name}; build it with: meson setup build && ninja -C build")
            shutil.copy2(found[0], target / name)
        carry = self.build / "src" / "carry" / "carry.bpf.o"  # missing where the build had no compiler for it
        if carry.is_file():
            shutil.copy2(carry, target / carry.name)
        share = self.state / "share"
        share.mkdir(exist_ok=True)
        shutil.copy2(ROOT / "share/known-answers.json", share)
        for directory in (self.state, target, share):
            directory.chmod(0o755)

    def wire(self, offloads):
        for a, a_interface, a_addresses, b, b_interface, b_addresses in self.links:
            link(self.nodes[a], a_interface, self.nodes[b], b_interface, offloads)
            for name, interface, addresses in ((a, a_interface, a_addresses), (b, b_interface, b_addresses)):
                for address in addresses:
                    nodad = ["nodad"] if ":" in address else []
                    run(["ip", "-n", self.nodes[name].netns, "addr", "add", address, "dev", interface, *nodad])
        for name, *gateways in self.default_routes:
            for gateway in gateways:
                run(["ip", "-n", self.nodes[name].netns, "route", "add", "default", "via", gateway])
        if self.router:
            self.nodes[self.router].sysctl(FORWARD)

    def start_web(self, name):
        node, state = self.nodes[name], self.nodes[name].state
        (state / "www").mkdir(exist_ok=True)
        (state / "www/index.html").write_text(f"<!doctype html><title>{name}</title><p>This page is served by {name}.\n",
                                              encoding="utf-8")
        (state / "www/1m.bin").write_bytes(secrets.token_bytes(1 << 20))
        (state / "nginx.conf").write_text(f"""worker_processes 1;
pid {state}/nginx.pid;
error_log {state}/web-error.log;
events {{
	worker_connections 512;
}}
http {{
	log_format lab '$remote_addr $remote_port "$request" $status $body_bytes_sent';
	access_log {state}/web-access.log lab;
	client_body_temp_path {state}/nginx-body;
	proxy_temp_path {state}/nginx-proxy;
	fastcgi_temp_path {state}/nginx-fastcgi;
	uwsgi_temp_path {state}/nginx-uwsgi;
	scgi_temp_path {state}/nginx-scgi;
	types {{
		text/html html;
	}}
	server {{
		listen 80;
		listen [::]:80;
		root {state}/www;
	}}
}}
""", encoding="utf-8")
        for directory in (LAB_DIR / ".state", self.state, state, state / "www"):
            directory.chmod(0o755)
        node.run(["nginx", "-e", f"{state}/web-error.log", "-c", f"{state}/nginx.conf", "-g", "user root;"])

    def web_log(self, name):
        """The lines of the access log: address port "request" status bytes."""
        log = self.nodes[name].state / "web-access.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def make_keys(self):
        """A new pre-shared key for each lab, known to both gateways' keepers and to nobody else."""
        psk = secrets.token_hex(32)
        for name in GATEWAYS:
            self.write_key(name, "hq-branch.psk", psk + "\n")

    def write_key(self, name, file, text):
        keys = self.nodes[name].state / "etc/keys"
        keys.mkdir(parents=True, exist_ok=True)
        (keys / file).write_text(text, encoding="utf-8")
        for path, mode in ((keys, 0o700), (keys / file, 0o600)):
            path.chmod(mode)
            shutil.chown(path, "plaingate-keeper", "plaingate-keeper")

    def write_certificate(self, name, file, text):
        directory = self.nodes[name].state / "etc/certificates"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{file}.new").write_text(text, encoding="utf-8")
        (directory / f"{file}.new").chmod(0o644)
        (directory / f"{file}.new").rename(directory / file)

    def start_gateway(self, name):
        node = self.nodes[name]
        self.daemons[name] = node.daemon(["plaingated"], node.state / "plaingated.log")
        self.wait_gateway(name)

    def wait_gateway(self, name, timeout=15):
        """Waits until the gateway answers its administrator."""
        node = self.nodes[name]

        def answers():
            daemon = self.daemons.get(name)
            if daemon and daemon.poll() is not None:
                raise LabError(f"plaingated of {name} ended at once: {self.log_end(name)}")
            return node.run("plaingate show status --json", check=False, timeout=10).returncode == 0

        try:
            wait_for(answers, timeout, f"plaingated of {name} to answer", pause=0.1)
        except LabError as error:
            raise LabError(f"{error}; its log ends: {self.log_end(name)}") from None

    def commit(self, name, text, comment):
        """With PLAINGATE_LAB_WORKERS in the environment, or lab.workers, the data plane has so many workers."""
        node = self.nodes[name]
        file = node.state / "etc" / f"{name}.conf"
        if self.workers > 1 and "workers " not in text:
            text = text.replace(f"host-name {name};", f"host-name {name};\n    workers {self.workers};", 1)
        file.write_text(text, encoding="utf-8")
        node.run(["plaingate", "commit", f"/etc/plaingate/{name}.conf", "--comment", comment], timeout=60)

    def show(self, gateway, table, *options):
        """The rows of a table of the running gateway, as objects."""
        return json.loads(self.nodes[gateway].run(["plaingate", "show", table, "--json", *options]).stdout)

    def ike_up(self, gateways=GATEWAYS):
        """Whether each of these has an established IKE SA that carries a tunnel; one in use may be left over from a former process."""
        return all(any(row["state"] == "established" and row["tunnels"] for row in self.show(gateway, "ike")) for gateway in gateways)

    def tunnel_up(self, gateways=GATEWAYS):
        """Whether each of these has an outbound SA in use."""
        return all(any(row["state"] == "active" for row in self.show(gateway, "ipsec")) for gateway in gateways)

    def wait_for_tunnel(self, timeout=30, gateways=GATEWAYS):
        wait_for(lambda: self.tunnel_up(gateways), timeout, "the tunnel to come up", pause=0.1)

    def observation(self):
        """What each gateway shows of its tunnels, with the end of its log; of one that does not answer, why."""
        said = []
        for name in self.daemons:
            for table in OBSERVED_TABLES:
                try:
                    rows = [{key: row[key] for key in row if key not in UNTOLD} for row in self.show(name, table)]
                    said += [f"{name}, show {table}: {json.dumps(row)}" for row in rows] or [f"{name}, show {table}: (no rows)"]
                except (LabError, ValueError, subprocess.SubprocessError) as error:
                    said.append(f"{name}, show {table}: {error}")
            said.append(f"{name}, the end of its log:\n{self.log_end(name, 40)}")
        return "\n".join(said)

    def log_end(self, name, lines=15):
        log = self.nodes[name].state / "plaingated.log"
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
