package route

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Options are what Compile needs beside the configuration.
type Options struct {
	// ClusterIndex returns the position of a cluster in the snapshot's sorted names, (-1, false) for an unknown one.
	// Without it every cluster is unknown.
	ClusterIndex func(name string) (int, bool)
	// Weights replaces the split of the forwarding routes with these names. A cluster that the route names itself keeps
	// the mutations and the host rewrite that the route gave it.
	Weights map[string][]config.WeightedCluster
	// Runtime has the values of runtime keys, nil for their defaults.
	Runtime *config.Runtime
	// CompileFilter compiles what routes say to filters; without it that is left out.
	CompileFilter CompileFilter
}

// Table is a compiled RouteConfiguration. It is immutable, and shared by all workers.
type Table struct {
	name         string
	domains      domainIndex
	routes       []*Route
	internalOnly []fieldName
	usesRuntime  bool
	retryRuntime retryRuntime
	runtime      *config.Runtime
	subsets      []Subset
	groups       []*StatGroup
}

// VirtualHost is a compiled virtual host.
type VirtualHost struct {
	Name   string
	Config *config.VirtualHost

	routes  []*Route
	connect []*Route         // those of them that match CONNECT
	index   *pathIndex       // nil when the routes are too few to be worth one, and with a matcher
	matcher *matcher[*Route] // nil where the first route that matches is taken

	clusters []virtualCluster
	others   *StatGroup // of requests that none of clusters matches; nil without any

	retry             *Retry // nil when there is none
	mirrors           []Mirror
	filters           map[string]FilterConfig
	cors              any        // compiled, nil for none
	request, response *mutations // nil when there are none
}

// Client is what the connection of a client has to do with its routes.
type Client struct {
	// TLS says that the client spoke TLS, to this proxy or to the trusted one before it (x-forwarded-proto).
	TLS bool
	// Presented says that it has shown a certificate to this proxy, and Validated that one was also found good.
	Presented, Validated bool
}

// Result is what a request matched.
type Result struct {
	// Route is nil when no route matched (404, response flag NR) and when RedirectTLS is set.
	Route *Route
	// VirtualHost is nil when no domain matched.
	VirtualHost *VirtualHost
	// RedirectTLS says that the virtual host wants this request over TLS: the answer is 301 with the location that
	// AppendTLSRedirect makes.
	RedirectTLS bool
}

// Compile compiles rc, which must not change afterwards. Errors name the virtual host, the route and the field at fault.
func Compile(rc *config.RouteConfiguration, o Options) (*Table, error) {
	t, err := compile(rc, o)
	if err != nil {
		return nil, fmt.Errorf("route configuration %q: %w", rc.Name, err)
	}
	return t, nil
}

func compile(rc *config.RouteConfiguration, o Options) (*Table, error) {
	if o.ClusterIndex == nil {
		o.ClusterIndex = func(string) (int, bool) { return -1, false }
	}
	t := &Table{
		name: rc.Name, internalOnly: compileNames(rc.InternalOnlyHeaders),
		runtime: o.Runtime, retryRuntime: newRetryRuntime(o.Runtime),
	}
	request, response, err := compileMutations(&rc.HeaderMutations)
	if err != nil {
		return nil, err
	}
	c := compiler{options: o, config: rc, table: t, request: request, response: response}
	if c.noRetry, err = c.retry(noRetryPolicy()); err != nil {
		return nil, err
	}
	if c.filters, err = c.compileFilters(rc.Filters); err != nil {
		return nil, err
	}
	if c.tableMirrors, err = c.mirrors(rc.Mirrors); err != nil {
		return nil, err
	}
	hosts := make([]*VirtualHost, len(rc.VirtualHosts))
	for i, vc := range rc.VirtualHosts {
		if hosts[i], err = c.virtualHost(vc); err != nil {
			return nil, fmt.Errorf("virtual host %q: %w", vc.Name, err)
		}
	}
	if t.domains, err = newDomainIndex(hosts, rc.IgnorePortInHostMatching); err != nil {
		return nil, err
	}
	return t, nil
}

// compiler carries what compiling one configuration shares between its parts.
type compiler struct {
	options           Options
	config            *config.RouteConfiguration
	table             *Table
	request, response *mutations // of the route configuration itself
	noRetry           *Retry     // of routes without a policy
	tableMirrors      []Mirror   // of virtual hosts without any
	filters           map[string]FilterConfig
}

// fraction returns the share that f stands for, in parts of a million.
func (c *compiler) fraction(f config.RuntimeFraction) uint32 {
	c.table.usesRuntime = c.table.usesRuntime || f.Key != ""
	return c.options.Runtime.Fraction(f)
}

