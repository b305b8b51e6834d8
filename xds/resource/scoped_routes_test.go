package resource_test

import (
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const keyBuilder = "scope_key_builder: {fragments: [{header_value_extractor: {name: X-A, index: 1, element_separator: ','}}, " +
	"{header_value_extractor: {name: b, element_separator: ';', element: {separator: '=', key: k}}}]}"

// scoped returns what a listener with the scoped routes decodes to.
func scoped(t *testing.T, text string) (*config.ScopedRoutes, error) {
	t.Helper()
	l, err := resource.Listener(parse(t, managerWith("scoped_routes: {name: sr, "+text+"}"+router), &listenerv3.Listener{}))
	if err != nil {
		return nil, err
	}
	return l.Chains[0].HTTP.Scopes, nil
}

func TestScopedRoutes(t *testing.T) {
	ads := config.Discovery{FetchTimeout: config.DefaultInitialFetchExpiry}
	key := []config.ScopeFragment{
		{Header: "x-a", ElementSeparator: ",", Index: 1},
		{Header: "b", ElementSeparator: ";", Element: &config.ScopeElement{Separator: "=", Key: "k"}},
	}
	got, err := scoped(t, keyBuilder+", rds_config_source: {ads: {}}, scoped_rds: {scoped_rds_config_source: {path: /x}}")
	srds := config.Discovery{Source: config.ConfigSource{Path: "/x"}, FetchTimeout: config.DefaultInitialFetchExpiry}
	checkEqual(t, got, &config.ScopedRoutes{Name: "sr", Key: key, RDS: ads, SRDS: &srds}, err)

	got, err = scoped(t, keyBuilder+", rds_config_source: {ads: {}}, scoped_route_configurations_list: {scoped_route_configurations: "+
		"[{name: s, route_configuration_name: r, key: {fragments: [{string_key: x}, {string_key: z}]}}]}")
	checkEqual(t, got, &config.ScopedRoutes{Name: "sr", Key: key, RDS: ads, Inline: []*config.Scope{
		{Name: "s", RouteConfigName: "r", Key: []string{"x", "z"}},
	}}, err)
}

func TestScopedRoutesRefused(t *testing.T) {
	const place = "filter_chains[0].filters[0].typed_config.scoped_routes."
	const list = ", rds_config_source: {ads: {}}, scoped_route_configurations_list: {scoped_route_configurations: "
	for text, want := range map[string]string{
		keyBuilder + ", scoped_rds: {scoped_rds_config_source: {ads: {}}}": place + "rds_config_source: must be set",
		"scope_key_builder: {fragments: [{header_value_extractor: {name: a, index: 1}}]}, rds_config_source: {ads: {}}, scoped_rds: {scoped_rds_config_source: {ads: {}}}": place +
			"scope_key_builder.fragments[0].header_value_extractor.index: must be 0 without element_separator: Index > 0 for empty string element separator.",
		keyBuilder + list + "[{name: s, key: {fragments: [{string_key: x}]}}]}": place +
			"scoped_route_configurations_list.scoped_route_configurations[0]: must have route_configuration_name or route_configuration",
		keyBuilder + list + "[{name: s, route_configuration_name: r, key: {fragments: [{string_key: x}]}}, {name: t, route_configuration_name: r, key: {fragments: [{string_key: x}]}}]}": place +
			"scoped_route_configurations_list: scope key conflict found, first scope is s, second scope is t",
	} {
		_, err := scoped(t, text)
		checkError(t, err, `listener "l": `+want)
	}
	_, err := resource.Scope(parse(t, "name: s\nroute_configuration_name: r\nroute_configuration: {name: r}\nkey: {fragments: [{string_key: x}]}", &routev3.ScopedRouteConfiguration{}))
	checkError(t, err, `scoped route configuration "s": route_configuration: cannot be set together with route_configuration_name`)
}
