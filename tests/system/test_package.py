"""The package's scripts on a running gateway: an upgrade keeps the filter, a removal does not leave a machine that nothing can open any
more, a purge destroys no evidence. test_build.py builds the packages, test_boot.py installs them."""
from kit import ROOT, connect, listener, show


def script(lab, name, *arguments):
    done = lab["hq"].run(["sh", str(ROOT / f"debian/plaingate.{name}"), *arguments], check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_upgrade_remove_purge(lab):
    hq = lab["hq"]
    before = hq.run("nft list ruleset").stdout
    for arguments in (("upgrade", "2"), ("failed-upgrade", "1"), ("deconfigure", "in-favour", "x", "1")):
        assert not script(lab, "prerm", *arguments)
    assert hq.run("nft list ruleset").stdout == before and show(lab, "hq", "status")
    said = script(lab, "prerm", "remove")
    assert "THE FILTER IS GONE" in said
    lab.daemons["hq"].wait(15)
    assert not hq.run("nft list ruleset").stdout.strip()
    for family in ("-4", "-6"):
        assert "20551" not in hq.run(f"ip {family} rule").stdout
    with listener(lab, "hq", 8080):
        client = connect(lab, "host-a", "10.1.0.1", 8080)
        assert not isinstance(client, OSError)
        client.close()
    assert not script(lab, "postrm", "remove")
    assert "rm -r /var/lib/plaingate" in script(lab, "postrm", "purge")
    assert hq.run("ls /var/lib/plaingate/ledger /etc/plaingate/keys/hq-branch.psk").returncode == 0
    lab.start_gateway("hq")
    lab.wait_for_tunnel()


def test_remove_of_a_machine_that_does_not_run(lab):
    """Stopped, as systemd did before: the filter is in place and no process maintains it."""
    lab.daemons["hq"].terminate()
    lab.daemons["hq"].wait(15)
    assert "plaingate" in lab["hq"].run("nft list ruleset").stdout
    assert "THE FILTER IS GONE" in script(lab, "prerm", "remove")
    assert not lab["hq"].run("nft list ruleset").stdout.strip()
    assert "THE FILTER IS GONE" in script(lab, "prerm", "remove"), "again"
    lab.start_gateway("hq")
    lab.wait_for_tunnel()
