"""Plaingate at hq and strongSwan at the branch, as the files of this folder use them."""
import base64

from kit import HOST_B, UdpStream, config_of, own_lab, show, wait_for
from two_sites import FORWARD
from nodes import LabError, run
from strongswan import StrongSwan, raw_key_pair

# What hq has until the peer is ready.
NO_TUNNEL = "zones {\n    zone trust {\n        interfaces lan0;\n        host-inbound ping;\n    }\n}\n"
ENCRYPTION = {"aes": "aes256gcm16", "aes128": "aes128gcm16", "chacha": "chacha20poly1305",
              "cbc128": "aes128cbcsha256", "cbc256": "aes256cbcsha512", "cbc384": "aes256cbcsha384"}
# What strongSwan calls otherwise.
THEIRS = {"aes128cbcsha256": "aes128-sha256", "aes256cbcsha384": "aes256-sha384", "aes256cbcsha512": "aes256-sha512"}
LEGACY = [("dh-group x25519", "dh-group x25519;\n        legacy-algorithms"), ("pfs x25519", "pfs x25519;\n        legacy-algorithms")]
CONNECTION = """connections {{
	hq {{
		version = 2
		local_addrs = 203.0.113.2
		remote_addrs = 198.51.100.2
		proposals = {encryption}-{prf}-{group}
		rekey_time = 0
		dpd_delay = {dpd}
		local {{
			auth = {auth}
			id = branch.example.net
			{local_key}
		}}
		remote {{
			auth = {auth}
			id = hq.example.net
			{remote_key}
		}}
		children {{
			lan {{
				local_ts = 10.2.0.0/24
				remote_ts = 10.1.0.0/24
				esp_proposals = {encryption}{pfs}-noesn
				rekey_time = 0
				dpd_action = clear
			}}
		}}
	}}
}}
{secrets}
"""


class Authority:
    """A certificate authority of the lab, by `plaingate pki`."""

    def __init__(self, lab, key_type):
        self.program, self.folder, self.key_type = lab.build / "src/cli/plaingate", lab.state / "pki", key_type
        self.folder.mkdir()
        self.pki("authority", "ca", "--subject", "CN=Lab, O=Example", "--key-type", key_type)

    def pki(self, *words):
        run([self.program, "pki", *words], cwd=self.folder)

    def file(self, name):
        return self.folder / name

    def issue(self, name, dns):
        whom = ("--subject", f"CN={dns}, O=Example", "--san", f"dns:{dns}")
        self.pki("request", f"{name}.pem", "-o", f"{name}.csr", "--key-type", self.key_type, *whom)
        self.pki("issue", "ca", f"{name}.csr", "-o", f"{name}.crt", *whom)


