package xds_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const extensionURL = resource.ExtensionType

// discovering is a listener with a filter called f, whose configuration is asked for as s says.
func discovering(s *corev3.ExtensionConfigSource) *listenerv3.Listener {
	l := plainListener("l", 80, "c")
	var hcm hcmv3.HttpConnectionManager
	if err := l.FilterChains[0].Filters[0].GetTypedConfig().UnmarshalTo(&hcm); err != nil {
		panic(err)
	}
	hcm.HttpFilters = append([]*hcmv3.HttpFilter{{
		Name: "f", ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: s},
	}}, hcm.HttpFilters...)
	l.FilterChains[0].Filters[0].ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: pack(&hcm)}
	return l
}

func webFilter() *corev3.ExtensionConfigSource {
	return &corev3.ExtensionConfigSource{ConfigSource: overADS(), TypeUrls: []string{pack(&grpcwebv3.GrpcWeb{}).TypeUrl}}
}

func extension(name string, message proto.Message) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: pack(message)}
}

// filter returns the configuration of the filter f that is in force.
func (p *proxy) filter() any {
	synctest.Wait()
	now := p.store.Current()
	return now.FilterConfig(&now.Listeners["l"].Chains[0].HTTP.Filters[0])
}

func TestExtension(t *testing.T) {
	run(t, incremental, func(p *proxy) {
		s := p.server.AcceptDelta()
		s.Next()
		s.Send(clusterURL, "1", nil, changed("c", staticCluster("c", 1)))
		s.Next()
		s.Next()
		n := s.Send(listenerURL, "1", nil, changed("l", discovering(webFilter())))
		s.Expect("the configuration of the filter", delta(extensionURL, "", "f"))
		s.Expect("listeners", delta(listenerURL, n))
		p.want("it warms", "c", "", "", "")
		n = s.Send(extensionURL, "1", nil, changed("f", extension("f", &grpcwebv3.GrpcWeb{})))
		s.Expect("extension", delta(extensionURL, n))
		p.want("in force", "c", "", "l", "")
		if p.filter() != (config.GRPCWeb{}) || p.stat("extension_config_discovery.http_filter.f.config_reload") != 1 {
			t.Errorf("filter %v", p.filter())
		}
		var dump adminv3.EcdsConfigDump
		p.part(xds.DumpOptions{}, &dump)
		if list := dump.GetEcdsFilters(); len(list) != 1 || !holds(list[0].GetEcdsFilter(), extension("f", &grpcwebv3.GrpcWeb{})) {
			t.Errorf("dump %v", &dump)
		}
		for want, bad := range map[string]proto.Message{
			"f: filter config has type URL envoy.extensions.filters.http.cors.v3.Cors but expect envoy.extensions.filters.http.grpc_web.v3.GrpcWeb": &corsv3.Cors{},
			"Didn't find a registered implementation for 'f' with type URL: 'type.googleapis.com/google.protobuf.Duration'":                         durationpb.New(1),
		} {
			s.Send(extensionURL, "2", nil, changed("f", extension("f", bad)))
			if why := s.Next().GetErrorDetail().GetMessage(); !strings.Contains(why, want) {
				t.Errorf("refused because %q, want %q", why, want)
			}
		}
		if p.filter() != (config.GRPCWeb{}) {
			t.Errorf("filter %v", p.filter())
		}
		n = s.Send(extensionURL, "3", []string{"f"})
		s.Expect("extension", delta(extensionURL, n))
		if p.filter() != nil {
			t.Errorf("filter %v after its removal", p.filter())
		}
		n = s.Send(extensionURL, "4", nil, changed("f", extension("f", &grpcwebv3.GrpcWeb{})))
		s.Expect("extension", delta(extensionURL, n))
		if p.filter() == nil {
			t.Error("it does not come back")
		}
		s.Send(listenerURL, "2", []string{"l"})
		s.Expect("not wanted any more", dropping(delta(extensionURL, ""), "f"))
	})
}

// TestDefaultExtension holds that a default is in force at once where the listener says so, and else when nothing came in time.
func TestDefaultExtension(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		run(t, nil, func(p *proxy) {
			s := p.connect()
			source := webFilter()
			source.DefaultConfig, source.ApplyDefaultConfigWithoutWarming = pack(&grpcwebv3.GrpcWeb{}), atOnce
			s.Send(listenerURL, "1", discovering(source))
			s.Expect("the configuration of the filter", request(extensionURL, "", "", "f"))
			s.Next()
			if !atOnce {
				p.want("it warms", "c", "", "", "")
				time.Sleep(fetchTimeout)
			}
			p.want("in force", "c", "", "l", "")
			if p.filter() != (config.GRPCWeb{}) {
				t.Errorf("filter %v", p.filter())
			}
		})
	}
}
