package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// recordedClient returns what a client sends that has every kind of frame.
func recordedClient() []byte {
	s := newScript().begin(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	s.raw(http2.FrameHeaders, endHeaders|endStream|padded|priority, 1, "\x03"+otherBlock+string(s.encode(with(getFields, "a", "1")...))+"ppp")
	block := string(s.encode(with(postFields, "b", "2", "content-length", "6")...))
	s.raw(http2.FrameHeaders, 0, 3, block[:2]).continuation(3, 0, block[2:5]).continuation(3, endHeaders, block[5:])
	s.ping("12345678").windowUpdate(0, 1000)
	s.data(3, 0, "abc").priority(7, 3)
	s.post(5).data(5, 0, "x").raw(0xee, 0xff, 5, "unknown")
	s.data(3, endStream|padded, "\x02defpp").windowUpdate(5, 1000)
	s.data(5, 0, "").data(5, 0, "yz").headers(5, endStream, "trailer", "t")
	s.post(7).data(7, 0, "lost").reset(7, http2.ErrCodeCancel)
	s.headers(9, endStream, with(getFields, "connection", "close")...) // malformed
	return s.settings().goAway(0, http2.ErrCodeNo).Bytes()
}

// recordedHost returns what a host sends to whom has asked it on streams 1 to 7.
func recordedHost() []byte {
	s := newScript().settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100}).settingsAck()
	s.headers(1, 0, ":status", "103", "link", "a").headers(1, 0, ":status", "200", "content-length", "3")
	s.data(1, 0, "a").headers(3, endStream, ":status", "204").data(1, endStream|padded, "\x01bcp")
	block := string(s.encode(":status", "500", "b", "2"))
	s.raw(http2.FrameHeaders, 0, 5, block[:1]).continuation(5, endHeaders, block[1:])
	s.ping("12345678").data(5, 0, "xyz").headers(5, endStream, "trailer", "t")
	s.windowUpdate(0, 1000).windowUpdate(7, 1000).raw(0xee, 0, 0, "unknown")
	return s.reset(7, http2.ErrCodeRefusedStream).goAway(5, http2.ErrCodeNo).Bytes()
}

// serveSplit serves what a client sends in the parts given, and returns what it and the client have seen of it.
func serveSplit(t *testing.T, parts [][]byte) string {
	s, p := newRig(t).server(testOptions())
	heads, bodies := make(map[uint32]string), make(map[uint32]*strings.Builder)
	s.serve = func(v *served) {
		b := bodies[v.id]
		if b == nil {
			b = new(strings.Builder)
			bodies[v.id] = b
			heads[v.id] = fmt.Sprintf("%s %s [%s] %d", v.req.Method, v.req.Path, fieldsText(&v.req.Fields), v.req.ContentLength)
		}
		b.WriteString(readAll(v.Stream))
		if v.BodyDone() {
			fmt.Fprintf(b, " {%s}", fieldsText(v.Trailers()))
			v.answer(b.String())
		} else if v.Err() != noError {
			b.Reset() // how much was read before the reset depends on when it came
			fmt.Fprintf(b, "!%v", v.Err())
			v.end(false)
		}
	}
	for _, part := range parts {
		p.Write(part)
		p.turn()
	}
	p.finish(&s.conn)
	var seen []string
	for id, v := range s.served {
		seen = append(seen, fmt.Sprintf("%d %s %v: %v", id, heads[id], v.why, bodies[id]))
	}
	return outcome(append(seen, fmt.Sprint("gone ", s.PeerGone(), " since ", s.HeadSince())), p.take())
}

// askSplit asks a host that answers in the parts given.
func askSplit(t *testing.T, parts [][]byte) string {
	k, p := newRig(t).client(testOptions())
	for range 4 {
		k.get()
	}
	results := make([]strings.Builder, len(k.asked))
	collect := func() {
		for i, q := range k.asked {
			results[i].WriteString(q.news())
		}
	}
	for _, part := range parts {
		p.Write(part)
		p.send()
		collect()
		p.r.step()
	}
	collect()
	var seen []string
	for i, q := range k.asked {
		seen = append(seen, fmt.Sprint(2*i+1, " ", results[i].String()))
		q.end()
	}
	p.r.steps(2)
	return outcome(append(seen, fmt.Sprint("drained ", k.drained, " of ", k.peer.maxStreams)), p.take())
}

// news returns what has come of the response since it was asked last.
func (q *asked) news() string {
	var text strings.Builder
	for q.ReadHead(&q.resp) == nil {
		fmt.Fprintf(&text, "%d [%s] ", q.resp.Status, fieldsText(&q.resp.Fields))
	}
	switch {
	case q.over:
		return text.String()
	case !q.headDone && q.Err() != noError:
		fmt.Fprintf(&text, "!%v", q.Err())
		q.end()
		return text.String()
	case !q.headDone:
		return text.String()
	}
	data, done, err := q.ReadBody()
	for ; err == nil && !done; data, done, err = q.ReadBody() {
		text.Write(data)
	}
	text.Write(data)
	if done {
		fmt.Fprintf(&text, "| {%s}", fieldsText(q.Trailers()))
		q.end()
	} else if err != eventloop.ErrWouldBlock {
		fmt.Fprintf(&text, "!%v", err)
		q.end()
	}
	return text.String()
}

// outcome makes one text of what both ends have seen. The order in which streams are answered depends on the turns.
func outcome(seen, frames []string) string {
	slices.Sort(seen)
	slices.Sort(frames)
	return strings.Join(append(seen, frames...), "\n")
}

// TestSplit feeds recorded connections in one piece, byte by byte, and in two pieces split at every place.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		play  func(t *testing.T, parts [][]byte) string
	}{
		{"server", recordedClient(), serveSplit},
		{"client", recordedHost(), askSplit},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.play(t, [][]byte{c.bytes})
			if strings.Contains(want, "GOAWAY") || !strings.Contains(want, "PING ACK") {
				t.Fatalf("the recorded connection is not as it was meant:\n%s", want)
			}
			t.Log(want)
			check := func(name string, parts ...[]byte) {
				t.Run(name, func(t *testing.T) {
					if got := c.play(t, parts); got != want {
						t.Errorf("got\n%s\nwant\n%s", got, want)
					}
				})
			}
			for i := 1; i < len(c.bytes); i++ {
				check(fmt.Sprint("at ", i), c.bytes[:i], c.bytes[i:])
			}
			var single [][]byte
			for i := range c.bytes {
				single = append(single, c.bytes[i:i+1])
			}
			check("byte by byte", single...)
		})
	}
}
