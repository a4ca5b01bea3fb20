"""Machines of a lab: each is a holder process, the first of a PID namespace of its own, with its own network, mount and UTS
namespaces. What runs on a machine runs inside the holder's namespaces and dies with it, so taking a lab down means ending the
holders. Two-sites (two_sites.py) is built from these; tests and benchmarks use both.

The files of a machine are in lab/.state/LAB/NODE/. A gateway sees its own part of them as /etc/plaingate, /var/lib/plaingate and
/run/plaingate, the lab's executables as /usr/libexec/plaingate and its known answers as /usr/share/plaingate, so that commands look as on a real machine.
"""
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

LAB_DIR = Path(__file__).resolve().parent
ROOT = LAB_DIR.parent
LIBEXEC = "/usr/libexec/plaingate"
GATEWAY_DIRS = (("etc", "/etc/plaingate"), ("lib", "/var/lib/plaingate"), ("run", "/run/plaingate"), ("../bin", LIBEXEC),
                ("../share", "/usr/share/plaingate"))
OFFLOADS = {  # of each link, as ethtool names them
    "on": "",  # veth's own defaults: segments of up to 64 KB and unfinished checksums cross the links
    "wire": "tso off gso off tx off gro on",  # MTU-sized frames as on a cable, joined on receipt
    "off": "tso off gso off tx off gro off",
}
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """What went wrong, as one sentence."""


def run(command, check=True, timeout=60, **kwargs):
    """Runs on this machine. A string is split as a shell would; no shell is involved."""
    words = shlex.split(command) if isinstance(command, str) else [str(w) for w in command]
    kwargs.setdefault("text", True)
    done = subprocess.run(words, capture_output=True, timeout=timeout, **kwargs)
    if check and done.returncode:
        raise LabError(f"{shlex.join(words)}: {str(done.stderr or done.stdout).strip()[-800:]}")
    return done


PATIENCE = 3  # a loaded machine needs so many times what an idle one does; a longer limit costs nothing where the condition comes


OBSERVED = []  # of each lab that is up, what says its state: the text of a wait that was in vain


def observations():
    """What the labs that are up say of themselves, whatever state they are in."""
    said = []
    for observe in OBSERVED:
        try:
            said.append(observe())
        except (LabError, OSError, ValueError, subprocess.SubprocessError) as error:
            said.append(f"(no more is known: {error})")
    return "".join("\n" + text for text in said)


def wait_for(condition, timeout, what, pause=0.05):
    """Asks until the answer is true, and returns it; after PATIENCE times the timeout LabError, with the last answer and what the labs
    that are up say of themselves. A limit that is itself the claim is no timeout: measure by calm_time()."""
    end = time.monotonic() + PATIENCE * timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise LabError(f"timed out after {PATIENCE * timeout} s waiting for {what}; the last answer was {answer!r}{observations()}")
        time.sleep(pause)


class CalmClock:
    """Seconds in which nothing on this machine waited for a processor or a disk, as the kernel counts it (/proc/pressure), and a tenth
    of the others: a clock for claims about time, which on a loaded machine are claims about its load otherwise. Where the kernel does not
    count, all seconds."""

    def __init__(self):
        self.lock, self.total = threading.Lock(), 0.0
        self.at, self.waited = time.monotonic(), self.pressure()

    @staticmethod
    def pressure():
        microseconds = 0
        for resource in ("cpu", "io"):
            try:
                with open(f"/proc/pressure/{resource}", encoding="ascii") as said:
                    microseconds += int(said.readline().rpartition("total=")[2])
            except (OSError, ValueError):
                pass
        return microseconds / 1e6

    def __call__(self):
        with self.lock:
            now = time.monotonic()
            if now - self.at > 0.005:  # asked for every packet of a stream
                waited = self.pressure()
                self.total += max(now - self.at - (waited - self.waited), (now - self.at) / 10)
                self.at, self.waited = now, waited
            return self.total


calm_time = CalmClock()


class Process(subprocess.Popen):
    """A command inside a node. The child process is nsenter, which waits for the command; signals are sent to the command."""

    def inner_pid(self):
        """The command's pid as seen on this machine, None if it has ended."""
        def child():
            try:
                with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="utf-8") as children:
                    return children.read().split() or self.poll() is not None
            except OSError:
                return True
        found = wait_for(child, 5, "a command to start", pause=0.005)
        return int(found[0]) if found is not True else None

    def send_signal(self, sig):
        pid = self.inner_pid() if self.poll() is None else None
        if pid:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass


