"""libreswan on a lab's gateway, from Debian 13 in a root directory of its own (peer_root.py), because it conflicts with strongSwan's packages. Its
ESP is the kernel's, which not every test machine's kernel has: then each child SA ends at once, and only IKE can be tested.
"""
import subprocess

from nodes import run, wait_for

CONF = """config setup
	logfile={state}/pluto.log
	listen=203.0.113.2

conn hq
	keyexchange=ikev2
	left=203.0.113.2
	leftid=@branch.example.net
	leftsubnet=10.2.0.0/24
	right=198.51.100.2
	rightid=@hq.example.net
	rightsubnet=10.1.0.0/24
	authby=secret
	ike={ike}
	esp={esp}
	pfs=yes
	fragmentation=no
	auto=ignore
"""
LIBEXEC = "/usr/libexec/ipsec"


class Libreswan:
    def __init__(self, node, root):
        self.node, self.root, self.state, self.process = node, root, node.state / "libreswan", None

    def start(self, psk, ike="aes_gcm256-sha2_384-dh31", esp="aes_gcm256;dh31"):
        for directory in ("nss", "run", "ipsec.d"):
            (self.state / directory).mkdir(parents=True, exist_ok=True)
        (self.state / "ipsec.conf").write_text(CONF.format(state=self.state, ike=ike, esp=esp), encoding="utf-8")
        (self.state / "ipsec.secrets").write_text(f'@branch.example.net @hq.example.net : PSK "{psk}"\n', encoding="utf-8")
        self.inside(f"ipsec initnss --nssdir {self.state}/nss", timeout=60)
        pluto = [f"{LIBEXEC}/pluto", "--nofork", "--config", self.state / "ipsec.conf", "--secretsfile", self.state / "ipsec.secrets",
                 "--nssdir", self.state / "nss", "--rundir", self.state / "run", "--ipsecdir", self.state / "ipsec.d"]
        self.process = self.node.daemon(self.root.words(pluto, self.state), self.state / "pluto.out")
        wait_for(lambda: (self.state / "run/pluto.ctl").exists() or self.process.poll() is not None, 20, "pluto's socket")
        wait_for(lambda: "listening for IKE messages" in self.log() or self.process.poll() is not None, 20, f"pluto to listen: {self.log()[-500:]}")
        self.inside(f"{LIBEXEC}/addconn --config {self.state}/ipsec.conf --ctlsocket {self.state}/run/pluto.ctl hq")

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process = None

    def inside(self, command, check=True, timeout=30):
        return self.node.run(self.root.words(command, self.state), check=check, timeout=timeout)

    def whack(self, words, check=True):
        """Sends a command to pluto; --asynchronous where its answer would wait for the child SA."""
        return self.inside(f"{LIBEXEC}/whack --rundir {self.state}/run {words}", check=check)

    def log(self):
        file = self.state / "pluto.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
