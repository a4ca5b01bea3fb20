"""What `plaingate check` says of the machine's files, on a machine of its own: a mount namespace with another /etc."""
import os
import shutil
import subprocess

import pytest
from test_pki import PROGRAM, run

pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason=f"{PROGRAM} is not built")
NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]

TEXT = """
zones {{ zone wan {{ interfaces wan0; host-inbound ike; }} zone vpn; }}
pki {{ ca-profile vpn-ca {{ file vpn-ca.crt; revocation-check {check}; {url} }} }}
ike {{
    peer branch {{
        local-address 192.0.2.1; remote-address 192.0.2.2; local-id {local}; remote-id branch.example.net; local-certificate hq; trusted-ca vpn-ca;
    }}
}}
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", "/etc"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    (folder / "certificates").mkdir()
    run(folder, "authority", "ca", "--subject", "CN=VPN CA")
    run(folder, "request", "hq.pem", "--subject", "CN=hq", "-o", "hq.csr")
    run(folder, "issue", "ca", "hq.csr", "--subject", "CN=hq", "--san", "dns:hq.example.net,ip:192.0.2.1", "-o", "certificates/hq.crt")
    run(folder, "crl", "ca")
    (folder / "certificates/vpn-ca.crt").write_bytes((folder / "ca/ca.crt").read_bytes())
    return folder


def check(folder, crl=False, check="soft", url="", local="hq.example.net"):
    (folder / "vpn.conf").write_text(TEXT.format(check=check, url=url, local=local))
    script = f"""mount -t tmpfs none /etc && mkdir /etc/plaingate && cp -r {folder}/certificates /etc/plaingate &&
        {f"cp {folder}/ca/ca.crl /etc/plaingate/certificates/vpn-ca.crl &&" if crl else ""} exec {PROGRAM} check {folder}/vpn.conf"""
    done = subprocess.run([*NAMESPACE, "sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hard_without_a_list_lets_nobody_in(machine):
    no_list = "ca-profile 'vpn-ca' has revocation-check hard and no list of the revoked: until /etc/plaingate/certificates/vpn-ca.crl is there"
    assert no_list in check(machine, check="hard")
    assert no_list not in check(machine, crl=True, check="hard")
    assert no_list not in check(machine, check="soft")
    assert no_list not in check(machine, check="hard", url="crl-url http://192.0.2.7/vpn-ca.crl;")


@pytest.mark.parametrize("local, good", [
    ("hq.example.net", True), ("HQ.example.net", True), ("192.0.2.1", True), ("gw.hq.example.net", False), ("192.0.2.7", False), ("hq@example.net", False)])
def test_an_identity_that_our_certificate_does_not_have(machine, local, good):
    assert ("peer 'branch' is shown (local-id, or else local-address) is not in subjectAltName of /etc/plaingate/certificates/hq.crt" in check(
        machine, crl=True, local=local)) != good
