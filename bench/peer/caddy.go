package peer

import (
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// caddyTemplate keeps everything in the proxy's own directory and asks nobody for certificates. What reverse_proxy adds to requests
// by itself is what is asked for but the id.
var caddyTemplate = template.Must(template.New("Caddyfile").Parse(`{
	admin off
	auto_https off
	storage file_system {{.Dir}}/storage
	servers {
		protocols h1{{if .HTTP2}} h2{{if not .Traffic.TLS}} h2c{{end}}{{end}}
	}
}

{{.Scheme}}://:{{.Front.Port}} {
	bind {{.Front.Host}}
{{- if .Traffic.TLS}}
	tls {{.Certificate}} {{.Key}} {
		protocols tls1.3
		curves x25519
	}
{{- end}}
	reverse_proxy {{.Origin}} {
		header_up X-Request-Id {http.request.uuid}
{{- if .Traffic.AddHeaders}}
		header_up {{.RequestHeader}} {{.HeaderValue}}
		header_down {{.ResponseHeader}} {{.HeaderValue}}
{{- end}}
		flush_interval -1
		transport http {
			compression off
			keepalive 1h
			keepalive_idle_conns {{.Pool}}
			keepalive_idle_conns_per_host {{.Pool}}
			versions {{if .OriginHTTP2}}h2c 2{{else}}1.1{{end}}
		}
	}
}
`))

func caddyLacks(t Traffic) string {
	switch {
	case t.managed() != "":
		return t.managed()
	case t.TCP:
		return "has no proxy of TCP but in a plugin"
	case t.RateLimit > 0:
		return "has no limit of requests but in a plugin"
	case t.Routes > 0:
		return "is not compared on routes"
	}
	return ""
}

func configureCaddy(s Spec) (Launch, error) {
	at, err := splitAll(s.Listen)
	if err != nil {
		return Launch{}, err
	}
	var text strings.Builder
	err = caddyTemplate.Execute(&text, struct {
		words
		Front hostPort
		Pool  int
	}{s.words(), at[0], s.upstreamPool()})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Files: map[string]string{"Caddyfile": text.String()},
		Args:  []string{"run", "--adapter", "caddyfile", "--config", filepath.Join(s.Dir, "Caddyfile")},
		Env:   []string{"GOMAXPROCS=" + strconv.Itoa(s.workers()), "HOME=" + s.Dir, "XDG_DATA_HOME=" + s.Dir, "XDG_CONFIG_HOME=" + s.Dir},
	}, nil
}
