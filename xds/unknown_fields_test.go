package xds_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// newerCluster is a cluster of an API with one field more.
func newerCluster(name string, port uint32) *clusterv3.Cluster {
	c := staticCluster(name, port)
	c.LoadAssignment.Endpoints[0].ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1))
	return c
}

// TestUnknownFields has one response with a resource that is newer than the API here, in each way with such.
func TestUnknownFields(t *testing.T) {
	const field = "load_assignment.endpoints[0]: unknown field 4000 of envoy.config.endpoint.v3.LocalityLbEndpoints"
	tests := map[string]struct {
		policy   xds.UnknownFields
		clusters string
		refused  string
		counted  uint64
		warnings int
	}{
		"warn":   {policy: xds.WarnUnknownFields, clusters: "a b c", counted: 3, warnings: 1},
		"reject": {policy: xds.RejectUnknownFields, refused: `resource 1: resource "b" has unknown fields: ` + field},
		"ignore": {policy: xds.IgnoreUnknownFields, clusters: "a b c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &proxy{t: t, server: adstest.New(t), boot: &bootstrap.Bootstrap{}}
				target(p.boot)
				p.store = config.NewStore(func(_, _ *config.Snapshot, _ *config.Delta) error { return nil })
				core, log := observer.New(zapcore.WarnLevel)
				p.startWith(xds.Options{Logger: zap.New(core), UnknownFields: test.policy, DialOptions: p.server.DialOptions()})
				defer func() { p.stop() }()
				s := p.server.Accept()
				s.Expect("clusters", request(clusterURL, "", ""))
				n := s.Send(clusterURL, "1", staticCluster("a", 1), newerCluster("b", 1), newerCluster("c", 1))
				s.Expect("listeners, for the wait is over", request(listenerURL, "", ""))
				if test.refused != "" {
					why := s.Expect("refusal", refusal(clusterURL, "", n, "")).GetErrorDetail().GetMessage()
					if !strings.Contains(why, test.refused) {
						t.Errorf("refused because %q, want %q", why, test.refused)
					}
				} else {
					s.Expect("clusters", request(clusterURL, "1", n))
					n = s.Send(clusterURL, "2", staticCluster("a", 1), staticCluster("b", 1), newerCluster("c", 2))
					s.Expect("clusters", request(clusterURL, "2", n))
				}
				p.want("clusters", test.clusters, "", "", "")
				if got := p.stat("server.dynamic_unknown_fields"); got != test.counted {
					t.Errorf("counted %d, want %d", got, test.counted)
				}
				if got := log.FilterField(zap.String("field", field)).Len(); got != test.warnings {
					t.Errorf("%d warnings, want %d", got, test.warnings)
				}
			})
		})
	}
}

// TestUnknownFieldsOfTexts holds that those of files count too, although no message has them.
func TestUnknownFieldsOfTexts(t *testing.T) {
	dir := t.TempDir()
	moveText(t, filepath.Join(dir, "cds.json"), []byte(`{"version_info": "1", "resources": [{"@type": "`+clusterURL+`", "name": "a", "colour": "red"}], "more": 1}`))
	moveText(t, filepath.Join(dir, "lds.json"), []byte(`{"version_info": "1"}`))
	files(t, dir, func(p *proxy, wait func(string, func() bool)) {
		wait("a cluster", func() bool { return names(p.store.Current().Clusters) == "a" })
		if got := p.stat("server.dynamic_unknown_fields"); got != 2 {
			t.Errorf("counted %d, want 2", got)
		}
	})
}