func (c *compiler) virtualHost(vc *config.VirtualHost) (*VirtualHost, error) {
	vh := &VirtualHost{Name: vc.Name, Config: vc}
	var err error
	if vh.request, vh.response, err = compileMutations(&vc.HeaderMutations); err != nil {
		return nil, err
	}
	if vh.filters, err = c.compileFilters(vc.Filters); err != nil {
		return nil, err
	}
	if vh.cors, err = c.compileCORS(vc.CORS); err != nil {
		return nil, err
	}
	if vh.mirrors, err = c.mirrors(vc.Mirrors); err != nil {
		return nil, err
	}
	if vc.Retry != nil {
		if vh.retry, err = c.retry(vc.Retry); err != nil {
			return nil, fmt.Errorf("retry_policy: %w", err)
		}
	}
	if err = c.virtualClusters(vh); err != nil {
		return nil, err
	}
	vh.routes = make([]*Route, len(vc.Routes))
	for i, rc := range vc.Routes {
		r, err := c.route(vh, rc)
		if err != nil {
			return nil, fmt.Errorf("route %q: %w", rc.Name, err)
		}
		r.Index = len(c.table.routes)
		c.table.routes = append(c.table.routes, r)
		vh.routes[i] = r
		if r.path.kind == config.PathConnect {
			vh.connect = append(vh.connect, r)
		}
	}
	if vc.Matcher != nil {
		if vh.matcher, err = compileMatcher(vc.Matcher, vh.routes); err != nil {
			return nil, fmt.Errorf("matcher: %w", err)
		}
		return vh, nil
	}
	if len(vh.routes) >= minIndexedRoutes {
		vh.index = newPathIndex(vh.routes)
	}
	return vh, nil
}

// Name returns the name of the route configuration.
func (t *Table) Name() string { return t.name }

// IsOf reports whether the table is what it would be with the runtime r.
func (t *Table) IsOf(r *config.Runtime) bool {
	return r == t.runtime || !t.usesRuntime && newRetryRuntime(r) == t.retryRuntime
}

// Routes returns all routes of the table; each stands at its Index. The slice must not be changed.
func (t *Table) Routes() []*Route { return t.routes }

// StripInternalOnly removes the fields that only internal clients may send (internal_only_headers). The caller knows
// whether a request is internal.
func (t *Table) StripInternalOnly(fields *message.Fields) {
	for i := range t.internalOnly {
		t.internalOnly[i].remove(fields)
	}
}

// Match finds the route of a request.
//
// random decides on fractions here and, given to PickCluster, on the split: one value per request, uniform over all of
// uint64.
//
// Paths are matched as they stand, without the query and without anything from "#": normalising them is done before. A
// request without a path, which is CONNECT, is matched by routes with a connect_matcher only, and they by it. "*" of OPTIONS matches the
// empty prefix, the exact path "*" and regular expressions that accept it. The host is compared as it stands too, but
// for case and, with ignore_port_in_host_matching, the port; a trailing dot is taken off before or not at all.
//
// Match allocates only for a host with upper-case letters that is longer than hostBuffer, and for cookies in several lines where a
// condition asks for the value of that field: then if all are longer than joinBuffer together, or if the condition is a regular
// expression.
func (t *Table) Match(req *message.Request, random uint64, client Client) Result {
	vh := t.domains.lookup(req.Authority)
	if vh == nil {
		return Result{}
	}
	if !client.TLS && vh.requiresTLS(req) {
		return Result{VirtualHost: vh, RedirectTLS: true}
	}
	path, query := splitTarget(req.Path)
	head := head{request: req, query: query, random: random, client: client}
	switch {
	case vh.matcher != nil:
		return Result{VirtualHost: vh, Route: vh.matchTree(&head, path)}
	case len(req.Path) == 0:
		return Result{VirtualHost: vh, Route: vh.matchConnect(&head)}
	case vh.index != nil:
		return Result{VirtualHost: vh, Route: vh.index.find(path, &head)}
	}
	for _, r := range vh.routes {
		if r.path.match(path) && r.conditions.match(&head) {
			return Result{VirtualHost: vh, Route: r}
		}
	}
	return Result{VirtualHost: vh}
}

// matchConnect returns the first route for a CONNECT request, nil when there is none.
func (vh *VirtualHost) matchConnect(h *head) *Route {
	for _, r := range vh.connect {
		if r.conditions.match(h) {
			return r
		}
	}
	return nil
}

// requiresTLS reports whether a request that came without TLS has to come again with it. x-envoy-internal was set by the
// proxy itself: what clients send under that name is removed.
func (vh *VirtualHost) requiresTLS(req *message.Request) bool {
	switch vh.Config.RequireTLS {
	case config.TLSAll:
		return true
	case config.TLSExternalOnly:
		internal, _ := req.Fields.Get(message.NameXEnvoyInternal)
		return string(internal) != "true"
	default:
		return false
	}
}
