// A reader of our ledgers that shares no code with them: Go's checksum-database packages, golang.org/x/mod/sumdb/{note,tlog}.
//
//	reader read DIR VKEY    reads a ledger's directory: checkpoint, every tile, every entry; prints size and root
//	reader judge            answers each case on its input with a line "yes" or "no"; see foreign_ledger.c
//
// What the packages do not have stands here: the three lines of a checkpoint, bundles of entries, the lines of a .tlog-proof.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func openNote(vkey string, msg []byte) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", err
	}
	n, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	return n.Text, nil
}

func parseCheckpoint(vkey string, text string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tree, fmt.Errorf("a checkpoint of %d lines", len(lines)-1)
	}
	if lines[0] != vkey[:strings.Index(vkey, "+")] {
		return tree, fmt.Errorf("a checkpoint of %q", lines[0])
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// A directory as tlog's source of tiles. The package puts a tile's height into its path, C2SP does not.
type directory string

func (d directory) Height() int { return 8 }

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		b, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		data[i] = b
	}
	return data, nil
}

func (d directory) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

// The entries of bundle n, of which `width` are under the checkpoint.
func (d directory) entries(n int64, width int) ([][]byte, error) {
	t := tlog.Tile{H: 8, L: 0, N: n, W: width}
	path := strings.Replace(t.Path(), "tile/8/0/", "tile/entries/", 1)
	b, err := os.ReadFile(filepath.Join(string(d), path))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("%s is cut", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		entries = append(entries, b[2:end])
		b = b[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("%s has %d entries", path, len(entries))
	}
	return entries, nil
}

func read(dir, vkey string) error {
	d := directory(dir)
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	text, err := openNote(vkey, msg)
	if err != nil {
		return err
	}
	tree, err := parseCheckpoint(vkey, text)
	if err != nil {
		return err
	}
	// All hashes anew from the entries, by the package; then the root, and each tile. (Its TileHashReader is not asked alone: in the
	// version of Debian 12 it lets some altered tiles pass when two of the root's subtrees share a tile.)
	var stored []tlog.Hash
	recomputed := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if x >= int64(len(stored)) {
				return nil, fmt.Errorf("hash %d is not there yet", x)
			}
			list[i] = stored[x]
		}
		return list, nil
	})
	for first := int64(0); first < tree.N; first += 256 {
		width := 256
		if left := tree.N - first; left < 256 {
			width = int(left)
		}
		entries, err := d.entries(first/256, width)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			more, err := tlog.StoredHashes(first+int64(i), entry, recomputed)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
		}
	}
	root, err := tlog.TreeHash(tree.N, recomputed)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return fmt.Errorf("the entries have the root %v", root)
	}
	for _, t := range tlog.NewTiles(8, 0, tree.N) {
		if t.W < 256 && int64(t.W) != tree.N>>uint(8*t.L)%256 {
			continue // a partial tile of a smaller tree
		}
		want, err := tlog.ReadTileData(t, recomputed)
		if err != nil {
			return err
		}
		have, err := d.ReadTiles([]tlog.Tile{t})
		if err != nil {
			return err
		}
		if !bytes.Equal(want, have[0]) {
			return fmt.Errorf("tile %s is not that of its entries", t.Path())
		}
	}
	// And as a client does that has only the checkpoint, and fetches tiles.
	if root, err = tlog.TreeHash(tree.N, tlog.TileHashReader(tree, d)); err != nil || root != tree.Hash {
		return fmt.Errorf("the tiles have the root %v: %v", root, err)
	}
	fmt.Println(tree.N, hex.EncodeToString(tree.Hash[:]))
	return nil
}

func octets(word string) []byte {
	b, err := hex.DecodeString(word)
	if err != nil {
		panic(err) // the test's own mistake
	}
	return b
}

func number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func hash(word string) (h tlog.Hash) {
	copy(h[:], octets(word))
	return h
}

func hashes(word string) (list []tlog.Hash) {
	if word == "-" {
		return nil
	}
	for _, w := range strings.Split(word, ",") {
		list = append(list, hash(w))
	}
	return list
}

// The lines of a .tlog-proof, then note and path by the packages.
func judgeProof(vkey string, entry, file []byte) bool {
	head, msg, found := strings.Cut(string(file), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return false
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return false
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		b, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(b) != tlog.HashSize {
			return false
		}
		var h tlog.Hash
		copy(h[:], b)
		path = append(path, h)
	}
	text, err := openNote(vkey, []byte(msg))
	if err != nil {
		return false
	}
	tree, err := parseCheckpoint(vkey, text)
	return err == nil && tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry)) == nil
}

func judgeLine(w []string) bool {
	switch w[0] {
	case "note":
		_, err := openNote(w[1], octets(w[2]))
		return err == nil
	case "record":
		return tlog.CheckRecord(hashes(w[5]), number(w[2]), hash(w[4]), number(w[1]), hash(w[3])) == nil
	case "tree":
		return tlog.CheckTree(hashes(w[5]), number(w[2]), hash(w[4]), number(w[1]), hash(w[3])) == nil
	case "proof":
		return judgeProof(w[1], octets(w[2]), octets(w[3]))
	}
	panic("no such case: " + w[0])
}

func judge() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if judgeLine(strings.Split(in.Text(), " ")) {
			fmt.Println("yes")
		} else {
			fmt.Println("no")
		}
	}
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "read" {
		if err := read(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "reader:", err)
			os.Exit(1)
		}
	} else if len(os.Args) == 2 && os.Args[1] == "judge" {
		judge()
	} else {
		fmt.Fprintln(os.Stderr, "reader read DIR VKEY | judge")
		os.Exit(2)
	}
}
