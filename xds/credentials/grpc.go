package credentials

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// ForGRPC returns the credentials of gRPC connections to a target, "host:port".
func (c *Context) ForGRPC(target string) credentials.TransportCredentials {
	return transport{c, target}
}

// transport is a Context as gRPC takes it.
type transport struct {
	context *Context
	target  string
}

// ClientHandshake implements credentials.TransportCredentials. The authority is not looked at: which name the server must have is
// for the cluster to say.
func (t transport) ClientHandshake(ctx context.Context, _ string, wire net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, err := t.context.handshake(ctx, wire, t.target, []string{http2})
	if err != nil {
		return nil, nil, err
	}
	return conn, secured{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

// ServerHandshake implements credentials.TransportCredentials.
func (t transport) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("BUG: these credentials are a client's")
}

// Info implements credentials.TransportCredentials.
func (t transport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (t transport) Clone() credentials.TransportCredentials { return t }

// OverrideServerName implements credentials.TransportCredentials, of which it is a deprecated part.
func (t transport) OverrideServerName(string) error {
	return errors.New("BUG: the name of the server is for the cluster to say")
}

// secured tells gRPC that a connection is encrypted.
type secured struct{ credentials.CommonAuthInfo }

// AuthType implements credentials.AuthInfo.
func (secured) AuthType() string { return "tls" }
