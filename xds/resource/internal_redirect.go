//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"net/http"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	allowlistedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/allow_listed_routes/v3"
	previousroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/previous_routes/v3"
	safeschemev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/safe_cross_scheme/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxInternalRedirects bounds max_internal_redirects, which Envoy does not: each is one more request for the client's one.
const maxInternalRedirects = 100

// Predicates of internal redirects.
const (
	allowListedMessage    = "envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig"
	previousRoutesMessage = "envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig"
	safeSchemeMessage     = "envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig"
)

var (
	internalRedirectFields = fields{
		"max_internal_redirects": decoded, "redirect_response_codes": decoded, "predicates": decoded,
		"allow_cross_scheme_redirect": decoded, "response_headers_to_copy": decoded,
	}
	redirectPredicateFields = fields{"name": decoded, "typed_config": decoded}
	allowListedFields       = fields{"allowed_route_names": decoded}
	previousRoutesFields    = fields{}
	safeSchemeFields        = fields{}
)

// internalRedirect decodes which redirects are followed here, nil for none.
func (a *at) internalRedirect(r *routev3.RouteAction) *config.InternalRedirect {
	p := r.GetInternalRedirectPolicy()
	switch {
	case p != nil:
		return a.in("internal_redirect_policy").internalRedirectPolicy(p)
	case r.GetInternalRedirectAction() == routev3.RouteAction_HANDLE_INTERNAL_REDIRECT:
		return a.internalRedirectPolicy(&routev3.InternalRedirectPolicy{MaxInternalRedirects: r.GetMaxInternalRedirects()})
	}
	return nil
}

func (a *at) internalRedirectPolicy(p *routev3.InternalRedirectPolicy) *config.InternalRedirect {
	a.only(p, internalRedirectFields)
	out := &config.InternalRedirect{
		Max:              orUint32(p.GetMaxInternalRedirects(), config.DefaultInternalRedirects),
		AllowCrossScheme: p.GetAllowCrossSchemeRedirect(),
	}
	if out.Max > maxInternalRedirects {
		a.in("max_internal_redirects").errorf("is %d, it must be at most %d", out.Max, maxInternalRedirects)
	}
	for _, status := range p.GetRedirectResponseCodes() {
		switch status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			out.Statuses = append(out.Statuses, int(status)) // others are passed over, as the API says
		}
	}
	if len(p.GetRedirectResponseCodes()) == 0 {
		out.Statuses = []int{http.StatusFound}
	}
	for i, name := range p.GetResponseHeadersToCopy() {
		out.CopyHeaders = append(out.CopyHeaders, a.item("response_headers_to_copy", i).mutableName(name))
	}
	for i, predicate := range p.GetPredicates() {
		a.item("predicates", i).redirectPredicate(predicate, out)
	}
	return out
}

// redirectPredicate decodes a condition on the redirects that are followed.
func (a *at) redirectPredicate(p *corev3.TypedExtensionConfig, out *config.InternalRedirect) {
	a.only(p, redirectPredicateFields)
	packed, place := p.GetTypedConfig(), a.in("typed_config")
	switch messageName(packed) {
	case allowListedMessage:
		var m allowlistedv3.AllowListedRoutesConfig
		if place.unpack(packed, &m) {
			place.only(&m, allowListedFields)
			out.ListedRoutes = listedByAll(out, m.GetAllowedRouteNames())
			out.OnlyListed = true
		}
	case previousRoutesMessage:
		var m previousroutesv3.PreviousRoutesConfig
		if place.unpack(packed, &m) {
			place.only(&m, previousRoutesFields)
			out.PreviousRoutes = true
		}
	case safeSchemeMessage:
		var m safeschemev3.SafeCrossSchemeConfig
		if place.unpack(packed, &m) {
			place.only(&m, safeSchemeFields)
			out.SafeScheme = true
		}
	default:
		a.unregistered(p.GetName(), packed)
	}
}

// listedByAll returns the routes that one more list and those before it have.
func listedByAll(p *config.InternalRedirect, names []string) []string {
	if !p.OnlyListed {
		return slices.Clone(names)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(p.ListedRoutes, name) })
}
