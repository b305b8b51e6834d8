package moduleservice

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Options say what the service shows and does. Store, Stats, Window, Healthy and Reload are required. Functions may be
// called from any goroutine, several at a time, except for Reload.
type Options struct {
	ModuleID string
	Version  string // of the module, such as "v1.0.0"
	// EnvoyAPIVersion is the Envoy release whose API and defaults are followed, such as "1.38".
	EnvoyAPIVersion string

	// XDSServer is the address of the control plane, empty where there is none.
	XDSServer  string
	AdminPort  int
	ListenPort int

	Store  *config.Store
	Stats  *stats.Store
	Window *stats.Window // of the request times of the traffic

	StartTime time.Time
	// MaxConnectionAge is how long a client's connection lives before it is asked to come again, 0 for ever.
	MaxConnectionAge time.Duration
	// Credentials secure the connections; nil means that they are in plaintext.
	Credentials credentials.TransportCredentials

	// Healthy returns whether the process does its work and, when it does not, the reason for people.
	Healthy func() (ok bool, reason string)
	// Reload reads the bootstrap and every file source again and reopens the logs; with force it also redoes the xDS
	// stream. When it fails nothing has changed. Calls do not overlap.
	Reload func(ctx context.Context, force bool) error

	// Logger is told of every change and every panic; nil means nobody is.
	Logger *zap.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// complete returns o with defaults, or what is missing.
func (o Options) complete() (Options, error) {
	if o.Store == nil || o.Stats == nil || o.Window == nil || o.Healthy == nil || o.Reload == nil {
		return o, errors.New("moduleservice: Options.Store, Stats, Window, Healthy and Reload must all be given")
	}
	if o.MaxConnectionAge < 0 {
		return o, errors.New("moduleservice: Options.MaxConnectionAge is negative, want 0 or more")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}
