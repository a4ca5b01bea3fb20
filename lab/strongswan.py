"""strongSwan on a lab's gateway, without systemd, from this machine's Debian or from a root directory of another release
(peer_root.py): IKE by charon, ESP in user space by its kernel-libipsec, so that no kernel ESP is needed.

Limits of kernel-libipsec: it sends and accepts ESP only in UDP on port 4500 (it claims a NAT so that the peer does the same), and it
has no extended sequence numbers, no transport mode, no update of addresses, and a replay window of 128.
"""
import contextlib
import ctypes
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from nodes import LabError, run, wait_for

# openssl first: the first plugin does the work, and charon's own AES is slow without the processor's AES instructions.
PLUGINS = ("random nonce openssl aes sha1 sha2 hmac kdf gcm chapoly curve25519 pem pkcs1 pkcs8 x509 pubkey constraints "
           "kernel-libipsec kernel-netlink socket-default vici updown")
CONF = """charon-systemd {{
	load = {plugins}
	rsa_pss = {rsa_pss}
	retransmit_timeout = 1.0
	retransmit_tries = 4
	fragment_size = {fragment_size}
	make_before_break = {make_before_break}
	plugins {{
		kernel-libipsec {{
			allow_peer_ts = {allow_peer_ts}
		}}
		vici {{
			socket = unix://{state}/charon.vici
		}}
	}}
	filelog {{
		log {{
			path = {state}/charon.log
			default = 1
			enc = 0
			net = 0
			esp = 0
			flush_line = yes
		}}
	}}
	journal {{
		default = -1
	}}
}}
"""


PIDFD_GETFD = 438  # system call
SO_RCVBUFFORCE = 33


def processes_in(node, name):
    """The processes of this name in a node's network namespace."""
    namespace = os.stat(f"/run/netns/{node.netns}").st_ino
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if (directory / "comm").read_text(encoding="utf-8").strip() == name[:15] and (directory / "ns/net").stat().st_ino == namespace:
                yield int(directory.name)


def widen_sockets(pid):
    """Room for seconds of datagrams in each UDP socket of a process, as the nodes' own streams have it: ESP comes through one, and on a busy
    machine charon gets no processor for longer than its buffer of the default size lasts. Returns how many sockets there are."""
    pidfd, found = os.pidfd_open(pid), 0
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            copy = ctypes.CDLL(None).syscall(PIDFD_GETFD, pidfd, int(fd), 0)
            if copy < 0:
                continue
            try:
                with socket.socket(fileno=copy) as s:
                    if s.type == socket.SOCK_DGRAM and s.family in (socket.AF_INET, socket.AF_INET6):
                        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
                        found += 1
            except OSError:  # no socket
                os.close(copy)
    finally:
        os.close(pidfd)
    return found


class StrongSwan:
    def __init__(self, node, root=None, fragment_size=1280):
        self.fragment_size, self.rsa_pss = fragment_size, "yes"  # its own default is PKCS#1 v1.5
        self.make_before_break = "no"  # of its reauthentication
        self.routed = False  # the administrator sets routes into the tunnel, whose selectors are all addresses
        self.node, self.root, self.state, self.process = node, root, node.state / "strongswan", None
        self.config = self.state / "swanctl/swanctl.conf"
        self.uri = f"unix://{self.state}/charon.vici"

    def start(self):
        self.config.parent.mkdir(parents=True, exist_ok=True)
        (self.state / "strongswan.conf").write_text(CONF.format(
            plugins=PLUGINS, state=self.state, fragment_size=self.fragment_size, rsa_pss=self.rsa_pss, make_before_break=self.make_before_break,
            allow_peer_ts="yes" if self.routed else "no"), encoding="utf-8")
        self.process = self.node.daemon(self.words(["env", f"STRONGSWAN_CONF={self.state}/strongswan.conf", "charon-systemd"]),
                                        self.state / "charon.out")
        wait_for(lambda: (self.state / "charon.vici").exists() or self.process.poll() is not None, 10, "charon's socket")
        wait_for(lambda: self.swanctl("--stats", check=False).returncode == 0, 10, "charon to answer")
        if not sum(widen_sockets(pid) for pid in processes_in(self.node, "charon-systemd")):
            raise LabError("charon has no UDP socket")
        # What it has caught up with goes through this device at once, and the answers come back by it.
        self.node.run("ip link set ipsec0 txqueuelen 10000")
        if self.routed:
            self.node.run("ip rule del priority 220")  # of its own routes, by which even its IKE messages would enter the tunnel

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process = None

    def load(self, text, timeout=30):
        self.config.write_text(text, encoding="utf-8")
        self.swanctl(f"--load-all --file {self.config}", timeout=timeout)

    def swanctl(self, words, check=True, timeout=30):
        return self.node.run(self.words(f"env SWANCTL_DIR={self.state}/swanctl swanctl {words} --uri {self.uri}"), check=check, timeout=timeout)

    def words(self, command):
        return self.root.words(command, self.node.state.parent) if self.root else command

    def private_key(self, file):
        """A copy where swanctl looks for private keys; the next load reads it."""
        self.credential("private", file)

    def credential(self, kind, file):
        """The same in another of swanctl's directories: x509, x509ca."""
        directory = self.config.parent / kind
        directory.mkdir(exist_ok=True)
        shutil.copy(file, directory)

    def initiate(self, child, timeout=15):
        done = self.swanctl(f"--initiate --child {child} --timeout {timeout}", check=False, timeout=timeout + 5)
        if "initiate completed successfully" not in done.stdout:
            raise LabError(f"strongSwan could not bring up {child}: {(done.stdout + done.stderr)[-800:]}")

    def sas(self):
        """[(IKE SPIs, [(state, SPI in, SPI out, packets in, packets out) of each child])]"""
        found = []
        for line in self.swanctl("--list-sas").stdout.splitlines():
            ike = re.match(r"\S+: #\d+, ([A-Z]+), IKEv2, (\w+)_i\*? (\w+)_r", line)
            child = re.match(r"  \S+: #\d+, reqid \d+, .*?\b([A-Z]{5,}), ", line)  # of one processor: and which
            direction = re.match(r"    (in |out) +(\w+).*?, +\d+ bytes, +(\d+) packets", line)
            if ike:
                found.append(((ike[2], ike[3]), []))
            elif child:
                found[-1][1].append({"state": child[1]})
            elif direction:
                way = direction[1].strip()
                found[-1][1][-1].update({f"spi_{way}": int(direction[2], 16), f"packets_{way}": int(direction[3])})
        return found

    def log(self):
        file = self.state / "charon.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


KEY_KINDS = {"ecdsa": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ecdsa384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
             "ed25519": ["ED25519"]}


def raw_key_pair(directory, name, kind="ecdsa"):
    """A new key of that kind: its file and the public key's PEM file."""
    private, public = directory / f"{name}.pem", directory / f"{name}.pub.pem"
    run(["openssl", "genpkey", "-algorithm", *KEY_KINDS[kind], "-out", private])
    run(["openssl", "pkey", "-in", private, "-pubout", "-out", public])
    return private, public
