"""Two gateways with certificates of one authority: the tunnel comes up; a CRL that is fetched ends it when it names the peer's certificate; while one of
the certifiers is dead nobody comes in, and the refusal names it; and an error planted into the engine of one of them lets nobody in either."""
import hashlib
import os
import shutil
import signal
import subprocess

import pytest
from kit import GATEWAYS, HOST_B, config_of, ledger_entries, memory_holds, own_lab, processes, show, wait_for

CERTIFIERS = ("certifier-openssl", "certifier-gnutls")
CONFIGURED = (("pre-shared-key hq-branch;", "local-certificate gw;\n        trusted-ca ca;"),)


def text_of(gateway):
    return "pki { ca-profile ca { file ca.crt; } }\n" + config_of(gateway, *CONFIGURED)


class Pki:
    """Authorities and certificates, made by the program. Both gateways get theirs of `ca`, and trust it."""

    def __init__(self, lab):
        self.lab, self.directory = lab, lab.state / "pki"
        self.directory.mkdir()
        for authority in ("ca", "stranger"):
            self.run("authority", authority, "--subject", f"CN={authority}")
        for gateway in GATEWAYS:
            self.give(gateway, "ca")

    def run(self, *arguments):
        subprocess.run([self.lab.state / "bin/plaingate", "pki", *arguments], cwd=self.directory, check=True, capture_output=True)

    def give(self, gateway, authority, files=None):
        """A new key, with a certificate of that authority; files: what theirs begin with."""
        named = ("--subject", f"CN={gateway}.example.net", "--san", f"dns:{gateway}.example.net")
        files = files or f"{gateway}-{authority}"
        self.run("request", f"{files}.pem", *named, "-o", f"{files}.csr")
        self.run("issue", authority, f"{files}.csr", *named, "-o", f"{files}.crt")
        self.lab.write_key(gateway, "gw.pem", (self.directory / f"{files}.pem").read_text())
        self.lab.write_certificate(gateway, "gw.crt", (self.directory / f"{files}.crt").read_text())
        self.lab.write_certificate(gateway, "ca.crt", (self.directory / "ca/ca.crt").read_text())


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgx")

    def prepare(lab):
        lab.pki = Pki(lab)

    two_sites.up("off", configs={gateway: text_of(gateway) for gateway in GATEWAYS}, prepare=prepare)
    try:
        yield two_sites
    finally:
        two_sites.down()


def up(lab, gateway="hq"):
    return [row for row in show(lab, gateway, "ike") if row["state"] == "established"]


def refusals(lab):
    return [entry["body"]["reason"] for entry in ledger_entries(lab, "hq") if entry["type"] == "handshake_refused" and entry["source"] == "keeper"]


def test_the_tunnel_comes_up(lab):
    lab.wait_for_tunnel(30)
    assert up(lab) and up(lab, "branch")
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {HOST_B}")


def test_the_key_is_with_the_keeper_alone(lab):
    """That of our certificate, in no other process; and the same search finds in them what they may know."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    pem = (lab.pki.directory / "hq-ca.pem").read_bytes()
    scalar = serialization.load_pem_private_key(pem, None).private_numbers().private_value.to_bytes(32, "big")
    authority = x509.load_pem_x509_certificate((lab.pki.directory / "ca/ca.crt").read_bytes()).public_bytes(serialization.Encoding.DER)
    secrets = {"as written": scalar, "as a number of this machine": scalar[::-1], "as text": pem.splitlines()[1][:48]}
    pids = {name: pid for name, (pid, _) in processes(lab, "hq").items()}
    held = {name: memory_holds(pid, secrets) for name, pid in pids.items()}
    assert held.pop("keeper"), "the search must find it where it is"
    assert not any(held.values()), held
    for name in ("ike", "control", *CERTIFIERS):
        assert memory_holds(pids[name], {"authority": authority[:64]}), f"the search must find the authority's certificate in {name}"


def test_what_a_certifier_cannot_read_is_refused(lab):
    rows = show(lab, "hq", "pki")
    assert [(row["kind"], row["state"]) for row in rows] == [("authority", "valid"), ("crl", "none"), ("certificate", "valid")], rows
    good = (lab.pki.directory / "ca/ca.crt").read_text()
    check = ["plaingate", "check", "/etc/plaingate/hq.conf"]
    assert lab["hq"].run(check).returncode == 0
    lab.write_certificate("hq", "ca.crt", "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n")
    refused = lab["hq"].run(check, check=False)
    lab.write_certificate("hq", "ca.crt", good)
    assert refused.returncode != 0 and "file 'ca.crt'" in refused.stderr and "certifier-" in refused.stderr, refused


def list_shown(lab):
    """The row of the CRL that is fetched, in `show pki` of hq."""
    return next((row for row in show(lab, "hq", "pki") if row.get("source")), {})


def serve_list(lab):
    """The authority's newest CRL, at a real HTTP server."""
    served = lab["web"].state / "www/ca.crl"
    served.with_suffix(".new").write_bytes((lab.pki.directory / "ca/ca.crl").read_bytes())
    served.with_suffix(".new").rename(served)
    return served


