package config

// ListenAddress is an address that a listener accepts connections on, and how its sockets are made.
type ListenAddress struct {
	Address
	SocketSettings
}

// SocketSettings are what is asked of a listening socket.
type SocketSettings struct {
	// IPv4Compat has a socket on "::" take connections over IPv4 as well.
	IPv4Compat bool
	// Backlog bounds the connections that wait to be accepted (tcp_backlog_size); 0 is as many as the kernel allows.
	Backlog uint32
	// Freebind and Transparent are IP_FREEBIND and IP_TRANSPARENT of ip(7).
	Freebind, Transparent bool
	// Mode has the permissions of the file of a Unix domain socket, at most 0777; 0 leaves them to the umask.
	Mode uint32
	// Options are set in order, each when the socket has come as far as its State says.
	Options []SocketOption
}

// SocketOption is envoy.config.core.v3.SocketOption.
type SocketOption struct {
	Level, Name int // as for setsockopt(2)
	Int         int
	Bytes       []byte // instead of Int, nil without
	State       SocketState
}

// SocketState is how far a socket has come.
type SocketState uint8

// The states.
const (
	SocketPrebind SocketState = iota
	SocketBound
	SocketListening
)

// Addresses returns all addresses of the listener, the main one first.
func (l *Listener) Addresses() []ListenAddress {
	return append([]ListenAddress{{l.Address, l.Socket}}, l.Additional...)
}
