package peer

import (
	"path/filepath"
	"strings"
	"text/template"
)

// haproxyConnections is added to the client connections of a task, so that none
// ever waits in the listen queue.
const haproxyConnections = 1024

// haproxyTemplate leaves buffers and statistics at their defaults. Limits that the
// host does not grant are warned about, not fatal: only client connections count
// against maxconn, and few upstream connections are added to them. Its pool of idle
// upstream connections has no upper bound by default.
var haproxyTemplate = template.Must(template.New("haproxy.cfg").Parse(`global
    nbthread 1
    maxconn {{.Connections}}
    no strict-limits

defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-request 1m
    timeout http-keep-alive 1h
    option http-keep-alive
    http-reuse always

frontend bench
    bind {{.Listen}} backlog 4096
    option forwardfor
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Proto http
    default_backend origin

backend origin
    server origin {{.Origin}}
`))

func configureHAProxy(s Spec) (Launch, error) {
	var text strings.Builder
	err := haproxyTemplate.Execute(&text, struct {
		Spec
		Connections int
	}{s, s.MaxConnections + haproxyConnections})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Files: map[string]string{"haproxy.cfg": text.String()},
		Args:  []string{"-db", "-f", filepath.Join(s.Dir, "haproxy.cfg")},
	}, nil
}
