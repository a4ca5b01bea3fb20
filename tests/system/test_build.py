"""What is built: the same source gives the same octets: packages whatever the circumstances, executables whatever the build directory is called."""
import json
import os
import re
import shutil
import subprocess

import pytest
from kit import ROOT
from nodes import run
from two_sites import EXECUTABLES

REBUILD = ROOT / "tools/rebuild"
OTHERWISE = {"TZ": "Pacific/Chatham", "LC_ALL": "C.UTF-8", "LANG": "tr_TR.UTF-8", "USER": "somebody", "HOME": "/nonexistent"}


def otherwise(command, tmp_path):
    """Runs it with another time zone, locale, user's name, umask, number of processors and place for its files."""
    place = tmp_path / "a-place-with-a-name-that-is-longer"
    place.mkdir()
    return subprocess.run(["taskset", "-c", "0", *map(str, command)], env=os.environ | OTHERWISE | {"TMPDIR": str(place)}, umask=0o077, check=False,
                          capture_output=True, text=True, timeout=1200)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_packages_are_built_twice_the_same(tmp_path):
    given = tmp_path / "given"
    run([ROOT / "tools/debian-packages", given], timeout=1200)
    assert {deb.name.split("_")[0] for deb in given.glob("*.deb")} == {"plaingate", "plaingate-witness"}
    package, = given.glob("plaingate_*.deb")
    files = {line.split()[5] for line in run(["dpkg-deb", "-c", package]).stdout.splitlines()}
    programs = {"plaingate": "./usr/bin/", "plaingated": "./usr/sbin/"}
    assert files >= {programs.get(name, "./usr/libexec/plaingate/") + name for name in EXECUTABLES}
    assert "./usr/share/plaingate/known-answers.json" in files
    assert any(file.endswith("lib/systemd/system/plaingate.service") for file in files)

    # the bill of what is linked: of each program, and of nothing that the package does not depend on
    bill = json.loads((given / "plaingate.cdx.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    linked = {row["ref"]: row["dependsOn"] for row in bill["dependencies"]}
    assert set(linked["plaingate"]) >= {f"plaingate/usr/libexec/plaingate/{name}" for name in EXECUTABLES if name not in programs}
    assert any(ref.endswith("/libcrypto.so.3") for ref in linked["plaingate/usr/libexec/plaingate/plaingate-keeper"])
    depends = set(re.findall(r"[a-z0-9][a-z0-9.+-]+", run(["dpkg-deb", "-f", package, "Depends"]).stdout))
    packages = {ref.split("/")[0] for program in linked["plaingate"] if program.startswith("plaingate/") for ref in linked[program]}
    assert packages and packages <= depends, packages - depends
    purls = {row["bom-ref"]: row["purl"] for row in bill["components"] if row["type"] == "library"}
    assert all(re.fullmatch(r"pkg:deb/debian/[a-z0-9.+-]+@[^@+:]+\?arch=amd64", purl) for purl in purls.values()), purls

    # one package has another octet in an executable: it is named, the other package is equal
    work = tmp_path / "unpacked"
    run(["dpkg-deb", "--raw-extract", package, work])
    keeper = work / "usr/libexec/plaingate/plaingate-keeper"
    octets = bytearray(keeper.read_bytes())
    octets[len(octets) // 2] ^= 1
    keeper.write_bytes(octets)
    kept = tmp_path / "kept.deb"
    shutil.move(package, kept)
    run(["dpkg-deb", "--root-owner-group", "--build", work, package])
    done = otherwise([REBUILD, "--here", given], tmp_path)
    assert done.returncode == 1, done
    differs = [line for line in done.stdout.splitlines() if "differs" in line]
    assert len(differs) == 2 and "usr/libexec/plaingate/plaingate-keeper: differs" in differs[1], done.stdout
    assert "plaingate-witness" in done.stdout.split("equal")[0].splitlines()[-1], done.stdout


def test_what_cannot_be_compared(tmp_path):
    done = run([REBUILD, tmp_path], check=False)
    assert done.returncode == 2 and "0 files *.buildinfo found" in done.stderr, done


@pytest.mark.slow
def test_the_build_directory_has_no_name(tmp_path):
    """Programs with their debug information, of two build directories in copies of the tree."""
    made = []
    for tree, build in (("one", "build"), ("another and longer", "obj-of-another-name")):
        to = tmp_path / tree
        to.mkdir()
        run(["sh", "-c", f"tar -C '{ROOT}' --exclude='./build*' --exclude=./.git --exclude=./lab/.state -cf - . | tar -C '{to}' -xf -"])
        run(["meson", "setup", to / build, to, "-Dtests=false"], env=os.environ | {"CCACHE_DISABLE": "1"})
        run(["ninja", "-C", to / build, "src/proc/entropy/plaingate-entropy"], timeout=250, env=os.environ | {"CCACHE_DISABLE": "1"})
        made.append((to / build / "src/proc/entropy/plaingate-entropy").read_bytes())
    assert made[0] == made[1]
