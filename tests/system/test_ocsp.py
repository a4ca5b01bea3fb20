"""OCSP between two gateways with certificates of one authority, at a real responder (openssl ocsp): soft lets in while nobody answers, and ends the IKE SA
when the responder calls the certificate revoked; hard lets in by a good answer alone, of the authority or of a responder that it has certified, and says
why not by anything else."""
import subprocess
import textwrap

import pytest
from cryptography import x509
from kit import GATEWAYS, ledger_entries, own_lab, show, wait_for
from test_certifiers import CERTIFIERS, Pki, refusals, restart_hq_with, text_of, up

RESPONDER = "192.0.2.80"
HQ, BRANCH = GATEWAYS


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgo")

    def prepare(lab):
        lab.pki = Pki(lab)

    two_sites.up("off", configs={gateway: text_of(gateway) for gateway in GATEWAYS}, prepare=prepare)
    two_sites.responders = Responders(two_sites)
    try:
        yield two_sites
    finally:
        two_sites.responders.stop()
        two_sites.down()


class Responders:
    """One at a time, each at a port of its own."""

    def __init__(self, lab):
        self.lab, self.directory, self.node, self.running, self.port = lab, lab.pki.directory, lab["web"], None, 8880
        self.certify("delegate", "OCSPSigning")
        self.certify("pretender", "clientAuth")

    def certify(self, name, purpose):
        """A certificate of the authority with this purpose alone."""
        (self.directory / f"{name}.ext").write_text(f"extendedKeyUsage={purpose}\nkeyUsage=digitalSignature\n")
        for command in (f"req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.pem -subj /CN={name} -out {name}.csr",
                        f"x509 -req -in {name}.csr -CA ca/ca.crt -CAkey ca/ca.pem -days 2 -extfile {name}.ext -out {name}.crt"):
            subprocess.run(["openssl", *command.split()], cwd=self.directory, check=True, capture_output=True)

    def index(self, known, revoked=False):
        """What the authority has issued, as openssl has it."""
        serials = [x509.load_pem_x509_certificate((self.directory / f).read_bytes()).serial_number for f in known]
        lines = [f"{'R' if revoked else 'V'}\t491231235959Z\t{'260101000000Z' if revoked else ''}\t{serial:040X}\tunknown\t/CN=x" for serial in serials]
        (self.directory / "index.txt").write_text("".join(line + "\n" for line in lines))

    def begin(self, command):
        self.stop()
        self.running = self.node.daemon(command, self.node.state / "responder.log")
        wait_for(lambda: f":{self.port} " in self.node.run(["ss", "-Hltn"]).stdout, 30, "the responder to listen")

    def openssl(self, signer="ca/ca", known=("branch-ca.crt",), revoked=False):
        self.port += 1
        self.index(known, revoked)
        self.begin(["openssl", "ocsp", "-index", self.directory / "index.txt", "-port", str(self.port), "-CA", self.directory / "ca/ca.crt",
                    "-rsigner", self.directory / f"{signer}.crt", "-rkey", self.directory / f"{signer}.pem", "-nmin", "30", "-ignore_err"])

    def other(self, body):
        """An HTTP server that answers whatever is asked with what the expression says; None: with silence."""
        self.port += 1
        (self.directory / "other.py").write_text(textwrap.dedent(f"""
            import http.server, time
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    body = {body}
                    if body is None:
                        time.sleep(60)
                        return
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
            http.server.ThreadingHTTPServer(("0.0.0.0", {self.port}), Handler).serve_forever()
            """))
        self.begin(["/usr/bin/python3", self.directory / "other.py"])

    def stop(self):
        if self.running:
            self.running.kill()
            self.running.wait(20)
            self.running = None


def configured(lab, check):
    """The profile has the responder's port in its name, so that nothing that was said before counts."""
    port = lab.responders.port
    profile = f'ca-profile ca{port} {{ file ca.crt; revocation-check {check}; ocsp-url "http://{RESPONDER}:{port}"; }}'
    return text_of(HQ).replace("ca-profile ca { file ca.crt; }", profile).replace("trusted-ca ca;", f"trusted-ca ca{port};")


def answers(lab):
    """Of the responder that is configured now."""
    return [row for row in show(lab, HQ, "pki") if row["kind"] == "ocsp"]


def shown(lab, state):
    return next((row for row in answers(lab) if row["state"] == state), None)


def begin(lab, check):
    lab[HQ].run("plaingate ike terminate branch", check=False)
    wait_for(lambda: not up(lab) and not up(lab, BRANCH), 30, "the end of the tunnel")
    lab.commit(HQ, configured(lab, check), f"{check}, a responder at port {lab.responders.port}")
    lab[HQ].run("plaingate ike initiate branch", check=False)