class Node:
    def __init__(self, name, prefix, state):
        self.name, self.netns, self.state = name, prefix + name, state / name
        self.pid_file = self.state / "holder.pid"

    # --- start and end ---

    def start(self, gateway):
        """Creates the namespaces and the holder; returns when commands can run there."""
        self.state.mkdir(parents=True, exist_ok=True)
        run(["ip", "netns", "add", self.netns])
        self.pid_file.unlink(missing_ok=True)
        mounts = ["mount -t proc proc /proc", "mount -t sysfs sysfs /sys"]
        for here, there in GATEWAY_DIRS if gateway else ():
            source = (self.state / here).resolve()
            source.mkdir(parents=True, exist_ok=True)
            os.makedirs(there, exist_ok=True)  # an empty mount point; the host's own contents of it are not touched
            mounts.append(shlex.join(["mount", "--bind", str(source), there]))
        # /proc is still the host's own when the pid is read. An ignored SIGCHLD makes the holder reap orphans.
        script = "\n".join([
            "set -e", "read -r me _ </proc/self/stat", f"hostname {shlex.quote(self.name)}", *mounts, "trap '' CHLD",
            f'echo "$me" >{shlex.quote(str(self.pid_file))}.new',
            f"mv {shlex.quote(str(self.pid_file))}.new {shlex.quote(str(self.pid_file))}", "exec sleep infinity"])
        with open(self.state / "holder.log", "w", encoding="utf-8") as log:
            self.starter = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.netns}", "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child",
                 "--propagation", "private", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(lambda: self.pid_file.exists() or self.starter.poll() is not None, 10, f"the namespaces of {self.name}")
        finally:
            if not self.holder():
                said = (self.state / "holder.log").read_text(encoding="utf-8").strip()
                raise LabError(f"the namespaces of {self.name} could not be created: {said or 'no reason given'}")
        self.run("ip link set lo up")
        self.sysctl({"net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0, "net.ipv4.ip_forward": 0,
                     "net.ipv6.conf.all.forwarding": 0, "net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0,
                     "net.ipv6.conf.all.accept_ra": 0, "net.ipv6.conf.default.accept_ra": 0,
                     "net.ipv6.conf.default.disable_ipv6": 0, "net.ipv4.ping_group_range": "0 2147483647"})

    def holder(self):
        """The holder's pid, or None: the file may be stale, and the number may belong to another process by now."""
        try:
            pid = int(self.pid_file.read_text(encoding="utf-8"))
            same = os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(f"/run/netns/{self.netns}").st_ino
            return pid if same else None
        except (OSError, ValueError):
            return None

    def stop(self):
        pid = self.holder()
        if pid:
            os.kill(pid, signal.SIGKILL)  # and with it everything in its PID namespace
            wait_for(lambda: not os.path.exists(f"/proc/{pid}/ns/net"), 10, f"the end of {self.name}")
        starter = getattr(self, "starter", None)
        if starter:
            starter.wait(10)
        if os.path.exists(f"/run/netns/{self.netns}"):
            run(["ip", "netns", "del", self.netns])

    # --- commands ---

    def words(self, command):
        """The command line that enters the node and runs the command there, in the caller's working directory."""
        pid = self.holder()
        if not pid:
            raise LabError(f"the machine {self.name} is not up; start it with lab/up two-sites")
        inside = shlex.split(command) if isinstance(command, str) else [str(w) for w in command]
        return ["nsenter", f"--target={pid}", "--mount", "--uts", "--net", "--pid", "--", "/bin/sh", "-c",
                f'PATH="{LIBEXEC}:$PATH"; export PATH; cd "$1" 2>/dev/null || cd /; shift; exec "$@"', "sh", os.getcwd(), *inside]

    def run(self, command, check=True, timeout=60, **kwargs):
        kwargs.setdefault("text", True)
        process = self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if check and process.returncode:
            words = command if isinstance(command, str) else shlex.join(map(str, command))
            raise LabError(f"on {self.name}: {words}: {str(err or out).strip()[-800:]}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def popen(self, command, **kwargs):
        for stream in ("stdin", "stdout", "stderr"):
            kwargs.setdefault(stream, subprocess.DEVNULL)
        return Process(self.words(command), **kwargs)

    def daemon(self, command, log):
        """Starts something that continues when the caller ends; its output goes to the file. It dies with the node."""
        with open(log, "ab") as out:
            return Process(self.words(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def sysctl(self, values):
        self.run(["sysctl", "-qw", *[f"{key}={value}" for key, value in values.items()]])

    def socket(self, family, kind, protocol=0):
        """A socket in this node's network for the caller's process: opened by a thread that enters the network namespace for a moment."""
        made = []

        def enter():
            try:
                with open(f"/run/netns/{self.netns}", "rb") as ns:
                    if libc.setns(ns.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.socket(family, kind, protocol))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def interface_counter(self, interface, counter):
        return int(self.run(["cat", f"/sys/class/net/{interface}/statistics/{counter}"]).stdout)


def link(a, a_interface, b, b_interface, offloads):
    """A cable between two nodes."""
    run(["ip", "link", "add", a_interface, "netns", a.netns, "type", "veth", "peer", "name", b_interface, "netns", b.netns])
    for node, interface in ((a, a_interface), (b, b_interface)):
        if OFFLOADS[offloads]:
            for feature, value in zip(*[iter(OFFLOADS[offloads].split())] * 2):
                node.run(["ethtool", "-K", interface, feature, value])
        node.run(["ip", "link", "set", interface, "up"])
