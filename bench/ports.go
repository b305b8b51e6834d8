package bench

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// Listeners of the lab get ports below the kernel's range for outgoing connections
// (ip_local_port_range, from 32768 by default), where none of the thousands of
// connections of a run can take a port between its choice and its use.
const (
	firstPort = 20_000
	lastPort  = 29_999
)

// portFinder hands out free ports of the loopback address, each once until all have
// had their turn.
type portFinder struct {
	next int
}

// newPortFinder starts at a port that depends on the process, so that two labs are
// unlikely to collide.
func newPortFinder() *portFinder {
	const apart = 64
	return &portFinder{next: firstPort + os.Getpid()*apart%(lastPort-firstPort+1)}
}

// addresses returns n addresses of 127.0.0.1 that nothing listens on.
func (f *portFinder) addresses(n int) ([]string, error) {
	var found []string
	for range lastPort - firstPort + 1 {
		if len(found) == n {
			return found, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(f.next))
		if f.next++; f.next > lastPort {
			f.next = firstPort
		}
		ln, err := net.Listen("tcp4", address)
		if err != nil {
			continue
		}
		ln.Close()
		found = append(found, address)
	}
	return nil, fmt.Errorf("free ports: %d in [%d, %d], want %d", len(found), firstPort, lastPort, n)
}
