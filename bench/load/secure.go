package load

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// clientTLS is what a connection offers: TLS 1.3 and one key exchange, so that the client's part of a handshake is the same
// with every server. Like wrk and h2load it does not ask who has signed the server's certificate; that the server has its key is
// checked. Without resume it has no session to go on with.
func clientTLS(resume bool) *tls.Config {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519},
		InsecureSkipVerify: true,
	}
	if resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return config
}

// secure shakes hands on tcp and says whether a session was resumed. Without config the stream is tcp itself.
func secure(tcp net.Conn, config *tls.Config, deadline time.Time) (stream net.Conn, resumed bool, err error) {
	if config == nil {
		return tcp, false, nil
	}
	if err := tcp.SetDeadline(deadline); err != nil {
		return nil, false, err
	}
	conn := tls.Client(tcp, config)
	if err := conn.HandshakeContext(context.Background()); err != nil {
		return nil, false, err
	}
	return conn, conn.ConnectionState().DidResume, nil
}

// describe returns what the two sides have agreed on: version, cipher suite and key exchange. It is "" for cleartext.
func describe(state *tls.ConnectionState) string {
	if state == nil {
		return ""
	}
	return Agreement(tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.CurveID.String())
}

// Agreement is Answer.TLS for a version, a cipher suite and a key exchange, each by its usual name.
func Agreement(version, suite, curve string) string { return version + ", " + suite + ", " + curve }
