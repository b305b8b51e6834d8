package config

import (
	"net"
	"strconv"
)

// String returns the address as "ip:port", with brackets around an IPv6 address.
func (a Address) String() string {
	return net.JoinHostPort(a.IP, strconv.FormatUint(uint64(a.Port), 10))
}
