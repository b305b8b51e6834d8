package hpack

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// rfcBlock is one field block of RFC 7541 appendix C, and what the table holds after it.
type rfcBlock struct {
	block  string
	fields []pair
	table  []string // newest first
	size   uint32
}

// rfcConversation is the blocks of one section, which share a table.
type rfcConversation struct {
	section   string
	tableSize uint32
	blocks    []rfcBlock
}

var rfcRequests = [][]pair{
	pairsOf(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"),
	pairsOf(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com", "cache-control", "no-cache"),
	pairsOf(":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com", "custom-key", "custom-value"),
}

var rfcResponses = [][]pair{
	pairsOf(":status", "302", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:21 GMT", "location", "https://www.example.com"),
	pairsOf(":status", "307", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:21 GMT", "location", "https://www.example.com"),
	pairsOf(":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT", "location", "https://www.example.com",
		"content-encoding", "gzip", "set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
}

var (
	rfcRequestTables = [][]string{
		{":authority: www.example.com"},
		{"cache-control: no-cache", ":authority: www.example.com"},
		{"custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"},
	}
	rfcResponseTables = [][]string{
		{"location: https://www.example.com", "date: Mon, 21 Oct 2013 20:13:21 GMT", "cache-control: private", ":status: 302"},
		{":status: 307", "location: https://www.example.com", "date: Mon, 21 Oct 2013 20:13:21 GMT", "cache-control: private"},
		{"set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1", "content-encoding: gzip", "date: Mon, 21 Oct 2013 20:13:22 GMT"},
	}
)

var rfcConversations = []rfcConversation{
	{"C.2.1 literal with indexing", 4096, []rfcBlock{
		{"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", pairsOf("custom-key", "custom-header"), []string{"custom-key: custom-header"}, 55},
	}},
	{"C.2.2 literal without indexing", 4096, []rfcBlock{
		{"040c 2f73 616d 706c 652f 7061 7468", pairsOf(":path", "/sample/path"), nil, 0},
	}},
	{"C.2.3 literal never indexed", 4096, []rfcBlock{
		{"1008 7061 7373 776f 7264 0673 6563 7265 74", []pair{{"password", "secret", true}}, nil, 0},
	}},
	{"C.2.4 indexed", 4096, []rfcBlock{
		{"82", pairsOf(":method", "GET"), nil, 0},
	}},
	{"C.3 requests", 4096, []rfcBlock{
		{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", rfcRequests[0], rfcRequestTables[0], 57},
		{"8286 84be 5808 6e6f 2d63 6163 6865", rfcRequests[1], rfcRequestTables[1], 110},
		{"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", rfcRequests[2], rfcRequestTables[2], 164},
	}},
	{"C.4 requests with Huffman coding", 4096, []rfcBlock{
		{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", rfcRequests[0], rfcRequestTables[0], 57},
		{"8286 84be 5886 a8eb 1064 9cbf", rfcRequests[1], rfcRequestTables[1], 110},
		{"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", rfcRequests[2], rfcRequestTables[2], 164},
	}},
	{"C.5 responses", 256, []rfcBlock{
		{"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 54" +
			"6e17 6874 7470 733a 2f2f 7777 772e 6578 616d 706c 652e 636f 6d", rfcResponses[0], rfcResponseTables[0], 222},
		{"4803 3330 37c1 c0bf", rfcResponses[1], rfcResponseTables[1], 222},
		{"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970" +
			"7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630" +
			"303b 2076 6572 7369 6f6e 3d31", rfcResponses[2], rfcResponseTables[2], 215},
	}},
	{"C.6 responses with Huffman coding", 256, []rfcBlock{
		{"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff" +
			"6e91 9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3", rfcResponses[0], rfcResponseTables[0], 222},
		{"4883 640e ffc1 c0bf", rfcResponses[1], rfcResponseTables[1], 222},
		{"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab" +
			"77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
			rfcResponses[2], rfcResponseTables[2], 215},
	}},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// describe returns the entries of a table, newest first.
func (t *table) describe() (list []string) {
	for age := range t.count {
		e := t.at(age)
		stored, n := t.stored(e), e.storedName()
		name := stored[:n]
		if n == 0 {
			name = e.knownName()
		}
		list = append(list, fmt.Sprintf("%s: %s", name, stored[n:]))
	}
	return list
}

// TestRFC7541AppendixC decodes the examples of appendix C. The peer of C.5 and C.6 has a table of 256 bytes from the start.
func TestRFC7541AppendixC(t *testing.T) {
	for _, c := range rfcConversations {
		t.Run(c.section, func(t *testing.T) {
			d, o := newDecoder(c.tableSize), newOracleDecoder(c.tableSize)
			for _, b := range c.blocks {
				block := unhex(t, b.block)
				wantBlock(t, d, block, b.fields)
				if got := d.table.describe(); fmt.Sprint(got) != fmt.Sprint(b.table) || d.table.size != b.size {
					t.Errorf("table %q of %d bytes, want %q of %d", got, d.table.size, b.table, b.size)
				}
				// The oracle says whether the examples are copied right.
				if got, err := o.decode(block); err != nil || !samePairs(got, b.fields) {
					t.Errorf("x/net: %v %v", got, err)
				}
			}
		})
	}
}
