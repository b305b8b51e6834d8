package resource_test

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// redirectPredicate is a predicate of internal redirects, with more fields.
func redirectPredicate(name, fields string) string {
	return "{name: p, typed_config: {'@type': type.googleapis.com/envoy.extensions.internal_redirect." + name + fields + "}}"
}

func TestInternalRedirect(t *testing.T) {
	listed := func(names string) string {
		return redirectPredicate("allow_listed_routes.v3.AllowListedRoutesConfig", ", allowed_route_names: "+names)
	}
	for text, want := range map[string]*config.InternalRedirect{
		"":                             nil,
		"internal_redirect_policy: {}": {Max: 1, Statuses: []int{302}},
		"internal_redirect_policy: {max_internal_redirects: 0, redirect_response_codes: [301, 200, 303, 307, 302]}": {
			Statuses: []int{301, 303, 307, 302},
		},
		"internal_redirect_policy: {redirect_response_codes: [200]}": {Max: 1},
		"internal_redirect_policy: {allow_cross_scheme_redirect: true, response_headers_to_copy: [X-A, b]}": {
			Max: 1, Statuses: []int{302}, AllowCrossScheme: true, CopyHeaders: []string{"x-a", "b"},
		},
		"internal_redirect_policy: {predicates: [" + redirectPredicate("previous_routes.v3.PreviousRoutesConfig", "") + ", " +
			redirectPredicate("safe_cross_scheme.v3.SafeCrossSchemeConfig", "") + "]}": {
			Max: 1, Statuses: []int{302}, PreviousRoutes: true, SafeScheme: true,
		},
		"internal_redirect_policy: {predicates: [" + listed("[a, b, c]") + ", " + listed("[c, d, b]") + "]}": {
			Max: 1, Statuses: []int{302}, OnlyListed: true, ListedRoutes: []string{"c", "b"},
		},
		"internal_redirect_action: PASS_THROUGH_INTERNAL_REDIRECT, max_internal_redirects: 3": nil,
		"internal_redirect_action: HANDLE_INTERNAL_REDIRECT":                                  {Max: 1, Statuses: []int{302}},
		"internal_redirect_action: HANDLE_INTERNAL_REDIRECT, max_internal_redirects: 3":       {Max: 3, Statuses: []int{302}},
		"internal_redirect_action: HANDLE_INTERNAL_REDIRECT, internal_redirect_policy: {max_internal_redirects: 2}": {
			Max: 2, Statuses: []int{302},
		},
	} {
		got, err := decodeRoute(t, all+"route: {cluster: c, "+text+"}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, got.Forward.InternalRedirect, want, nil)
	}
}

func TestInternalRedirectRefused(t *testing.T) {
	for text, want := range map[string]string{
		"max_internal_redirects: 101":         "max_internal_redirects: is 101, it must be at most 100",
		"response_headers_to_copy: [':path']": `response_headers_to_copy[0]: ":path": :-prefixed or host headers may not be modified`,
		"predicates: [{name: p}]":             "predicates[0].typed_config: value is required",
		"predicates: [" + redirectPredicate("filter_state.v3.FilterStateConfig", ", redirect_enabled_key: k") + "]": "predicates[0]: Didn't find a registered implementation for 'p' with type URL: 'type.googleapis.com/envoy.extensions.internal_redirect.filter_state.v3.FilterStateConfig'",
	} {
		_, err := decodeRoute(t, all+"route: {cluster: c, internal_redirect_policy: {"+text+"}}")
		checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].route.internal_redirect_policy.`+want)
	}
}