class Sites:
    """The lab with Plaingate at hq and strongSwan at the branch."""

    def __init__(self, auth="psk", cipher="aes", dpd=0, hq_start="never", hq_dpd=30, group="x25519", prf="prfsha384", pfs=True,
                 root=None, fragment_size=1280, more=(), routed=False,
                 make_before_break="no"):
        """`more`: changes of hq's configuration; `root`: the release that strongSwan is of, when not this machine's (peer_root.PeerRoot)."""
        self.lab = own_lab("pgi")
        self.lab.up("on", {"hq": "plaingate", "branch": "none"}, {"hq": NO_TUNNEL})
        branch = self.lab["branch"]
        branch.sysctl(FORWARD)
        self.swan = StrongSwan(branch, root, fragment_size)
        self.swan.routed = routed
        self.swan.make_before_break = make_before_break
        self.swan.start()
        encryption = ENCRYPTION[cipher]
        changes = [("local [ 10.1.0.0/24 fd00:1::/64 ]", "local 10.1.0.0/24"), ("remote [ 10.2.0.0/24 fd00:2::/64 ]", "remote 10.2.0.0/24"),
                   ("encryption aes256gcm16", f"encryption {encryption}"), ("encryption aes256gcm16", f"encryption {encryption}")]
        if encryption == "aes256gcm16":
            changes = changes[:2]
        if group.startswith("modp") or encryption in THEIRS:
            changes += LEGACY
        changes += [("start always", f"start {hq_start}"), ("dpd 10", f"dpd {hq_dpd}"), ("dh-group x25519", f"dh-group {group}"),
                    ("prf prfsha384", f"prf {prf}"), ("pfs x25519", f"pfs {group}" if pfs else "pfs none")]
        local_key = remote_key = secrets = ""
        if auth.startswith("certificate-"):
            self.authority = Authority(self.lab, auth.removeprefix("certificate-"))
            self.certified()
            local_key, remote_key = "certs = branch.crt", "cacerts = ca.crt"
            changes += [("pre-shared-key hq-branch;", "local-certificate hq;\n        trusted-ca lab;"),
                        ("ike {", "pki {\n    ca-profile lab {\n        file ca.crt;\n    }\n}\n\nike {")]
        elif auth == "psk":
            psk = (self.lab["hq"].state / "etc/keys/hq-branch.psk").read_text().strip()
            secrets = f"secrets {{\n\tike-1 {{\n\t\tsecret = {psk}\n\t}}\n}}"
        else:
            keys = {side: raw_key_pair(self.lab.state, side, auth) for side in ("hq", "branch")}
            self.swan.private_key(keys["branch"][0])
            local_key, remote_key = (f"pubkeys = {keys[side][1]}" for side in ("branch", "hq"))
            self.lab.write_key("hq", "hq.pem", keys["hq"][0].read_text())
            der = run(["openssl", "pkey", "-pubin", "-in", keys["branch"][1], "-outform", "DER"], text=False).stdout
            changes += [("pre-shared-key hq-branch;", f'private-key hq;\n        public-key "{base64.b64encode(der).decode()}";')]
        self.swan.load(CONNECTION.format(encryption=THEIRS.get(encryption, encryption), auth="psk" if auth == "psk" else "pubkey", local_key=local_key, dpd=f"{dpd}s",
                                         remote_key=remote_key, secrets=secrets, prf=prf, group=group, pfs=f"-{group}" if pfs else ""))
        self.lab.commit("hq", config_of("hq", *changes, *more), "interop")

    def certified(self):
        """Each side has a certificate of the authority, with the name that the configurations have."""
        for side in ("hq", "branch"):
            self.authority.issue(side, f"{side}.example.net")
        self.lab.write_key("hq", "hq.pem", self.authority.file("hq.pem").read_text())
        self.lab.write_certificate("hq", "hq.crt", self.authority.file("hq.crt").read_text())
        self.lab.write_certificate("hq", "ca.crt", self.authority.file("ca/ca.crt").read_text())
        for kind, file in (("private", "branch.pem"), ("x509", "branch.crt"), ("x509ca", "ca/ca.crt")):
            self.swan.credential(kind, self.authority.file(file))

    def down(self):
        self.swan.stop()
        self.lab.down()

    def ours(self):
        return [row for row in show(self.lab, "hq", "ipsec") if row["state"] == "active"]

    def up(self):
        return self.ours() and [child for _, children in self.swan.sas() for child in children if child["state"] == "INSTALLED"]

    def start_from(self, initiator):
        if initiator == "plaingate":
            self.plaingate("ike initiate branch")
        else:
            self.swan.initiate("lan")
        try:
            wait_for(self.up, 15, f"the tunnel, started by {initiator}", pause=0.1)
        except LabError as error:
            raise LabError(f"{error}; {show(self.lab, 'hq', 'ike')}; charon: {self.swan.log()[-1500:]}") from None

    def plaingate(self, words):
        return self.lab["hq"].run(f"plaingate {words}")

    def child_spis(self):
        """What strongSwan has installed: the two must match crosswise."""
        return {(child["spi_in"], child["spi_out"]) for _, children in self.swan.sas() for child in children if child["state"] == "INSTALLED"}

    def our_spis(self):
        return {(int(str(row["spi_out"]), 16), int(str(row["spi_in"]), 16)) for row in self.ours()}

    def ike_spis(self):
        return {spis for spis, _ in self.swan.sas()}

    def settled(self):
        """One IKE SA and one child, the same on both sides."""
        return len(self.ike_spis()) == 1 and len(self.child_spis()) == 1 and self.child_spis() == self.our_spis()


def flowing(sites_, rate=500):
    return UdpStream(sites_.lab, "host-a", "host-b", HOST_B, rate=rate)
