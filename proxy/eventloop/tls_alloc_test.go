package eventloop

import (
	"crypto/tls"
	"testing"

	"golang.org/x/sys/unix"
)

// recordSize is the most that a record of TLS holds, in bytes (RFC 8446 section 5.1).
const recordSize = 16 << 10

// twoConns are both ends of a connection on one stepped loop. With a version of TLS they have shaken hands.
func twoConns(t testing.TB, version uint16) (s *steppedLoop, client, server *Conn) {
	t.Helper()
	s = newSteppedLoop(t)
	server, fd := s.pair()
	other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(other, true)
	}
	if err == nil {
		client, err = s.newConn(other, 0, anyPort)
	}
	if err != nil {
		t.Fatal(err)
	}
	if version == 0 {
		return s, client, server
	}
	config, serverConfig := tlsPair(t, version)
	shaken := 0
	for _, c := range []*Conn{client, server} {
		c.SetIdleHandler(readyFunc(func(*Conn) { shaken++ }))
	}
	server.Handshake(serverLayer(serverConfig))
	client.Handshake(func(w *Wire) (Layer, error) {
		conn := tls.Client(w, config)
		return conn, conn.Handshake()
	})
	s.until("hands are shaken", func() bool {
		done, err := client.Connected()
		also, serverErr := server.Connected()
		if err != nil || serverErr != nil {
			t.Fatal(err, serverErr)
		}
		return done && also && shaken >= 2
	})
	return s, client, server
}

// carry moves b from one end to the other, through into.
func (s *steppedLoop) carry(from, to *Conn, b, into []byte) {
	from.Write(b)
	for got := 0; got < len(b); {
		s.step()
		for to.Readable() {
			n, err := to.Read(into)
			got += n
			if err == ErrWouldBlock {
				break
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// recordAllocations is what crypto/tls allocates for a record that comes alone: a small reader each time that it asks the wire
// for bytes, which is once for the record and once to learn that there is no more. Sealing allocates nothing, nor does what
// is around crypto/tls.
const recordAllocations = 2

// TestRecordsAllocateNoMore bounds what a record costs once everything has grown.
func TestRecordsAllocateNoMore(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		s, client, server := twoConns(t, version)
		b, into := make([]byte, recordSize), make([]byte, recordSize)
		trip := func() {
			s.carry(client, server, b, into)
			s.carry(server, client, b, into)
		}
		for range 100 {
			trip()
		}
		got := testing.AllocsPerRun(500, trip) / 2
		want := float64(recordAllocations)
		if version == 0 {
			want = 0
		}
		if got > want {
			t.Errorf("version %#x: %v allocations per record, want at most %v", version, got, want)
		}
	}
}

// BenchmarkRecords moves 16 KiB from one end of a connection to the other: sealed, sent, received and opened.
func BenchmarkRecords(b *testing.B) {
	for name, version := range map[string]uint16{"cleartext": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		b.Run(name, func(b *testing.B) {
			s, client, server := twoConns(b, version)
			data, into := make([]byte, recordSize), make([]byte, recordSize)
			b.SetBytes(recordSize)
			b.ReportAllocs()
			for b.Loop() {
				s.carry(server, client, data, into)
			}
		})
	}
}

// BenchmarkSealing is what sealing 16 KiB costs, without the kernel.
func BenchmarkSealing(b *testing.B) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b.Run(tls.VersionName(version), func(b *testing.B) {
			s, client, _ := twoConns(b, version)
			data := make([]byte, recordSize)
			b.SetBytes(recordSize)
			b.ReportAllocs()
			for b.Loop() {
				client.out.add(&s.chunks, data)
				client.seal()
				client.over.sealed.drop(&s.chunks)
			}
		})
	}
}
