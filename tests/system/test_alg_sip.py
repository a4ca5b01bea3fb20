"""Calls by SIP through head office's source NAT, with sipp: a telephone inside calls, and a registered one is called long after the session
would have ended. RTP goes both ways, whoever begins. The policy permits SIP only. With one worker and with two."""
import re
import shutil
import socket
import subprocess
import time

import pytest
from kit import HOST_A, HQ_WAN, WEB, config_of, counter, drops, own_lab, show, wait_for

REGISTER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="registers">
<send retrans="500"><![CDATA[
REGISTER sip:[remote_ip] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:a@[remote_ip]>;tag=[call_number]
To: <sip:a@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:a@[local_ip]:[local_port]>
Expires: 300
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"><action><ereg regexp="sip:a@%s:%s" search_in="hdr" header="Contact:" check_it="true" assign_to="1"/></action></recv>
<Reference variables="1"/>
</scenario>
"""
REGISTRAR = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="registrar">
<recv request="REGISTER"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=9
[last_Call-ID:]
[last_CSeq:]
[last_Contact:]
Expires: 300
Content-Length: 0

]]></send>
</scenario>
"""


def config(alg="    alg { sip; }\n"):
    return config_of(
        "hq", ("    host-name hq;\n", "    host-name hq;\n    timeouts { udp 10; udp-unanswered 10; }\n" + alg),
        ("applications {\n", "applications {\n    application calls { protocol udp; destination-port 5060; }\n"),
        ("application [ http https dns ping traceroute", "application [ calls http https dns ping traceroute"))


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one worker", "two workers"])
def lab(request):
    if not shutil.which("sipp"):
        pytest.skip("needs sipp (sip-tester)")
    two_sites = own_lab("pgs")
    two_sites.workers, two_sites.calls = request.param, []
    try:
        two_sites.up("on", configs={"hq": config()})
        yield two_sites
    finally:
        two_sites.down()


@pytest.fixture(autouse=True)
def nothing_is_left(lab):
    yield
    for process in lab.calls:
        process.kill()
        process.wait()
    lab.calls.clear()


def scenario(lab, node, name, port):
    """A scenario of sipp's own, whose description names this port, at which sipp itself does not listen."""
    text = subprocess.run(["sipp", "-sd", name], capture_output=True, text=True, check=False).stdout
    assert "[media_port]" in text
    file = lab[node].state / f"{name}-{port}.xml"
    file.write_text(text.replace("[media_port]", str(port)))
    return "-sf", str(file)


class Sipp:
    """A process of sipp in a machine; its messages are in a file."""

    def __init__(self, lab, node, name, *arguments):
        state = lab[node].state
        self.messages = state / f"{name}.messages"
        self.messages.unlink(missing_ok=True)
        self.errors = state / f"{name}.errors"
        self.process = lab[node].popen(["sipp", *arguments, "-nostdin", "-m", "1", "-timeout", "20s", "-trace_msg", "-message_file", str(self.messages),
                                        "-trace_err", "-error_file", str(state / f"{name}.errors")], cwd=str(state), stdout=subprocess.DEVNULL)
        lab.calls.append(self.process)

    def text(self):
        return self.messages.read_text(errors="replace") if self.messages.exists() else ""

    def ends(self, seconds=15):
        return self.process.wait(seconds)


def listens(lab, node, port=5060):
    wait_for(lambda: f":{port}" in lab[node].run("ss -lun").stdout, 5, "sipp")


def received(text, start):
    """The first message that was received and begins so."""
    found = re.search(r"received.*?\n\n(" + start + r".*?)\n-----", text + "\n-----", re.S)
    return found.group(1) if found else ""


def heard(source, address, sink, seconds=3):
    """Whether a datagram from one socket to the address comes to another; from where."""
    sink.settimeout(0.2)
    for i in range(int(seconds / 0.2)):
        source.sendto(b"\x80\x00" + bytes([i]) * 40, address)
        try:
            return sink.recvfrom(100)[1]
        except TimeoutError:
            pass
    return None


def test_a_call(lab):
    for outside_first in (False, True, False):
        called = Sipp(lab, "web", "called", *scenario(lab, "web", "uas", 6000), "-i", WEB, "-p", "5060", "-mi", WEB, "-mp", "9000")
        listens(lab, "web")
        with lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as phone, lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as other, \
                lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            phone.bind((HOST_A, 7000))
            other.bind((WEB, 6000))
            control.bind((WEB, 6001))
            calls = Sipp(lab, "host-a", "calls", f"{WEB}:5060", *scenario(lab, "host-a", "uac", 7000), "-i", HOST_A, "-p", "5060",
                         "-mi", HOST_A, "-mp", "9000", "-d", "4000")
            wait_for(lambda: "ACK sip" in called.text(), 8, "the call")
            invite = received(called.text(), "INVITE")
            assert HOST_A not in invite.split("Call-ID")[0].split("From:")[0], invite
            assert f"c=IN IP4 {HQ_WAN}" in invite and f"Contact: sip:sipp@{HQ_WAN}" in invite, invite
            told = int(re.search(r"m=audio (\d+) ", invite).group(1))
            assert told >= 40960 and told % 2 == 0
            assert len(invite.replace("\r\n", "\n").split("\n\n", 1)[1]) > 0
            if outside_first:
                assert heard(other, (HQ_WAN, told), phone) == (WEB, 6000), drops(lab, "hq")
                assert heard(phone, (WEB, 6000), other) == (HQ_WAN, told)
            else:
                assert heard(phone, (WEB, 6000), other) == (HQ_WAN, told), drops(lab, "hq")
                assert heard(other, (HQ_WAN, told), phone) == (WEB, 6000)
            with lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp:
                rtcp.bind((HOST_A, 7001))
                assert heard(control, (HQ_WAN, told + 1), rtcp) == (WEB, 6001), drops(lab, "hq")
            rows = [row for row in show(lab, "hq", "sessions") if row.get("alg") == "sip"]
            assert any(f"{HQ_WAN}:{told}" in (row.get("nat_src"), row["dst"]) for row in rows), rows
            assert calls.ends() == 0, calls.text()
            assert called.ends() == 0


def test_a_registered_telephone_is_called(lab):
    state = lab["host-a"].state
    (state / "register.xml").write_text(REGISTER % (HOST_A.replace(".", "[.]"), "5060"))
    (lab["web"].state / "registrar.xml").write_text(REGISTRAR)
    registrar = Sipp(lab, "web", "registrar", "-sf", str(lab["web"].state / "registrar.xml"), "-i", WEB, "-p", "5060")
    listens(lab, "web")
    registers = Sipp(lab, "host-a", "registers", f"{WEB}:5060", "-sf", str(state / "register.xml"), "-i", HOST_A, "-p", "5060")
    assert registers.ends() == 0, registers.text()
    assert registrar.ends() == 0
    contact = re.search(r"Contact: <sip:a@([0-9.]+):(\d+)>", received(registrar.text(), "REGISTER"))
    assert contact and contact.group(1) == HQ_WAN, registrar.text()
    port = int(contact.group(2))
    time.sleep(13)  # longer than the timeout of UDP
    phone = Sipp(lab, "host-a", "phone", *scenario(lab, "host-a", "uas", 7100), "-i", HOST_A, "-p", "5060", "-mi", HOST_A, "-mp", "9000")
    listens(lab, "host-a")
    calls = Sipp(lab, "web", "from-outside", f"{HQ_WAN}:{port}", *scenario(lab, "web", "uac", 6100), "-i", WEB, "-p", "5060", "-mi", WEB, "-mp", "9000",
                 "-d", "3000")
    wait_for(lambda: "ACK sip" in phone.text(), 8, "the call from outside")
    answer = received(calls.text(), "SIP/2.0 200")
    told = int(re.search(r"m=audio (\d+) ", answer).group(1))
    assert f"c=IN IP4 {HQ_WAN}" in answer and HOST_A not in answer.split("Contact", 1)[1], answer
    assert f"{HOST_A}:5060" in received(phone.text(), "INVITE").split("\n")[0]
    with lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as inside, lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        inside.bind((HOST_A, 7100))
        other.bind((WEB, 6100))
        assert heard(other, (HQ_WAN, told), inside) == (WEB, 6100), drops(lab, "hq")
        assert heard(inside, (WEB, 6100), other) == (HQ_WAN, told)
    assert calls.ends() == 0, calls.text()
    assert phone.ends() == 0


def test_what_opens_nothing(lab):
    """Addresses of others in a description, and media without a call."""
    with lab["host-a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as inside, lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as other, \
            lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((WEB, 5060))
        server.settimeout(3)
        inside.bind((HOST_A, 5062))
        other.bind((WEB, 6200))
        before = counter(lab, "hq", "expectations-made")
        sdp = "v=0\r\no=a 1 1 IN IP4 10.1.0.77\r\ns=-\r\nc=IN IP4 10.1.0.77\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\n"
        inside.sendto((f"INVITE sip:b@{WEB} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST_A}:5062;branch=z9hG4bK7\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\n"
                       f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}").encode(), (WEB, 5060))
        text = server.recv(2000).decode()
        assert "10.1.0.77" in text and f"Via: SIP/2.0/UDP {HQ_WAN}:" in text
        assert counter(lab, "hq", "expectations-made") == before
        assert heard(other, (HQ_WAN, 7000), inside, 1) is None
