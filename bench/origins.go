package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/nghttpd"
	"github.com/penguintechinc/marchproxy-alb/bench/origin"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// origins are the servers behind the proxies, by address; "" for one that is not needed
// or not there. They run from the beginning of a run to its end: idle they cost nothing.
type origins struct {
	http1  string // package origin
	http2  string // nghttpd
	calls  string // nghttpd with trailers
	echo   string // package origin's echo
	mirror string // package origin's mirror, within this process

	processes []*child.Child
	stops     []func() error
}

// alive fails when an origin has ended: it is not the proxies that are at fault then.
func (o *origins) alive() error {
	for _, c := range o.processes {
		select {
		case <-c.Done():
			return c.Failure(fmt.Sprintf("origin ended: %v", c.Err()))
		default:
		}
	}
	return nil
}

// of returns the address of the origin of the traffic.
func (o *origins) of(t peer.Traffic) string {
	switch {
	case t.Echoes():
		return o.echo
	case t.Upstream != peer.HTTP2:
		return o.http1
	case t.GRPC:
		return o.calls
	}
	return o.http2
}

// stop ends all of them.
func (o *origins) stop() error {
	var err error
	for _, stop := range o.stops {
		err = errors.Join(err, stop())
	}
	return err
}

// startOrigins starts those that the scenarios need and waits until they answer.
func (l *lab) startOrigins(ctx context.Context) error {
	at, err := l.ports.addresses(4)
	if err != nil {
		return err
	}
	if err := l.startMirror(); err != nil {
		return err
	}
	args := []string{"origin", "--listen", at[0]}
	if err := l.startOrigin(ctx, l.options.Self, args, load.Question{Address: at[0], Path: smallPath}); err != nil {
		return err
	}
	l.origins.http1 = at[0]
	if slices.ContainsFunc(l.options.Scenarios, func(s Scenario) bool { return s.Traffic.Echoes() }) {
		args := []string{"origin", "--echo", "--listen", at[3]}
		if err := l.startOrigin(ctx, l.options.Self, args, load.Question{Address: at[3], Path: smallPath}); err != nil {
			return err
		}
		l.origins.echo = at[3]
	}
	if l.nghttpd == "" || !slices.ContainsFunc(l.options.Scenarios, Scenario.needsNghttpd) {
		return nil
	}
	server, err := l.documents()
	if err != nil {
		return err
	}
	for i, calls := range []bool{false, true} {
		address := at[1+i]
		args, err := server.Args(address, calls)
		if err != nil {
			return err
		}
		if err := l.startOrigin(ctx, l.nghttpd, args, load.Question{Address: address, Path: smallPath, HTTP2: true}); err != nil {
			return err
		}
	}
	l.origins.http2, l.origins.calls = at[1], at[2]
	return nil
}

func (l *lab) startOrigin(ctx context.Context, path string, args []string, q load.Question) error {
	c, err := l.spawner.Start(child.Spec{Path: path, Args: args, CPUs: l.machine.LoadCPUs})
	if err != nil {
		return err
	}
	l.origins.processes = append(l.origins.processes, c)
	l.origins.stops = append(l.origins.stops, c.Stop)
	if _, err := awaitAnswer(ctx, c, q); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	return nil
}

// startMirror serves the mirror from this process: it has a request per proxy and
// scenario, none while something is measured.
func (l *lab) startMirror() error {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- origin.ServeMirror(ctx, ln) }()
	l.origins.mirror = ln.Addr().String()
	l.origins.stops = append(l.origins.stops, func() error {
		cancel()
		return <-served
	})
	return nil
}

// documents makes the files of nghttpd.
func (l *lab) documents() (nghttpd.Server, error) {
	dir := filepath.Join(l.dir, "nghttpd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nghttpd.Server{}, err
	}
	server, err := nghttpd.NewServer(dir, peer.MaxStreams)
	if err != nil {
		return nghttpd.Server{}, err
	}
	err = server.AddDocument(smallPath, smallBody)
	for _, s := range l.options.Scenarios {
		switch {
		case !s.needsNghttpd():
		case s.Traffic.GRPC:
			err = errors.Join(err, server.AddAnswer(s.Path, message(s.Body)))
		default:
			err = errors.Join(err, server.AddDocument(s.Path, s.Body))
		}
	}
	return server, err
}
