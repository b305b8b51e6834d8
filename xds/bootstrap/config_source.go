package bootstrap

import (
	"errors"
	"fmt"
	"os"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// discovery decodes where all resources of a type come from, nil when they are not asked for.
func (d *decoder) discovery(path string, s *corev3.ConfigSource, written *bootstrapv3.Bootstrap) *config.Discovery {
	if s == nil {
		return nil
	}
	found, err := resource.Discovery(path, s)
	d.add(err)
	switch {
	case err != nil:
	case s.GetApiConfigSource() != nil:
		d.controlPlane(path+".api_config_source", s.GetApiConfigSource(), written)
	case !found.Source.Aggregated():
		d.failed(path, (&Bootstrap{}).CheckSource(found.Source))
	case written.GetDynamicResources().GetAdsConfig() == nil:
		d.errorf(path, "needs dynamic_resources.ads_config")
	}
	return &found
}

// ControlPlane returns how to reach the control plane of an api_config_source, which may stand in a static resource or in
// one that came from a control plane. The warnings name what is accepted and has no effect.
func (b *Bootstrap) ControlPlane(source config.ConfigSource) (_ *ControlPlane, warnings []string, err error) {
	api := &corev3.ApiConfigSource{}
	if err := proto.Unmarshal([]byte(source.API), api); err != nil {
		return nil, nil, fmt.Errorf("api_config_source: %w", err)
	}
	d := decoder{out: &Bootstrap{}, static: b}
	found := d.controlPlane("api_config_source", api, b.Proto)
	if err := errors.Join(d.errs...); err != nil {
		return nil, nil, err
	}
	return found, d.out.Warnings, nil
}

// CheckSource reports whether resources can come from source.
func (b *Bootstrap) CheckSource(source config.ConfigSource) error {
	switch {
	case source.API != "":
		_, _, err := b.ControlPlane(source)
		return err
	case !source.Aggregated():
		for _, path := range []string{source.Path, source.WatchedDirectory} {
			if path == "" {
				continue
			}
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("paths must refer to an existing path in the system: '%s' does not exist (%w)", path, err)
			}
		}
	case b.ADS == nil:
		return errors.New("there is no dynamic_resources.ads_config")
	}
	return nil
}