def test_a_crl_is_fetched(lab):
    """The branch's certificate is revoked: with the next reading its IKE SA ends, and it is let in with another certificate alone. While the server is
    away the last list counts; where there is none, soft lets in, and hard says why it does not."""
    profile = 'ca-profile {} {{ file ca.crt; revocation-check {}; crl-url "http://192.0.2.80/{}"; update-interval 1; }}'
    lab.pki.run("crl", "ca")
    served = serve_list(lab)
    lab.commit("hq", text_of("hq").replace("ca-profile ca { file ca.crt; }", profile.format("ca", "soft", "ca.crl")), "a CRL is fetched")
    row = wait_for(lambda: (list_shown(lab).get("state") == "valid" and list_shown(lab)), 20, "the list")
    assert row["file"] == "ca.crl" and row["source"] == "http://192.0.2.80/ca.crl", row
    entry = next(entry for entry in ledger_entries(lab, "hq") if entry["type"] == "crl_in_force")["body"]
    assert entry == {"authority": "ca", "from": row["source"], "sha256": hashlib.sha256(served.read_bytes()).hexdigest()}, entry
    lab.wait_for_tunnel(60)
    # older ones, and what is none, replace nothing
    older = served.read_bytes()
    lab.pki.run("revoke", "ca", "branch-ca.crt")
    before = len(refusals(lab))
    serve_list(lab)
    wait_for(lambda: not up(lab), 30, "the end of its IKE SA")
    wait_for(lambda: any("a certificate of peer 'branch' is revoked" in entry["body"]["reason"] for entry in ledger_entries(lab, "hq") if entry["type"] == "ike_sa_down"),
             20, "its entry")
    lab["hq"].run("plaingate ike initiate branch", check=False)
    wait_for(lambda: any("a certificate of the chain is revoked" in reason for reason in refusals(lab)[before:]), 30, "the refusal")
    for content, reason in ((older, "older than the one in use"), (b"<html>", "it holds no CRL")):
        served.write_bytes(content)
        wait_for(lambda reason=reason: reason in list_shown(lab).get("reason", ""), 20, reason)
    served.unlink()
    wait_for(lambda: "status 404" in list_shown(lab).get("reason", ""), 20, "the server to have none")
    assert list_shown(lab)["state"] == "valid" and not up(lab)
    lab.pki.give("branch", "ca", "another-branch")
    lab.commit("branch", text_of("branch"), "another certificate")
    lab["hq"].run("plaingate ike initiate branch", check=False)
    lab.wait_for_tunnel(60)
    # hard, by a profile whose list was never there
    before = len(refusals(lab))
    lab.commit("hq", text_of("hq").replace("ca-profile ca { file ca.crt; }", profile.format("never", "hard", "none.crl")).replace("trusted-ca ca;", "trusted-ca never;"),
               "hard, without a list")
    wait_for(lambda: list_shown(lab).get("state") == "missing", 20, "the list to be missing")
    lab["hq"].run("plaingate ike initiate branch", check=False)
    wait_for(lambda: any("no valid CRL of an authority" in reason for reason in refusals(lab)[before:]), 30, "the refusal")
    assert not up(lab)
    lab.commit("hq", text_of("hq"), "as before")
    lab["hq"].run("plaingate ike initiate branch", check=False)
    lab.wait_for_tunnel(60)


@pytest.mark.parametrize("name", CERTIFIERS)
def test_a_dead_certifier_lets_nobody_in(lab, name):
    """It is held while hq asks it about the branch, which has let hq in already; then it ends."""
    pid, before = processes(lab, "hq")[name][0], len(refusals(lab))
    lab["hq"].run("plaingate ike terminate branch")
    wait_for(lambda: not up(lab) and not up(lab, "branch"), 20, "the end of the tunnel")
    os.kill(pid, signal.SIGSTOP)
    lab["hq"].run("plaingate ike initiate branch", check=False)
    wait_for(lambda: up(lab, "branch"), 20, "the branch to let hq in")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: any(f"{name} " in reason for reason in refusals(lab)[before:]), 20, "a refusal that names it")
    wait_for(lambda: processes(lab, "hq").get(name, (pid,))[0] != pid, 20, "the supervisor to restart it")
    lab["hq"].run("plaingate ike initiate branch", check=False)
    lab.wait_for_tunnel(60)


@pytest.fixture(scope="module")
def stranger(lab):
    """The branch has a certificate of an authority that hq does not know."""
    lab.pki.give("branch", "stranger")
    lab.commit("branch", text_of("branch"), "a certificate of another authority")


def restart_hq_with(lab, *planted, error="credulous"):
    """These certifiers take any certificate, or with `believing` any OCSP answer; the others are as they were."""
    lab.daemons["hq"].terminate()
    lab.daemons["hq"].wait(20)
    for name in CERTIFIERS:
        program = lab.state / f"bin/plaingate-{name}"
        program.unlink()
        shutil.copy2(next(lab.build.rglob(f"plaingate-{name}{f'-{error}' if name in planted else ''}")), program)
    lab.start_gateway("hq")


@pytest.mark.parametrize("name, other", [CERTIFIERS, CERTIFIERS[::-1]])
def test_an_error_in_one_engine_lets_nobody_in(lab, stranger, name, other):
    before = len(refusals(lab))
    restart_hq_with(lab, name)
    wait_for(lambda: any(f"{other}: no chain" in reason for reason in refusals(lab)[before:]), 60, "the other one's refusal", pause=0.2)
    assert not up(lab)


def test_an_error_in_both_does(lab, stranger):
    """So it was the other engine that kept the stranger out, and the errors that are planted are some."""
    restart_hq_with(lab, *CERTIFIERS)
    lab.wait_for_tunnel(60)
