package route

import (
	"fmt"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// InternalRedirect says which redirects in responses are followed by the proxy itself. It is immutable.
type InternalRedirect struct {
	*config.InternalRedirect
	copied []fieldName
}

func compileInternalRedirect(p *config.InternalRedirect) (*InternalRedirect, error) {
	if p == nil {
		return nil, nil
	}
	for _, name := range p.CopyHeaders {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("internal_redirect_policy: header to copy %q: %w", name, err)
		}
	}
	return &InternalRedirect{InternalRedirect: p, copied: compileNames(p.CopyHeaders)}, nil
}

// InternalRedirect returns which redirects are followed, nil for none.
func (r *Route) InternalRedirect() *InternalRedirect { return r.internalRedirect }

// Takes reports whether responses of a status are followed.
func (p *InternalRedirect) Takes(status int) bool { return slices.Contains(p.Statuses, status) }

// Copies reports whether CopyFields may have anything to do.
func (p *InternalRedirect) Copies() bool { return len(p.copied) > 0 }

// CopyFields has the fields of a response take the place of a request's, as far as the policy says. Names and values are appended
// to arena, which it returns: they must not be overwritten as long as the request is used.
func (p *InternalRedirect) CopyFields(req, resp *message.Fields, arena []byte) []byte {
	keep := func(b []byte) []byte {
		start := len(arena)
		arena = append(arena, b...)
		return arena[start:len(arena):len(arena)]
	}
	for i := range p.copied {
		name := &p.copied[i]
		name.remove(req)
		lines := resp.All()
		for j := range lines {
			if name.is(&lines[j]) {
				name.add(req, keep(lines[j].Value))
			}
		}
	}
	return arena
}

// Redirected is a redirect that was followed.
type Redirected struct{ from, to *Route }

// Allows reports whether a redirect from one route to another fulfils the predicates. before are those that the request has gone
// through; https tells of the scheme of the request, and of where it is to go.
func (p *InternalRedirect) Allows(r Redirected, before []Redirected, https, toHTTPS bool) bool {
	switch {
	case p.OnlyListed && !slices.Contains(p.ListedRoutes, r.to.Name):
		return false
	case p.PreviousRoutes && slices.Contains(before, r):
		return false
	case p.SafeScheme && toHTTPS && !https:
		return false
	}
	return true
}

// Redirect returns a redirect from r to another route.
func (r *Route) Redirect(to *Route) Redirected { return Redirected{r, to} }
