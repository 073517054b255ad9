package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
)

// A canary is something of a person that must not be found anywhere. Each is unlike anything the system makes by itself.
type canary struct {
	kind    canaryKind
	text    string
	planted []string // where
}

type canaryKind string

const (
	canaryLoopback  canaryKind = "connection address" // in 127.0.0.0/8, to connect from
	canaryIPv4      canaryKind = "IPv4 address"
	canaryIPv6      canaryKind = "IPv6 address"
	canaryPhone     canaryKind = "phone number"
	canaryName      canaryKind = "name"
	canaryEmail     canaryKind = "e-mail address"
	canarySDP       canaryKind = "SDP line"
	canaryCandidate canaryKind = "ICE candidate"
	canaryUfrag     canaryKind = "ICE user fragment"
	canaryUser      canaryKind = "TURN user"
	canaryPassword  canaryKind = "TURN password"
	canaryDevice    canaryKind = "device id"
)

// canaryCounts makes 1,000.
var canaryCounts = map[canaryKind]int{
	canaryLoopback: 100, canaryIPv4: 120, canaryIPv6: 100, canaryPhone: 120, canaryName: 120, canaryEmail: 100, canarySDP: 80,
	canaryCandidate: 80, canaryUfrag: 50, canaryUser: 40, canaryPassword: 40, canaryDevice: 50,
}

// canaries hands them out.
type canaries struct {
	mu     sync.Mutex
	random *rand.Rand
	all    []*canary
	next   map[canaryKind]int
	byKind map[canaryKind][]*canary
}

func newCanaries() *canaries {
	c := &canaries{random: rand.New(rand.NewPCG(20, 26)), next: map[canaryKind]int{}, byKind: map[canaryKind][]*canary{}}
	seen := map[string]bool{}
	for _, kind := range slices.Sorted(maps.Keys(canaryCounts)) { // the same in every run
		for len(c.byKind[kind]) < canaryCounts[kind] {
			if text := c.make(kind); !seen[text] {
				seen[text] = true
				made := &canary{kind: kind, text: text}
				c.all, c.byKind[kind] = append(c.all, made), append(c.byKind[kind], made)
			}
		}
	}
	return c
}

// plant hands out the next canary of a kind, of those not planted yet while there are any, and notes where it goes.
func (c *canaries) plant(kind canaryKind, where string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	chosen := c.byKind[kind][c.next[kind]%len(c.byKind[kind])]
	c.next[kind]++
	chosen.planted = append(chosen.planted, where)
	return chosen.text
}

// unplanted lists the canaries that went nowhere.
func (c *canaries) unplanted() (left []string) {
	for _, one := range c.all {
		if len(one.planted) == 0 {
			left = append(left, string(one.kind)+" "+one.text)
		}
	}
	return left
}

func (c *canaries) make(kind canaryKind) string {
	three := func() int { return 101 + c.random.IntN(120) } // three digits: long enough to be nothing else
	ipv4 := func() string { return fmt.Sprintf("%d.%d.%d.%d", 128+c.random.IntN(90), three(), three(), three()) }
	switch kind {
	case canaryLoopback:
		return fmt.Sprintf("127.%d.%d.%d", three(), three(), three())
	case canaryIPv4:
		return ipv4()
	case canaryIPv6:
		raw := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		for i := 4; i < len(raw); i++ {
			raw[i] = byte(0x11 + c.random.IntN(0xee))
		}
		return netip.AddrFrom16(raw).String()
	case canaryPhone:
		return fmt.Sprintf("+4915%09d", 100_000_000+c.random.IntN(899_999_999))
	case canaryName:
		return c.word() + " " + c.word()
	case canaryEmail:
		return strings.ToLower(c.word() + "." + c.word() + "@canary.example")
	case canarySDP:
		return fmt.Sprintf("o=%s %d 2 IN IP4 %s", strings.ToLower(c.word()), 1e15+c.random.Int64N(1e15), ipv4())
	case canaryCandidate:
		return fmt.Sprintf("candidate:%d 1 udp 1677729535 %s %d typ srflx raddr %s rport 9", 1e9+c.random.Int64N(1e9), ipv4(), 10000+c.random.IntN(50000), ipv4())
	case canaryDevice:
		return fmt.Sprintf("%08X-%04X-4%03X-A%03X-%012X", c.random.Uint32(), c.random.IntN(1<<16), c.random.IntN(1<<12), c.random.IntN(1<<12), c.random.Int64N(1<<48))
	default:
		raw := make([]byte, 12)
		for i := range raw {
			raw[i] = byte(c.random.IntN(256))
		}
		return "cn" + strings.NewReplacer("+", "x", "/", "y").Replace(base64.RawStdEncoding.EncodeToString(raw))
	}
}

// word is a name nobody has.
func (c *canaries) word() string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	var b strings.Builder
	for range 4 {
		b.WriteByte(consonants[c.random.IntN(len(consonants))])
		b.WriteByte(vowels[c.random.IntN(len(vowels))])
	}
	word := b.String() + "x"
	return strings.ToUpper(word[:1]) + word[1:]
}

// forms are the byte strings a text could be found as.
func forms(text string) map[string][]byte {
	found := map[string][]byte{}
	add := func(encoding string, form []byte) {
		if len(form) < headSize {
			return
		}
		for _, other := range found {
			if bytes.Equal(other, form) {
				return
			}
		}
		found[encoding] = form
	}
	add("plain", []byte(text))
	add("lower case", []byte(strings.ToLower(text)))
	add("upper case", []byte(strings.ToUpper(text)))
	add("without plus", []byte(strings.TrimPrefix(text, "+")))
	add("hex", []byte(hex.EncodeToString([]byte(text))))
	add("HEX", []byte(strings.ToUpper(hex.EncodeToString([]byte(text)))))
	add("URL query", []byte(url.QueryEscape(text)))
	add("URL path", []byte(url.PathEscape(text)))
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	add("JSON", quoted[1:len(quoted)-1])
	units := utf16.Encode([]rune(text))
	little, big := make([]byte, 0, 2*len(units)), make([]byte, 0, 2*len(units))
	for _, u := range units {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	add("UTF-16LE", little)
	add("UTF-16BE", big)
	for offset := range 3 { // where in a longer text it stands changes how it looks
		for name, alphabet := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			encoded := alphabet.EncodeToString(append(make([]byte, offset), text...))
			first, last := (offset*8+5)/6, (offset+len(text))*8/6
			add(fmt.Sprintf("%s at %d", name, offset), []byte(encoded[first:last]))
		}
	}
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Is4() {
			parts := strings.Split(text, ".")
			slices.Reverse(parts)
			add("reversed", []byte(strings.Join(parts, ".")))
			mapped := netip.AddrFrom16(address.As16())
			add("mapped", []byte(mapped.String()))
			four := address.As4()
			add("binary in hex", []byte(hex.EncodeToString(four[:])))
			for name, order := range map[string]binary.ByteOrder{"number": binary.BigEndian, "number, bytes reversed": binary.LittleEndian} {
				add(name, []byte(strconv.FormatUint(uint64(order.Uint32(four[:])), 10)))
			}
		} else {
			raw := address.As16()
			add("binary", raw[:])
			add("binary in hex", []byte(hex.EncodeToString(raw[:])))
			add("in full", []byte(address.StringExpanded()))
		}
	}
	return found
}
