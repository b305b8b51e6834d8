package peer

import (
	"path/filepath"
	"strings"
	"text/template"
)

// haproxyConnections is added to the client connections of a task, so that none
// ever waits in the listen queue.
const haproxyConnections = 1024

// haproxyTemplate leaves buffers and statistics at their defaults, except for large
// answers: there larger buffers and windows halve its cost. Limits that the
// host does not grant are warned about, not fatal: only client connections count
// against maxconn, and few upstream connections are added to them. Its pool of idle
// upstream connections has no upper bound by default.
var haproxyTemplate = template.Must(template.New("haproxy.cfg").Parse(`global
    nbthread {{.Threads}}
    maxconn {{.Connections}}
    no strict-limits
{{- if .Traffic.TLS}}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites {{.Suite}}
{{- end}}
{{- if or .HTTP2 .OriginHTTP2}}
    tune.h2.max-concurrent-streams {{.Streams}}
{{- end}}
{{- if or .Traffic.Bulk .Traffic.Uploads}}
    tune.bufsize 65536
    tune.h2.initial-window-size 1048576
{{- end}}
{{- with .Traffic.Buffers}}
    tune.bufsize {{.Data}}
    tune.h2.initial-window-size {{.StreamWindow}}
{{- end}}

defaults
    mode {{if .Traffic.TCP}}tcp{{else}}http{{end}}
    timeout connect 5s
    timeout client 1h
    timeout server 1h
{{- if or .Traffic.WebSocket .Traffic.TCP}}
    timeout tunnel 1h
{{- end}}
{{- if not .Traffic.TCP}}
    timeout http-request 1m
    timeout http-keep-alive 1h
    option http-keep-alive
    http-reuse always
{{- end}}

frontend bench
    bind {{.Listen}}{{if .Traffic.TLS}} ssl crt {{.Certificate}} curves {{.Curve}} alpn {{if .HTTP2}}h2,{{end}}http/1.1{{else if .HTTP2}} proto h2{{end}} backlog 4096
{{- if .Traffic.RateLimit}}
    stick-table type integer size 1 expire 1h store gpc0,gpc0_rate(1s)
    http-request track-sc0 int(1)
    http-request return status 429 content-type text/plain string limited if { sc0_gpc0_rate ge {{.Traffic.RateLimit}} }
    http-request sc-inc-gpc0(0)
{{- end}}
{{- if not .Traffic.TCP}}
    option forwardfor
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Proto {{.Scheme}}
{{- end}}
{{- if .Traffic.AddHeaders}}
    http-request set-header {{.RequestHeader}} {{.HeaderValue}}
    http-response set-header {{.ResponseHeader}} {{.HeaderValue}}
{{- end}}
{{- if .Traffic.Routes}}
    use_backend %[path,map_beg({{.Dir}}/{{.Map}})]
{{- else}}
    default_backend origin
{{- end}}
{{range .Clusters}}
backend {{.}}
    server origin {{$.Origin}}{{if $.OriginHTTP2}} proto h2{{end}}
{{end}}`))

// haproxyMap is the file that says which prefix of a path is for which backend: a tree, where a condition for each would be a list.
const haproxyMap = "routes.map"

// haproxyLacks is about what haproxy -vv calls HOL_RISK: what the client of one stream
// does not read blocks the upstream connection, and with it the streams of others. The
// responses of hundreds of stalled streams then do not even begin.
func haproxyLacks(t Traffic) string {
	if lacks := t.managed(); lacks != "" {
		return lacks
	}
	if t.Upstream == HTTP2 && t.Stalls {
		return "holds up a whole HTTP/2 upstream connection for a client that does not read"
	}
	return ""
}

func configureHAProxy(s Spec) (Launch, error) {
	var text strings.Builder
	err := haproxyTemplate.Execute(&text, struct {
		words
		Connections int
		Map         string
	}{s.words(), s.MaxConnections + haproxyConnections, haproxyMap})
	if err != nil {
		return Launch{}, err
	}
	files := map[string]string{"haproxy.cfg": text.String()}
	if s.Traffic.Routes > 0 {
		var table strings.Builder
		for _, r := range s.Traffic.routes() {
			table.WriteString(r.Prefix + " " + r.Cluster + "\n")
		}
		files[haproxyMap] = table.String()
	}
	return Launch{
		Files: files,
		Args:  []string{"-db", "-f", filepath.Join(s.Dir, "haproxy.cfg")},
	}, nil
}
