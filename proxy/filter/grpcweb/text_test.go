package grpcweb

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// TestDecoderSplits decodes every input in two pieces, split anywhere.
func TestDecoderSplits(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"YQ==", "a"},
		{"YWI=", "ab"},
		{"YWJj", "abc"},
		{"YWJjZGVm", "abcdef"},
		{"YQ==YWJjYg==", "aabcb"}, // pieces that were encoded one by one
	} {
		for at := range len(c.text) + 1 {
			var d textDecoder
			got, ok := d.append(nil, []byte(c.text[:at]))
			if !ok {
				t.Fatalf("%q split at %d: refused", c.text, at)
			}
			if got, ok = d.append(got, []byte(c.text[at:])); !ok || string(got) != c.want || !d.complete() {
				t.Errorf("%q split at %d: got %q, %v", c.text, at, got, ok)
			}
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, text := range []string{"Y===", "====", "YQ=a", "Y@Jj", "YW J", "YWJ\n", "\nYWJ", "YR==\x00000", "=YWJ", "YW=J"} {
		var d textDecoder
		if got, ok := d.append(nil, []byte(text)); ok && d.complete() {
			t.Errorf("%q was taken for %q", text, got)
		}
	}
	var d textDecoder
	if _, ok := d.append(nil, []byte("YWJ")); !ok || d.complete() {
		t.Error("an unfinished group counts as complete")
	}
}

// frame returns a gRPC message.
func frame(flags byte, payload string) string {
	n := len(payload)
	return string([]byte{flags, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + payload
}

// decodePieces decodes base64 in which padding ends pieces, as a client does.
func decodePieces(t testing.TB, text string) string {
	t.Helper()
	var out []byte
	for len(text) > 0 {
		group := text[:4]
		text = text[4:]
		b, err := base64.StdEncoding.DecodeString(group)
		if err != nil {
			t.Fatalf("group %q: %v", group, err)
		}
		out = append(out, b...)
	}
	return string(out)
}

// TestEncoderSplits encodes messages in two pieces, split anywhere: a client that has got a whole message in can read it.
func TestEncoderSplits(t *testing.T) {
	messages := []string{frame(0, ""), frame(0, "a"), frame(1, "ab"), frame(0, "abc"), frame(0, strings.Repeat("x", 300)), frame(trailerFlag, "grpc-status:0\r\n")}
	body := strings.Join(messages, "")
	ends := map[int]bool{0: true}
	for n, i := 0, 0; i < len(messages); i++ {
		n += len(messages[i])
		ends[n] = true
	}
	for at := range len(body) + 1 {
		var e textEncoder
		first := string(e.append(nil, []byte(body[:at])))
		if ends[at] && decodePieces(t, first) != body[:at] {
			t.Errorf("split at %d, where a message ends: the client has %q", at, first)
		}
		all := string(e.append([]byte(first), []byte(body[at:])))
		if got := decodePieces(t, all); got != body || e.n != 0 {
			t.Errorf("split at %d: got %q, %d bytes are kept", at, got, e.n)
		}
	}
}

// TestEncoderCutOff flushes what there is of a message that does not come whole.
func TestEncoderCutOff(t *testing.T) {
	body := frame(0, "hello")[:7]
	var e textEncoder
	out := e.append(nil, []byte(body))
	out = e.flush(out)
	if got := decodePieces(t, string(out)); got != body {
		t.Errorf("got %q, want %q", got, body)
	}
}

// FuzzText holds the decoder against encoding/base64, in which padding ends the input, and the encoder against the decoder.
func FuzzText(f *testing.F) {
	f.Add([]byte("YWJj"), 2)
	f.Add([]byte(frame(0, "abc")+frame(trailerFlag, "a:b\r\n")), 6)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		at = min(max(at, 0), len(data))
		var d textDecoder
		got, ok := d.append(nil, data[:at])
		if ok {
			got, ok = d.append(got, data[at:])
		}
		if want, err := base64.StdEncoding.DecodeString(string(data)); err == nil && !bytes.ContainsAny(data, "\r\n") {
			if !ok || !d.complete() || !bytes.Equal(got, want) {
				t.Errorf("%q: got %q, %v, want %q", data, got, ok, want)
			}
		}
		var e textEncoder
		out := e.flush(e.append(e.append(nil, data[:at]), data[at:]))
		if got := decodePieces(t, string(out)); got != string(data) {
			t.Errorf("%q came back as %q", data, got)
		}
	})
}
