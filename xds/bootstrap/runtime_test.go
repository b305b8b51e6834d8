package bootstrap

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func TestRuntime(t *testing.T) {
	for name, test := range map[string]struct {
		layers string
		want   config.Runtime
	}{
		"no layer":      {`[]`, config.Runtime{MaxPrematureResets: 500, PrematureResetAge: time.Second}},
		"no value":      {`[{name: a, static_layer: {}}]`, config.Runtime{MaxPrematureResets: 500, PrematureResetAge: time.Second}},
		"dots":          {`[{name: a, static_layer: {overload.premature_reset_total_stream_count: 7}}]`, config.Runtime{MaxPrematureResets: 7, PrematureResetAge: time.Second}},
		"nested":        {`[{name: a, static_layer: {overload: {premature_reset_total_stream_count: 7}}}]`, config.Runtime{MaxPrematureResets: 7, PrematureResetAge: time.Second}},
		"text":          {`[{name: a, static_layer: {overload: {premature_reset_total_stream_count: "7"}}}]`, config.Runtime{MaxPrematureResets: 7, PrematureResetAge: time.Second}},
		"age":           {`[{name: a, static_layer: {overload: {premature_reset_min_stream_lifetime_seconds: 2.5}}}]`, config.Runtime{MaxPrematureResets: 500, PrematureResetAge: 2500 * time.Millisecond}},
		"last layer":    {`[{name: a, static_layer: {overload.premature_reset_total_stream_count: 7}}, {name: b, static_layer: {overload.premature_reset_total_stream_count: 8}}]`, config.Runtime{MaxPrematureResets: 8, PrematureResetAge: time.Second}},
		"another layer": {`[{name: a, static_layer: {overload.premature_reset_total_stream_count: 7}}, {name: b, admin_layer: {}}]`, config.Runtime{MaxPrematureResets: 7, PrematureResetAge: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Parse("f", []byte("layered_runtime: {layers: "+test.layers+"}"), YAML, Options{})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, *b.Runtime, test.want)
		})
	}
}

func TestRuntimeRefused(t *testing.T) {
	const layer = "f: layered_runtime.layers[0].static_layer."
	const count = layer + "overload.premature_reset_total_stream_count: "
	const age = layer + "overload.premature_reset_min_stream_lifetime_seconds: "
	for static, want := range map[string]string{
		"{overload: {premature_reset_total_stream_count: 0}}":              count + "must be a whole number from 1 to 4294967295",
		"{overload: {premature_reset_total_stream_count: 1.5}}":            count + "must be a whole number from 1 to 4294967295",
		"{overload: {premature_reset_total_stream_count: 4294967296}}":     count + "must be a whole number from 1 to 4294967295",
		"{overload: {premature_reset_total_stream_count: many}}":           count + "must be a number",
		"{overload: {premature_reset_total_stream_count: true}}":           count + "must be a number",
		"{overload: {premature_reset_total_stream_count: {numerator: 1}}}": count + "must be a number",
		"{overload: {premature_reset_min_stream_lifetime_seconds: -1}}":    age + "must be a number of seconds from 0 to 31536000",
		"{overload: {premature_reset_min_stream_lifetime_seconds: 1e9}}":   age + "must be a number of seconds from 0 to 31536000",
		"{overload: {premature_reset_min_stream_lifetime_seconds: NaN}}":   age + "must be a number of seconds from 0 to 31536000",
		strings.Repeat("{a: ", 18) + "{}" + strings.Repeat("}", 18):        layer + strings.Repeat("a.", 16) + "a: is nested more than 16 deep",
	} {
		_, err := Parse("f", []byte("layered_runtime: {layers: [{name: a, static_layer: "+static+"}]}"), YAML, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", static, err, want)
		}
	}
}
