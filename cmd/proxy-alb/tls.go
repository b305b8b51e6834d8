package main

import (
	"context"
	"fmt"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penguintechinc/marchproxy-alb/tls"
)

// openTLS reads the files of ModuleService's TLS, where the environment names them.
func (p *process) openTLS() (err error) {
	if p.settings.env.grpcTLS == (tls.Files{}) {
		return nil
	}
	p.tls, err = tls.NewServerContext(p.settings.env.grpcTLS)
	return ofModuleService(err)
}

// stageTLS reads the files again. Nothing changes until install is called.
func (p *process) stageTLS() (install func(), err error) {
	if p.tls == nil {
		return func() {}, nil
	}
	install, err = p.tls.Stage()
	return install, ofModuleService(err)
}

// watchTLS takes over files that are rotated without a word to the process.
func (p *process) watchTLS(ctx context.Context) {
	if p.tls == nil {
		return
	}
	p.tls.Watch(ctx, func(err error) {
		if err != nil {
			p.log.Error("new TLS files cannot be used, those before stay in force", zap.Error(ofModuleService(err)))
			return
		}
		p.log.Info("TLS files reloaded", zap.Uint64("days_until_first_cert_expiring", p.daysUntilFirstCertificateExpires()))
	})
}

func ofModuleService(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("TLS of ModuleService: %w", err)
}

// contexts are the certificates of every TLS context: of traffic, and of ModuleService.
func (p *process) contexts() []tls.Certificates {
	var all []tls.Certificates
	if p.server != nil {
		all = p.server.Certificates()
	}
	if p.tls != nil {
		all = append(all, p.tls.Certificates())
	}
	return all
}

// daysUntilFirstCertificateExpires is server.days_until_first_cert_expiring.
func (p *process) daysUntilFirstCertificateExpires() uint64 {
	days := uint64(tls.NoCertificate)
	if p.server != nil {
		days = p.server.DaysUntilFirstCertificateExpires()
	}
	if p.tls != nil {
		days = min(days, p.tls.DaysUntilFirstExpiring())
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
