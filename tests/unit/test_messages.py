"""What the programs say is a sentence: subject, fault, what is allowed or what to do. A bare value is none ("a replay window of %u").

Checked in each call that reports an error, a fault of the configuration, the reason of an end, or a line of the log. What is added in
front of an error that exists already (its RC_ is a variable) is context and may be a noun.
"""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"

REPORTERS = ("err_add", "log_error", "log_warn", "log_info", "log_kind", "ike_log", "sa_kill", "sa_fail", "tree_fault", "fault", "fail",
             "fault_at", "found_at", "report_finding", "stale", "unread")
CALL = re.compile(rf"\b({'|'.join(REPORTERS)})\s*\(")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')
CHARACTER = re.compile(r"'(?:\\.|[^'\\\n])+'")
CONVERSION = re.compile(r"%[-0-9.*]*(?:ll|z|l|h)?[a-zA-Z%]")
# Hands on what another call has said, with or without a subject in front of it.
PASSED_ON = re.compile(r"(^|: )%(\.\*)?s( \(\w+ %\w+\))?$")
# What makes a sentence of it: a verb, or a word that says what is wrong.
SAYS_SOMETHING = re.compile(r"""\b(
    is | are | was | were | be | been | has | have | had | do | does | did | can | cannot | could | must | may | might | will | would | should |
    not | no | nothing | nobody | none | neither | without | missing | malformed | invalid | unknown | unsupported | unexpected | too | more |
    fewer | longer | shorter | larger | smaller | beyond | twice | wrong | empty | never | out\ of | at\ (?:most|least) | other\ than | outside |
    [a-z]+ed | [a-z]{2,}ing | found | begun | gone | sent | kept | cut | left | held | lost | given | set | made | known | taken | come | came |
    told | shown | written | read | ran | gave | said | went | seen |
    (?:begin|end|say|take|hold|belong|need|use|mean|make|start|fit|exist|serve|reach|differ|expect|lack|exceed|overlap|repeat|break|precede|
       contain|match|contradict|answer|stand|go|give|change|cosign|run|refuse|see|prove|come|sign|lie|name)(?:s|es)?
    )\b""", re.X)
NOT_MESSAGES = {
    "src/model/values.c": "what was expected, behind 'expected'",
}

# Words that only we would understand, and what the trade says: docs/glossary.md has those of ours that earn their place.
PRIVATE_WORDS = {
    r"has not its form|have not their form": "malformed FIELD: expected …",
    r"given up|give up on": "aborted",
    r"no memory(?! and)|memory is short": "out of memory",
    r"is no (number|file|address|prefix|name)": "is not a …",
    r"la(id|y|ys|ying) (\w+ )?open": "disclosed",
    r"half of a secret|halves of": "entropy share",
    r"some ?body else": "another program, another process, …",
    r"(began|begun|begins?|started|starts?) anew": "restarted",
    r"going on without|goes on without": "continuing without, starting without",
    r"turned away": "rejected",
    r"takes no more rows": "is not reading",
    r"for malformed|for a fault": "answered INVALID_SYNTAX",
    r"is not there( now)?\b": "is not running, does not exist",
    r"not who it says": "authentication failed",
    r"\bforced\b(?! encaps)": "derived (VRF)",
    r"of before\b": "previous",
    r"\bheir\b|\btwin\b": "successor, redundant child SA",
}


def arguments(text, at):
    """The arguments of the call whose '(' is before `at`, as they stand."""
    found, begin, depth = [], at, 0
    while at < len(text):
        literal = LITERAL.match(text, at) or CHARACTER.match(text, at)
        if literal:
            at = literal.end()
            continue
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            if depth == 0:
                return [*found, text[begin:at]]
            depth -= 1
        elif text[at] == "," and depth == 0:
            found.append(text[begin:at])
            begin = at + 1
        at += 1
    return found


def messages(text):
    """(line, message) of each report in the text of a source; of a choice between literals each."""
    text = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
    for call in CALL.finditer(text):
        given = arguments(text, call.end())
        at = next((i for i, one in enumerate(given) if re.search(r'(^\s*|[?]\s*)"', one)), None)
        if at is None:
            continue
        if call.group(1) == "err_add" and not re.fullmatch(r"\s*RC_\w+\s*", given[1]):
            continue
        line = text.count("\n", 0, call.start()) + 1
        for part in re.split(r"[?:](?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", given[at]):  # outside of literals
            said = "".join(LITERAL.findall(part))
            if said:
                yield line, said


def is_bare(message):
    """%m: what could not be done stands in front of the kernel's reason."""
    return not PASSED_ON.search(message) and "%m" not in message and not SAYS_SOMETHING.search(CONVERSION.sub("x", message).lower())


class Messages(unittest.TestCase):
    maxDiff = None

    def test_a_message_is_a_sentence(self):
        wrong, seen = [], 0
        for path in sorted(SRC.rglob("*.c")):
            name = str(path.relative_to(ROOT))
            for line, said in messages(path.read_text(encoding="utf-8")):
                seen += 1
                if is_bare(said) and name not in NOT_MESSAGES:
                    wrong.append(f"{name}:{line}: {said!r}: say what is wrong with it, and what is allowed or what to do")
        self.assertGreater(seen, 900)
        self.assertEqual(wrong, [])

    def test_no_private_words(self):
        wrong = []
        for path in sorted([*SRC.rglob("*.c"), *SRC.rglob("*.h")]):
            text = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), path.read_text(encoding="utf-8"))
            for literal in LITERAL.finditer(text):
                for pattern, better in PRIVATE_WORDS.items():
                    if re.search(pattern, literal.group(1)):
                        line = text.count("\n", 0, literal.start()) + 1
                        wrong.append(f"{path.relative_to(ROOT)}:{line}: {literal.group(1)!r}: rather {better!r}")
        self.assertEqual(wrong, [])

    def test_the_test_itself(self):
        source = '''
            return err_add(e, RC_RANGE, "a replay window of %u", w); /* err_add(e, RC_X, "%u") */
            return err_add(e, rc, "tunnel %s", name);
            log_warn(bad ? "role %u" : "peer %s: %s", f(a, "x,y"), b);
            ike_log(c, false, "peer %s: "
                "group %u is not configured", n, g);
        '''
        said = [m for _, m in messages(source)]
        self.assertEqual(said, ["a replay window of %u", "role %u", "peer %s: %s", "peer %s: group %u is not configured"])
        self.assertEqual([is_bare(m) for m in said], [True, True, False, False])
        for bare in ("Diffie-Hellman group %u", "%u octets of key", "table '%s'", "%d child SAs"):
            self.assertTrue(is_bare(bare), bare)
        for sentence in ("poll: %m", "%s", "replay window %u: expected 32 to 4096", "tunnel %s: interface %s does not exist"):
            self.assertFalse(is_bare(sentence), sentence)


if __name__ == "__main__":
    unittest.main()