def test_soft_and_what_comes_later(lab):
    """Nobody listens: soft lets in and says so. Then the responder is there, and the certificate is revoked: the IKE SA ends."""
    lab.responders.port += 1
    begin(lab, "soft")
    lab.wait_for_tunnel(60)
    row = wait_for(lambda: shown(lab, "none"), 30, "the row")
    assert row["reason"] and row["source"] == f"http://{RESPONDER}:{lab.responders.port}", row
    assert "it is accepted without (revocation-check soft)" in (lab[HQ].state / "plaingated.log").read_text()
    lab.responders.port -= 1
    lab.responders.openssl(revoked=True)
    wait_for(lambda: any("a certificate of peer 'branch' is revoked" in entry["body"]["reason"] for entry in ledger_entries(lab, HQ) if entry["type"] == "ike_sa_down"),
             60, "the end of its IKE SA, in the ledger")
    assert not up(lab)
    wait_for(lambda: shown(lab, "revoked"), 20, "the row")
    before = len(refusals(lab))
    lab[HQ].run("plaingate ike initiate branch", check=False)
    wait_for(lambda: any("a certificate of the chain is revoked" in reason for reason in refusals(lab)[before:]), 30, "the refusal")


@pytest.mark.parametrize("signer", ["ca/ca", "delegate"])
def test_hard_lets_in_by_a_good_answer(lab, signer):
    lab.responders.openssl(signer)
    begin(lab, "hard")
    lab.wait_for_tunnel(60)
    row = wait_for(lambda: shown(lab, "good"), 20, "the row")
    assert "reason" not in row and row["next_update"] > row["updated"], row
    responder = next(row for row in show(lab, HQ, "resolver") if row["kind"] == "ocsp")
    assert responder["state"] == "answers" and responder["answers"] >= 2, responder  # both certifiers ask for themselves


REFUSED = {
    "unknown": (lambda r: r.openssl(known=("hq-ca.crt",)), "the responder does not know the certificate"),
    "an authority that is none of ours": (lambda r: r.openssl("stranger/ca"), "neither the issuer has signed it"),
    "a certificate for something else": (lambda r: r.openssl("pretender"), "neither the issuer has signed it"),
    "HTML": (lambda r: r.other("b'<html>sign in</html>'"), "it is no OCSP response in DER"),
    "garbage": (lambda r: r.other("bytes(range(256)) * 8"), "it is no OCSP response in DER"),
    "huge": (lambda r: r.other("bytes(1 << 20)"), "8192"),
    "silence": (lambda r: r.other("None"), "in time"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_hard_refuses_without_one(lab, case):
    make, reason = REFUSED[case]
    make(lab.responders)
    before = len(refusals(lab))
    begin(lab, "hard")
    wait_for(lambda: any("no valid OCSP answer" in refusal for refusal in refusals(lab)[before:]), 60, "the refusal")
    assert not up(lab)
    wait_for(lambda: any(reason in row.get("reason", "") for row in answers(lab)), 30, f"'{reason}'", pause=0.2)
    explained = lab[HQ].run("plaingate vpn explain branch", check=False).stdout
    assert "ocsp-url of the ca-profile" in explained, explained


def test_what_is_no_responder(lab):
    """https is not asked for, and the place of a responder has no query."""
    for url, reason in (("https://192.0.2.80/", "expected http://"), ("http://192.0.2.80/?a", "may not contain a query")):
        text = text_of(HQ).replace("file ca.crt;", f'file ca.crt; ocsp-url "{url}";')
        (lab[HQ].state / "etc/other.conf").write_text(text)
        refused = lab[HQ].run(["plaingate", "check", "/etc/plaingate/other.conf"], check=False)
        assert refused.returncode != 0 and ".conf:1:" in refused.stderr and reason in refused.stderr, refused


@pytest.mark.parametrize("planted, refuses", [(CERTIFIERS[:1], CERTIFIERS[1]), (CERTIFIERS[1:], CERTIFIERS[0]), (CERTIFIERS, None)])
def test_an_error_in_one_engine_lets_nobody_in(lab, planted, refuses):
    """A certifier that believes whatever it is told by OCSP: with a right one beside it nobody comes in by an answer of somebody else's. Two of them let
    in, so it was the right one that did not."""
    lab.responders.openssl("stranger/ca")
    before = len(refusals(lab))
    begin(lab, "hard")
    restart_hq_with(lab, *planted, error="believing")
    lab[HQ].run("plaingate ike initiate branch", check=False)
    if not refuses:
        lab.wait_for_tunnel(60)
        return
    wait_for(lambda: any(f"{refuses}: no valid OCSP answer" in reason for reason in refusals(lab)[before:]), 60, "the other one's refusal", pause=0.2)
    assert not up(lab)
