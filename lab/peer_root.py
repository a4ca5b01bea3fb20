#!/usr/bin/python3
"""A program of another Debian release as a peer in the lab: it runs in a root directory of that release (tools/root), in the network of one
of the lab's nodes. Such root directories are kept for the next time; making one takes a minute or two, so ./check makes them in advance:

    lab/peer_root.py PEER...      makes the root directories of these peers; without a name, of all
"""
import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
from pathlib import Path

from nodes import LabError

TREE = Path(__file__).resolve().parents[1]
# peer: (release, name of the root, group of tools/packages)
PEERS = {"strongswan": ("forky", "forky", "peer-strongswan"),
         "libreswan": ("trixie", "trixie-peers", "peer-libreswan"),
         "wireguard": ("trixie", "trixie-peers", "peer-wireguard")}
MAKE_S = 900


def roots():
    """The directory of all root directories, from tools/roots."""
    return Path(subprocess.run(["sh", "-c", ". tools/roots; echo \"$ROOTS\""], cwd=TREE, check=True, capture_output=True, text=True).stdout.strip())


class KeptRoot:
    """A root directory of another release in which the command, which installs what is missing, has run. Raises LabError if that is not possible."""

    def __init__(self, release, name, *command):
        self.dir = roots() / name
        self.dir.parent.mkdir(parents=True, exist_ok=True)
        with self.alone():
            # timeout(1) ends the whole process group: a mirror that does not answer keeps grandchildren waiting.
            made = subprocess.run(["timeout", str(MAKE_S), "tools/root", release, str(self.dir), *command], cwd=TREE, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if made.returncode:
            late = f"not made within {MAKE_S} s: " if made.returncode == 124 else ""
            raise LabError(f"root directory of Debian {release} for '{shlex.join(command)}': {late}{(made.stdout + made.stderr)[-800:]}")

    @contextlib.contextmanager
    def alone(self):
        with open(f"{self.dir}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class PeerRoot(KeptRoot):
    """The root directory of one of PEERS."""

    def __init__(self, peer):
        release, name, group = PEERS[peer]
        super().__init__(release, name, "tools/install-packages", group)

    def version(self, package):
        return subprocess.run(["chroot", str(self.dir), "dpkg-query", "-W", "-f", "${Version}", package], check=True, capture_output=True,
                              text=True).stdout

    def words(self, command, state):
        """The command line that runs the command in this root directory, for Node.run() and Node.daemon(). `state`, a directory of the
        machine, has the same path there."""
        inside, state = str(self.dir), str(state)
        os.makedirs(inside + state, exist_ok=True)
        script = "\n".join(["set -e",
                            f"mount --bind {shlex.quote(state)} {shlex.quote(inside + state)}",
                            f"mount --rbind /dev {shlex.quote(inside)}/dev",
                            f"mount -t proc proc {shlex.quote(inside)}/proc",
                            f"mount -t sysfs sysfs {shlex.quote(inside)}/sys",
                            f"mount -t tmpfs tmpfs {shlex.quote(inside)}/run",
                            f"cd / && exec chroot {shlex.quote(inside)} \"$@\""])
        return ["unshare", "--mount", "sh", "-c", script, "sh", *(shlex.split(command) if isinstance(command, str) else map(str, command))]


if __name__ == "__main__":
    missing = 0
    for wanted in sys.argv[1:] or PEERS:
        try:
            PeerRoot(wanted)
        except LabError as error:
            print(f"peer_root: {wanted}: {error}", file=sys.stderr)
            missing = 1
    sys.exit(missing)
