// Package healthcheck is envoy.filters.http.health_check: it answers health checks of this proxy, or passes them on, and tells who
// sends them when they are to fail.
package healthcheck

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// Details are the response code details of the answers.
const (
	DetailsOK     = "health_check_ok"
	DetailsFailed = "health_check_failed"
)

var (
	nameCheckedCluster = []byte("x-envoy-upstream-healthchecked-cluster")
	nameImmediateFail  = []byte("x-envoy-immediate-health-check-fail")
	valueTrue          = []byte("true")
)

// Check is the compiled configuration.
type Check struct {
	passThrough bool
	headers     route.HeaderMatchers
}

// Compile compiles a configuration.
func Compile(c *config.HealthCheckFilter) (*Check, error) {
	headers, err := route.CompileHeaders(c.Headers)
	if err != nil {
		return nil, err
	}
	return &Check{c.PassThrough, headers}, nil
}

// Matches reports whether a request is a health check.
func (c *Check) Matches(req *message.Request) bool { return c.headers.All(req) }

// Answer returns the status and the details of the answer to a health check; answered is false when it is passed on.
func (c *Check) Answer(failing bool) (status int, details string, answered bool) {
	switch {
	case c.passThrough:
		return 0, "", false
	case failing:
		return 503, DetailsFailed, true
	default:
		return 200, DetailsOK, true
	}
}

// Mark marks a response: that to a health check with the cluster that this proxy is of, and any other one while health checks
// fail, so that who checks need not wait for the next.
func Mark(resp *message.Response, check bool, cluster []byte) {
	if check {
		resp.Fields.SetName(nameCheckedCluster, cluster)
		return
	}
	resp.Fields.SetName(nameImmediateFail, valueTrue)
}
