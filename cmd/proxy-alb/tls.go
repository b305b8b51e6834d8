package main

import (
	"context"
	"fmt"
	"sync"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penguintechinc/marchproxy-alb/tls"
)

// faceTLS is the TLS of a face. A nil one is plaintext.
type faceTLS struct {
	face string
	*tls.ServerContext
}

// openTLS reads the files of the faces' TLS, where the environment names them.
func (p *process) openTLS() (err error) {
	env := p.settings.env
	if p.grpcTLS, err = openFaceTLS("ModuleService", env.grpcTLS, "h2"); err != nil {
		return err
	}
	p.adminTLS, err = openFaceTLS("the admin interface", env.adminTLS, "http/1.1")
	return err
}

func openFaceTLS(face string, files tls.Files, protocol string) (*faceTLS, error) {
	if files == (tls.Files{}) {
		return nil, nil
	}
	context, err := tls.NewServerContext(files, protocol)
	f := &faceTLS{face, context}
	return f, f.of(err)
}

// of says whose TLS an error is about.
func (f *faceTLS) of(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("TLS of %s: %w", f.face, err)
}

// secured returns the TLS of the faces that have it.
func (p *process) secured() (all []*faceTLS) {
	for _, f := range []*faceTLS{p.grpcTLS, p.adminTLS} {
		if f != nil {
			all = append(all, f)
		}
	}
	return all
}

// stageTLS reads the files again. Nothing changes until install is called.
func (p *process) stageTLS() (install func(), err error) {
	var installs []func()
	for _, f := range p.secured() {
		one, err := f.Stage()
		if err != nil {
			return nil, f.of(err)
		}
		installs = append(installs, one)
	}
	return func() {
		for _, one := range installs {
			one()
		}
	}, nil
}

// watchTLS takes over files that are rotated without a word to the process.
func (p *process) watchTLS(ctx context.Context) {
	var watching sync.WaitGroup
	for _, f := range p.secured() {
		watching.Go(func() {
			f.Watch(ctx, func(err error) {
				if err != nil {
					p.log.Error("new TLS files cannot be used, those before stay in force", zap.Error(f.of(err)))
					return
				}
				p.log.Info("TLS files reloaded", zap.String("face", f.face),
					zap.Uint64("days_until_first_cert_expiring", p.daysUntilFirstCertificateExpires()))
			})
		})
	}
	watching.Wait()
}

// contexts are the certificates of every TLS context: of traffic, and of the faces.
func (p *process) contexts() []tls.Certificates {
	var all []tls.Certificates
	if p.server != nil {
		all = p.server.Certificates()
	}
	for _, f := range p.secured() {
		all = append(all, f.Certificates())
	}
	return all
}

// daysUntilFirstCertificateExpires is server.days_until_first_cert_expiring.
func (p *process) daysUntilFirstCertificateExpires() uint64 {
	days := uint64(tls.NoCertificate)
	if p.server != nil {
		days = p.server.DaysUntilFirstCertificateExpires()
	}
	for _, f := range p.secured() {
		days = min(days, f.DaysUntilFirstExpiring())
	}
	return days
}

// certificates are those of /certs.
func (p *process) certificates() []*adminv3.Certificate {
	var all []*adminv3.Certificate
	for _, c := range p.contexts() {
		if len(c.Chain)+len(c.CA) > 0 {
			all = append(all, &adminv3.Certificate{CaCert: certificateDetails(c.CA), CertChain: certificateDetails(c.Chain)})
		}
	}
	return all
}

// certificateDetails has the alternative names in Envoy's order: DNS, URI, IP.
func certificateDetails(list []tls.CertificateDetails) []*adminv3.CertificateDetails {
	var details []*adminv3.CertificateDetails
	for _, one := range list {
		d := &adminv3.CertificateDetails{
			Path:                one.Path,
			SerialNumber:        one.SerialNumber,
			DaysUntilExpiration: one.DaysUntilExpiration,
			ValidFrom:           timestamppb.New(one.ValidFrom),
			ExpirationTime:      timestamppb.New(one.ExpirationTime),
		}
		for _, name := range one.DNSNames {
			d.SubjectAltNames = append(d.SubjectAltNames, &adminv3.SubjectAlternateName{Name: &adminv3.SubjectAlternateName_Dns{Dns: name}})
		}
		for _, name := range one.URIs {
			d.SubjectAltNames = append(d.SubjectAltNames, &adminv3.SubjectAlternateName{Name: &adminv3.SubjectAlternateName_Uri{Uri: name}})
		}
		for _, name := range one.IPAddresses {
			d.SubjectAltNames = append(d.SubjectAltNames, &adminv3.SubjectAlternateName{Name: &adminv3.SubjectAlternateName_IpAddress{IpAddress: name}})
		}
		details = append(details, d)
	}
	return details
}
