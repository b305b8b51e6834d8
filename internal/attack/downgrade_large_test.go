package attack

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

const (
	// fieldOverhead is what each field counts beside its name and value (RFC 9113 section 6.5.2).
	fieldOverhead = 32
	// headLimit is the limit on the head of a request, in bytes.
	headLimit = config.DefaultMaxHeaderKB << 10
)

// sizeOf returns the size of a head as limits count it.
func sizeOf(head []string) (n int) {
	for i := 0; i < len(head); i += 2 {
		n += len(head[i]) + len(head[i+1]) + fieldOverhead
	}
	return n
}

// counted returns n bytes in which what is missing or out of place shows.
func counted(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

// largeHeads make a head of exactly so many bytes.
var largeHeads = []struct {
	name string
	make func(size int) []string
}{
	{"one value", func(size int) []string { return filled(get(), "x-a", size) }},
	{"a path", func(size int) []string {
		head := get(":path", "/")
		return changed(head, ":path", "/"+counted(size-sizeOf(head)))
	}},
	{"90 fields", func(size int) []string {
		head := get()
		for i := range 90 {
			head = append(head, fmt.Sprintf("x-%d", i), counted(550))
		}
		return filled(head, "x-last", size)
	}},
	{"90 cookies", func(size int) []string {
		head := get()
		for i := range 90 {
			head = append(head, "cookie", fmt.Sprintf("%d=", i)+counted(550))
		}
		return filled(head, "cookie", size)
	}},
	{"one name", func(size int) []string {
		head := get()
		return append(head, "x-"+strings.Repeat("n", size-sizeOf(head)-fieldOverhead-3), "1")
	}},
}

// filled returns a head with a field more, which makes it as large as it is to be.
func filled(head []string, name string, size int) []string {
	return append(head, name, counted(size-sizeOf(head)-len(name)-fieldOverhead))
}

// largeSizes are from 55 to 65 KiB, and each one around the limit.
func largeSizes() (sizes []int) {
	const stride = 331 // so that frames and buffers are cut everywhere
	for n := 55 << 10; n <= 65<<10; n += stride {
		sizes = append(sizes, n)
	}
	for n := headLimit - 8; n <= headLimit+8; n++ {
		sizes = append(sizes, n)
	}
	return sizes
}

// TestDowngradeLarge is row 61: a head just below the limit is converted byte for byte, and one above is answered with 431. The
// connection lives on. Field blocks are sent as short as may be, and as long.
func TestDowngradeLarge(t *testing.T) {
	for _, large := range largeHeads {
		for encoding, encode := range map[string]func(c *harness.H2Client, head []string) []byte{
			"compressed": func(c *harness.H2Client, head []string) []byte { return c.Encode(head...) },
			"literal":    func(_ *harness.H2Client, head []string) []byte { return harness.H2Literals(head...) },
		} {
			t.Run(large.name+", "+encoding, func(t *testing.T) { testLarge(t, large.make, encode) })
		}
	}
}

func testLarge(t *testing.T, make func(size int) []string, encode func(c *harness.H2Client, head []string) []byte) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := downgradeSetup(origin.Addr(), config.ProtocolHTTP1).Start(t)
	c := p.DialH2()
	var heads [][]string
	for _, size := range largeSizes() {
		head := make(size)
		if n := sizeOf(head); n != size {
			t.Fatalf("the head has %d bytes, want %d", n, size)
		}
		if size <= headLimit {
			heads = append(heads, head)
		}
		checkLarge(t, c, encode(c, head), size)
	}
	c.Canary(1)
	c.ExpectIdle()
	checkConverted(t, origin.Requests(), heads)
}

// checkLarge sends a head of so many bytes and checks the answer.
func checkLarge(t *testing.T, c *harness.H2Client, block []byte, size int) {
	t.Helper()
	id := c.NextID()
	c.Batch(func() { sendBlock(c, id, block) })
	resp := c.Response(id)
	want := 200
	if size > headLimit {
		want = 431
	}
	if resp.Status != want || resp.Reset && resp.ResetCode != http2.ErrCodeNo {
		t.Errorf("%d bytes: got %v, want %d", size, resp, want)
	}
}

// sendBlock sends a field block that ends its stream, in as many frames as it takes.
func sendBlock(c *harness.H2Client, id uint32, block []byte) {
	const frame = 16 << 10
	n := min(len(block), frame)
	c.HeadersBlock(id, true, n == len(block), block[:n])
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), frame)
		c.Continuation(id, n == len(block), block[:n])
	}
}

// checkConverted holds that an origin got the heads and nothing else.
func checkConverted(t *testing.T, got []harness.Request, heads [][]string) {
	t.Helper()
	if len(got) != len(heads) {
		t.Fatalf("the origin got %d requests, want %d", len(got), len(heads))
	}
	for i, head := range heads {
		if target := head[indexOf(head, ":path")+1]; got[i].Target != target {
			t.Errorf("request %d: the origin got a target of %d bytes, want %d", i, len(got[i].Target), len(target))
		}
		if want, have := fieldLines(head), ownLines(got[i].Fields); have != want {
			t.Errorf("request %d of %d bytes: the origin got fields of %d bytes, want %d; they differ from %.100q on",
				i, sizeOf(head), len(have), len(want), have[commonLength(have, want):])
		}
	}
}

// fieldLines returns the fields of a head as HTTP/1 has them.
func fieldLines(head []string) string {
	var b, cookies strings.Builder
	for i := 0; i < len(head); i += 2 {
		switch name, value := head[i], head[i+1]; {
		case name == ":authority":
			fmt.Fprintf(&b, "host: %s\r\n", value)
		case strings.HasPrefix(name, ":"):
		case name == "cookie":
			if cookies.Len() > 0 {
				cookies.WriteString("; ") // RFC 9113 section 8.2.3
			}
			cookies.WriteString(value)
		default:
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	if cookies.Len() > 0 {
		fmt.Fprintf(&b, "cookie: %s\r\n", cookies.String())
	}
	return b.String()
}

// ownLines returns the field lines that do not come from the proxy.
func ownLines(fields harness.Fields) string {
	var b strings.Builder
	for _, f := range fields {
		if !strings.HasPrefix(f.Name, "x-forwarded-") && !strings.HasPrefix(f.Name, "x-envoy-") {
			fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
		}
	}
	return b.String()
}

func commonLength(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
