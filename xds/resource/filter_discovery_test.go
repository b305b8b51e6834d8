package resource_test

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const webMessage = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"

// discovered decodes a listener with a filter whose configuration comes from elsewhere.
func discovered(t *testing.T, text string) (*config.Listener, error) {
	t.Helper()
	return resource.Listener(parse(t, managerWith("http_filters: [{name: f, config_discovery: {"+text+"}}, "+routerFilter+"]"+rds), &listenerv3.Listener{}))
}

func TestFilterDiscovery(t *testing.T) {
	const web = "type_urls: [type.googleapis.com/" + webMessage + "]"
	ads := config.Discovery{FetchTimeout: config.DefaultInitialFetchExpiry}
	for text, want := range map[string]config.FilterDiscovery{
		"config_source: {ads: {}}, " + web: {Discovery: ads, Types: []string{webMessage}},
		"config_source: {ads: {}}, " + web + ", default_config: {'@type': type.googleapis.com/" + webMessage + "}, apply_default_config_without_warming: true": {
			Discovery: ads, Types: []string{webMessage}, Default: config.GRPCWeb{}, WithoutWarming: true,
		},
	} {
		l, err := discovered(t, text)
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, l.Chains[0].HTTP.Filters, []config.HTTPFilter{{Name: "f", Discovery: &want}}, nil)
	}
	const place = `listener "l": filter_chains[0].filters[0].typed_config.http_filters[0].config_discovery.`
	for text, want := range map[string]string{
		"config_source: {ads: {}}": place[:len(place)-len("config_discovery.")] + "config_discovery.type_urls: value must contain at least 1 item(s)",
		web:                        place + "config_source: value is required",
		"config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router]": place +
			"type_urls[0]: Error: no factory found for a required type URL type.googleapis.com/envoy.extensions.filters.http.router.v3.Router.",
		"config_source: {ads: {}}, " + web + ", apply_default_config_without_warming: true": place + "default_config: must be set with apply_default_config_without_warming",
		"config_source: {ads: {}}, " + web + ", default_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}": place +
			"default_config: Error: filter config has type URL envoy.extensions.filters.http.cors.v3.Cors but expect " + webMessage + ".",
	} {
		_, err := discovered(t, text)
		checkError(t, err, want)
	}
}

func TestExtension(t *testing.T) {
	e, err := resource.Extension(parse(t, "name: f\ntyped_config: {'@type': type.googleapis.com/"+webMessage+"}", &corev3.TypedExtensionConfig{}))
	checkEqual(t, e, &config.Extension{Type: webMessage, Config: config.GRPCWeb{}}, err)
	for text, want := range map[string]string{
		"name: f": `extension "f": typed_config: value is required`,
		"name: f\ntyped_config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: x/no.F}": `extension "f": typed_config: Didn't find a registered implementation ` +
			"for 'f' with type URL: 'x/no.F'",
	} {
		_, err := resource.Extension(parse(t, text, &corev3.TypedExtensionConfig{}))
		checkError(t, err, want)
	}
}
