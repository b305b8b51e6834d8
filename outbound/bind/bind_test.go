package bind

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// listen accepts connections and returns where it does.
func listen(t *testing.T, network, address string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr()
}

func TestDialer(t *testing.T) {
	from := func(v4, v6 string, options ...config.SocketOption) *config.Bind {
		b := &config.Bind{V4: config.BindSource{Options: options}, V6: config.BindSource{Options: options}}
		if v4 != "" {
			b.V4.Address = netip.MustParseAddrPort(v4)
		}
		if v6 != "" {
			b.V6.Address = netip.MustParseAddrPort(v6)
		}
		return b
	}
	keepAlive := config.SocketOption{Level: syscall.SOL_SOCKET, Name: syscall.SO_PRIORITY, Int: 5}
	tests := map[string]struct {
		network, host string
		bind          *config.Bind
		want          string // the source address, or
		fails         error
	}{
		"anywhere":        {"tcp", "127.0.0.1:0", nil, "127.0.0.1", nil},
		"an address":      {"tcp", "127.0.0.1:0", from("127.0.0.2:0", ""), "127.0.0.2", nil},
		"of IPv6":         {"tcp", "[::1]:0", from("127.0.0.2:0", "[::1]:0"), "::1", nil},
		"no such address": {"tcp", "127.0.0.1:0", from("192.0.2.1:0", ""), "", syscall.EADDRNOTAVAIL},
		"other family":    {"tcp", "[::1]:0", from("127.0.0.2:0", "127.0.0.2:0"), "", syscall.EAFNOSUPPORT},
		"options":         {"tcp", "127.0.0.1:0", from("127.0.0.2:0", "", keepAlive), "127.0.0.2", nil},
		"bad option":      {"tcp", "127.0.0.1:0", from("", "", config.SocketOption{Level: 250, Name: 1}), "", syscall.ENOPROTOOPT},
		"a pipe":          {"unix", t.TempDir() + "/s", from("192.0.2.1:0", ""), "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			to := listen(t, test.network, test.host)
			c, err := Dialer(test.bind).DialContext(t.Context(), to.Network(), to.String())
			if !errors.Is(err, test.fails) {
				t.Fatalf("got %v, want %v", err, test.fails)
			}
			if err != nil {
				return
			}
			defer c.Close()
			if local, ok := c.LocalAddr().(*net.TCPAddr); ok && local.IP.String() != test.want {
				t.Errorf("from %s, want %s", local.IP, test.want)
			}
		})
	}
}
