package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/admin"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/socketfile"
)

// faceTimeout bounds the end of one face: its requests are short.
const faceTimeout = 5 * time.Second

// face is a server beside traffic.
type face interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// faces are the servers beside traffic: admin, metrics, health and ModuleService. Their sockets are opened first, so that
// a port in use is an error before anything runs.
type faces struct {
	log  *zap.Logger
	all  []openFace
	done sync.WaitGroup
}

type openFace struct {
	name   string
	server face
	socket net.Listener
}

// open binds the socket of a face. What is accepted there is as secured makes it, nil for plaintext.
func (f *faces) open(name string, a config.Address, server face, secured *faceTLS) error {
	socket, err := net.Listen("tcp", a.String())
	return f.add(name, socket, err, server, secured)
}

// openAdmin binds the socket of the admin interface, which may be a Unix domain socket.
func (f *faces) openAdmin(a config.Address, mode uint32, server face, secured *faceTLS) error {
	if a.Path == "" {
		return f.open("admin", a, server, secured)
	}
	socket, err := socketfile.Listen(a.Path, mode)
	return f.add("admin", socket, err, server, secured)
}

func (f *faces) add(name string, socket net.Listener, err error, server face, secured *faceTLS) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if secured != nil {
		socket = secured.Listener(socket)
	}
	f.all = append(f.all, openFace{name, server, socket})
	return nil
}

// serve starts every face on a goroutine of its own.
func (f *faces) serve() {
	for _, one := range f.all {
		f.done.Go(func() {
			if err := one.server.Serve(one.socket); err != nil && !errors.Is(err, net.ErrClosed) {
				f.log.Error("face ended", zap.String("face", one.name), zap.Error(err))
			}
		})
	}
}

// close ends every face and waits for them.
func (f *faces) close() {
	ctx, cancel := context.WithTimeout(context.Background(), faceTimeout)
	defer cancel()
	var ending sync.WaitGroup
	for _, one := range f.all {
		ending.Go(func() {
			if err := one.server.Shutdown(ctx); err != nil {
				f.log.Warn("face was cut", zap.String("face", one.name), zap.Error(err))
			}
		})
	}
	ending.Wait()
	f.done.Wait()
}

// openFaces makes the faces and binds their sockets.
func (p *process) openFaces() error {
	p.faces.log = p.log
	env, b, options := p.settings.env, p.settings.bootstrap, p.adminOptions()
	if b.HasAdmin {
		server, err := admin.New(options)
		if err := errors.Join(err, p.faces.openAdmin(b.Admin, b.AdminMode, server, p.adminTLS)); err != nil {
			return err
		}
		if err := p.writeAdminAddress(); err != nil {
			return err
		}
	}
	metrics, metricsErr := admin.NewMetrics(options)
	health, healthErr := admin.NewHealth(options)
	service, serviceErr := moduleservice.New(p.serviceOptions())
	if err := errors.Join(metricsErr, healthErr, serviceErr); err != nil {
		return err
	}
	return errors.Join(
		p.faces.open("metrics", env.metrics, metrics, nil),
		p.faces.open("health", env.health, health, nil),
		p.faces.open("ModuleService", env.grpc, service, nil), // gRPC has its TLS itself
	)
}

// writeAdminAddress tells where the admin interface is, for --admin-address-path.
func (p *process) writeAdminAddress() error {
	path := p.settings.flags.adminAddressPath
	if path == "" {
		return nil
	}
	address := p.faces.all[0].socket.Addr().String()
	if err := os.WriteFile(path, []byte(address), 0o644); err != nil {
		return fmt.Errorf("--admin-address-path: %w", err)
	}
	return nil
}
