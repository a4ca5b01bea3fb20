// A reader of our proofs that shares no code with them: npm's @sigstore/verify, which checks the entries of sigstore's logs.
//
//	node reader.cjs    in a folder with node_modules; answers each case "proof" on its input with "yes" or "no"
//
// Its two steps are called as they are: the signature of the checkpoint, and the path from the entry to the checkpoint's root. Reading
// the lines of a .tlog-proof stands here.
"use strict";
const crypto = require("node:crypto");
const path = require("node:path");
const readline = require("node:readline");

const tlog = path.join(process.cwd(), "node_modules/@sigstore/verify/dist/tlog");
const { verifyCheckpoint } = require(path.join(tlog, "checkpoint.js"));
const { verifyMerkleInclusion } = require(path.join(tlog, "merkle.js"));

// The log as sigstore describes one: its key, and an id that begins with the key's id in the note.
function authority(vkey) {
  const [, name, id, key] = vkey.match(/^([^+]+)\+([0-9a-f]{8})\+(.*)$/);
  const raw = Buffer.from(key, "base64").subarray(1); // behind the type
  const jwk = { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") };
  return {
    baseURL: `https://${name}`,
    logID: Buffer.from(id.padEnd(64, "0"), "hex"),
    publicKey: crypto.createPublicKey({ key: jwk, format: "jwk" }),
    validFor: { start: new Date(0), end: new Date(8640000000000000) },
  };
}

function judge(vkey, entry, file) {
  const text = file.toString("utf8");
  const head = text.slice(0, text.indexOf("\n\n")).split("\n");
  const envelope = text.slice(text.indexOf("\n\n") + 2);
  const index = head[1].match(/^index ([0-9]+)$/);
  if (head[0] !== "c2sp.org/tlog-proof@v1" || !index) return false;
  const [, treeSize, root] = envelope.split("\n");
  const logEntry = {
    canonicalizedBody: entry,
    logIndex: index[1],
    inclusionProof: {
      logIndex: index[1],
      treeSize,
      rootHash: Buffer.from(root || "", "base64"),
      hashes: head.slice(2).map((line) => Buffer.from(line, "base64")),
      checkpoint: { envelope },
    },
  };
  try {
    const checkpoint = verifyCheckpoint(logEntry, [authority(vkey)]);
    verifyMerkleInclusion(logEntry, checkpoint);
    return true;
  } catch (error) {
    if (process.env.SAY_WHY) console.error(String(error));
    return false;
  }
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [kind, vkey, entry, file] = line.split(" ");
  if (kind !== "proof") throw new Error(`no such case here: ${kind}`);
  console.log(judge(vkey, Buffer.from(entry, "hex"), Buffer.from(file, "hex")) ? "yes" : "no");
});
