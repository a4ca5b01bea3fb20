"""A machine that really boots: Debian 13 with its own kernel and systemd, in qemu, with two network cards and two neighbours only:

   lan --- eth0 machine eth1 --- wan
   10.9.1.2   10.9.1.1  10.9.2.1   10.9.2.2

Its disk is made from a root directory of that release (booted-machine), which contains Plaingate's packages, not yet installed. The
processor is emulated where the test machine has no virtualization: a boot then takes a minute, or several under load.
"""
import base64
import os
import shutil
import socket
import time

from nodes import LAB_DIR, LabError, Node, run, wait_for
from peer_root import KeptRoot

CARDS = (("lan", 1), ("wan", 2))
MACS = {name: f"52:54:00:00:09:0{n}" for name, n in CARDS}
BOOT_S = 600
DISK = "2500M"


def accelerator():
    with open("/proc/cpuinfo", encoding="ascii") as cpus:
        virtual = any(line.startswith("flags") and {"vmx", "svm"} & set(line.split()) for line in cpus)
    return "kvm" if virtual and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


class Machine:
    """Raises LabError if such a machine cannot be made."""

    def __init__(self, prefix):
        if not shutil.which("qemu-system-x86_64") or not shutil.which("mkfs.ext4"):
            raise LabError("qemu-system-x86_64 or mkfs.ext4 is missing: tools/install-packages boot")
        built = KeptRoot("trixie", "trixie-packages", "tools/debian-packages", "/packages")
        self.root = KeptRoot("trixie", "trixie-booted", "lab/booted-machine", str(built.dir / "packages"))
        self.state = LAB_DIR / ".state" / prefix.rstrip("-")
        self.nodes = {name: Node(name, prefix, self.state) for name, _ in CARDS}
        self.qemu, self.agent, self.heard = None, None, b""

    def __getitem__(self, name):
        return self.nodes[name]

    def up(self):
        """Ends with the first boot."""
        self.state.mkdir(parents=True, exist_ok=True)
        disk, agent = self.state / "disk", self.state / "agent"
        with self.root.alone():
            shutil.rmtree(self.root.dir / "plaingate", ignore_errors=True)  # the tree's copy, for tools/root
            run(["mkfs.ext4", "-q", "-F", "-d", self.root.dir, disk, DISK], timeout=300)
            kernel, initrd = (shutil.copy(self.root.dir / name, self.state) for name in ("vmlinuz", "initrd.img"))
        for node in self.nodes.values():
            node.start(gateway=False)
        command = ["qemu-system-x86_64", "-accel", accelerator(), "-cpu", "max", "-smp", "2", "-m", "1024", "-nodefaults", "-no-user-config",
                   "-display", "none", "-kernel", kernel, "-initrd", initrd,
                   "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=1 loglevel=4",
                   "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe", "-device", "virtio-rng-pci",
                   "-serial", f"file:{self.state / 'console'}", "-chardev", f"socket,id=agent,path={agent},server=on,wait=off", "-serial", "chardev:agent"]
        for name, n in CARDS:
            command += ["-netdev", f"tap,id={name},ifname=tap{n},script=no,downscript=no", "-device",
                        f"virtio-net-pci,netdev={name},mac={MACS[name]}"]
        self.qemu = self["lan"].daemon(command, self.state / "qemu.log")
        wait_for(lambda: agent.exists() or self.qemu.poll() is not None, 20, "qemu to start")
        self.agent = socket.socket(socket.AF_UNIX)
        try:
            self.agent.connect(str(agent))
        except OSError as error:
            raise LabError(f"qemu does not start: {(self.state / 'qemu.log').read_text(encoding='utf-8')[-500:]}") from error
        wait_for(lambda: self["lan"].run("ip link show tap2", check=False).returncode == 0, 20, "the network cards")  # made one by one
        run(["nsenter", f"--net=/run/netns/{self['lan'].netns}", "ip", "link", "set", "tap2", "netns", self["wan"].netns])
        for name, n in CARDS:
            node = self[name]
            for address in (f"10.9.{n}.2/24", f"fd00:9:{n}::2/64"):
                node.run(["ip", "address", "add", address, "dev", f"tap{n}", "nodad"])
            node.run(f"ip link set tap{n} up")
            # It is asked repeatedly before it is up: nobody waits for its answer to ARP.
            node.run(f"ip neighbour replace 10.9.{n}.1 lladdr {MACS[name]} dev tap{n} nud permanent")
            node.run(f"ip route add default via 10.9.{n}.1")
        self.booted()

    def down(self):
        if self.agent:
            self.agent.close()
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait(10)
        for node in self.nodes.values():
            node.stop()
        shutil.rmtree(self.state, ignore_errors=True)

    # --- the agent ---

    def line(self, timeout):
        end = time.monotonic() + timeout
        while b"\n" not in self.heard:
            self.agent.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.heard += self.agent.recv(65536)
            except TimeoutError as error:
                said = (self.state / "console").read_text(encoding="utf-8", errors="replace")[-1500:]
                raise LabError(f"the machine has not answered for {timeout} s; its console: {said}") from error
        line, self.heard = self.heard.split(b"\n", 1)
        return line.decode().strip()

    def booted(self):
        """Waits for the agent of the next boot, and until everything that a boot starts has started."""
        while "*ready*" not in self.line(BOOT_S):
            pass  # the answer to the command that took it down, if there was time for one
        wait_for(lambda: self.run("systemctl is-system-running", check=False) not in ("initializing", "starting"), BOOT_S, "the boot's end", pause=1)

    def tell(self, command):
        self.agent.sendall(base64.b64encode(command.encode()) + b"\n")

    def run(self, command, check=True, timeout=120):
        """The output of the command, run by bash as root on the machine."""
        self.tell(command)
        status, _, said = self.line(timeout).partition(" ")
        said = base64.b64decode(said).decode().strip()
        if check and status != "0":
            raise LabError(f"on the machine: {command}: {status}: {said[-800:]}")
        return said

    def reboot(self):
        self.tell("systemctl --no-block reboot")
        self.booted()
