package main_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// finder looks for many byte strings at once: it knows each by its first bytes.
type finder struct {
	heads     map[uint64][]pattern
	maybe     [1 << 16]bool     // by the first two bytes, to be quick
	addresses map[uint32]string // IPv4 addresses as four bytes, in both orders
	sometimes [1 << 16]bool
}

// headSize is how many bytes a pattern has at least: fewer would be found by chance.
const headSize = 8

type pattern struct {
	form     []byte
	text     string
	encoding string
}

// find is a canary that was found.
type find struct{ where, text, encoding string }

func newFinder(texts ...string) *finder {
	f := &finder{heads: map[uint64][]pattern{}, addresses: map[uint32]string{}}
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
			four := address.As4()
			for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
				number := order.Uint32(four[:])
				f.addresses[number], f.sometimes[uint16(number)] = text, true
			}
		}
		for encoding, form := range forms(text) {
			head := binary.LittleEndian.Uint64(form)
			f.heads[head] = append(f.heads[head], pattern{form, text, encoding})
			f.maybe[binary.LittleEndian.Uint16(form)] = true
		}
	}
	return f
}

func (f *finder) in(where string, content []byte) (found []find) {
	for i := 0; i+headSize <= len(content); i++ {
		if !f.maybe[binary.LittleEndian.Uint16(content[i:])] {
			continue
		}
		for _, p := range f.heads[binary.LittleEndian.Uint64(content[i:])] {
			if bytes.HasPrefix(content[i:], p.form) {
				found = append(found, find{where, p.text, p.encoding})
			}
		}
	}
	return found
}

const asBinary = "four bytes"

// binary finds IPv4 addresses as four bytes, for content that is not compressed.
func (f *finder) binary(where string, content []byte) (found []find) {
	for i := 0; i+4 <= len(content); i++ {
		if !f.sometimes[binary.LittleEndian.Uint16(content[i:])] {
			continue
		}
		if text, known := f.addresses[binary.LittleEndian.Uint32(content[i:])]; known {
			found = append(found, find{where, text, asBinary})
		}
	}
	return found
}

// believed leaves out an address in four bytes when it is the only one: among some million bytes one of some hundred
// addresses is there by chance once in a thousand searches, two hardly ever. What leaks the address of one client leaks
// that of others.
func believed(found []find) []find {
	addresses := map[string]bool{}
	for _, one := range found {
		if one.encoding == asBinary {
			addresses[one.text] = true
		}
	}
	if len(addresses) > 1 {
		return found
	}
	return slices.DeleteFunc(found, func(one find) bool { return one.encoding == asBinary })
}

// searched counts what was looked at.
type searched struct{ files, bytes int }

// files looks into every file under a directory, and at its name.
func (f *finder) files(t *testing.T, dir string) (found []find, s searched) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		found = append(found, f.in("name of "+path, []byte(entry.Name()))...)
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s.files++
		s.bytes += len(content)
		found = append(found, f.in(path, content)...)
		if !strings.Contains(path, "/clickhouse/") { // whose columns are compressed, and searched by themselves
			found = append(found, f.binary(path, content)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return believed(found), s
}

// columns looks into every column of ClickHouse, in its own tables too: on disk they are compressed. A number is looked at
// as it is written, so that an address or a telephone number in an integer is found.
func (f *finder) columns(ctx context.Context, t *testing.T, dsn string) (found []find, s searched) {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	rows, err := conn.Query(ctx, `SELECT database, table, name, type FROM system.columns
		WHERE (database, table) IN (SELECT database, name FROM system.tables WHERE engine NOT IN ('View', 'SystemNumbers', 'SystemZeros'))`)
	if err != nil {
		t.Fatal(err)
	}
	type column struct{ database, table, name, kind string }
	var columns []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.database, &c.table, &c.name, &c.kind); err != nil {
			t.Fatal(err)
		}
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range columns {
		where := fmt.Sprintf("ClickHouse %s.%s.%s", c.database, c.table, c.name)
		var values []string
		query := fmt.Sprintf("SELECT groupArray(toString(x)) FROM (SELECT `%s` AS x FROM `%s`.`%s`)", c.name, c.database, c.table)
		if err := conn.QueryRow(ctx, query).Scan(&values); err != nil {
			t.Fatalf("%s (%s): %v", where, c.kind, err)
		}
		s.files++
		for _, value := range values {
			s.bytes += len(value)
			found = append(found, f.in(where, []byte(value))...)
		}
	}
	return found, s
}

// The finder finds what it should, however it is written, and nothing else.
func TestFinder(t *testing.T) {
	all := newCanaries()
	var texts []string
	for _, one := range all.all {
		texts = append(texts, one.text)
	}
	if len(texts) != 1000 {
		t.Fatalf("%d canaries, want 1000", len(texts))
	}
	f := newFinder(texts...)
	encodings := map[string]bool{}
	for _, text := range texts {
		for encoding, form := range forms(text) {
			encodings[encoding] = true
			content := append(append([]byte("0123456789abcdefghi"), form...), " and more"...)
			hit := false
			for _, found := range f.in("here", content) {
				hit = hit || found.text == text
			}
			if !hit {
				t.Fatalf("%q as %s is not found", text, encoding)
			}
		}
	}
	// As four bytes an address is found too, but not believed alone.
	two := []string{all.byKind[canaryIPv4][0].text, all.byKind[canaryLoopback][0].text}
	var content []byte
	for i, text := range two {
		four := netip.MustParseAddr(text).As4()
		if i == 1 {
			slices.Reverse(four[:])
		}
		content = append(append(content, four[:]...), "some text"...)
		found := believed(f.binary("here", content))
		if want := 2 * i; len(found) != want {
			t.Errorf("%d addresses in four bytes give %v", i+1, found)
		}
	}
	if len(encodings) < 20 {
		t.Errorf("only %d encodings: %v", len(encodings), encodings)
	}
	page, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range f.in("this program", page) {
		t.Errorf("%q is found as %s where nobody put it", found.text, found.encoding)
	}
}
