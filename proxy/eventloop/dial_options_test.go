package eventloop

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDialOptions holds that a socket gets the options before it connects, and that one which is not taken is an error.
func TestDialOptions(t *testing.T) {
	s := newSteppedLoop(t)
	fd, err := ListenSocket(netip.MustParseAddrPort("127.0.0.1:0"), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	address := SocketAddress(fd)
	keepalive := DialOption{Level: unix.SOL_SOCKET, Name: unix.SO_KEEPALIVE, Value: 1}
	c, err := s.Dial(address, keepalive, DialOption{Level: unix.IPPROTO_TCP, Name: unix.TCP_KEEPIDLE, Value: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[[2]int]int{{unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 1, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}: 7} {
		if got, err := unix.GetsockoptInt(c.fd, name[0], name[1]); err != nil || got != want {
			t.Errorf("option %v is %d, %v, want %d", name, got, err, want)
		}
	}
	_, err = s.Dial(address, keepalive, DialOption{Level: unix.IPPROTO_TCP, Name: unix.TCP_KEEPIDLE, Value: 1 << 20})
	if err == nil || !strings.Contains(err.Error(), "setsockopt level 6, name 4 to 1048576: invalid argument") {
		t.Errorf("an option that the kernel does not take: %v", err)
	}
}
