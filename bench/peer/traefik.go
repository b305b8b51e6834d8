package peer

import (
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// traefikStatic is Traefik's own configuration, traefikDynamic what it does with requests. A request id is a constant, as it can make
// none. It speaks HTTP/2 to clients in cleartext by itself.
var (
	traefikStatic = template.Must(template.New("traefik.yml").Parse(`global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: ERROR}
entryPoints:
  bench:
    address: {{.Listen}}
    http2: {maxConcurrentStreams: {{.Streams}}}
    transport:
      respondingTimeouts: {readTimeout: 0s, idleTimeout: 1h}
providers:
  file: {filename: {{.Dir}}/dynamic.yml, watch: false}
`))
	traefikDynamic = template.Must(template.New("dynamic.yml").Parse(`{{if .Traffic.TCP}}tcp:
  routers:
    bench: {entryPoints: [bench], rule: "HostSNI(` + "`*`" + `)", service: origin}
  services:
    origin:
      loadBalancer:
        servers: [{address: "{{.Origin}}"}]
{{else}}http:
  routers:
    bench:
      entryPoints: [bench]
      rule: PathPrefix(` + "`/`" + `)
      service: origin
      middlewares: [{{if .Traffic.RateLimit}}limit, {{end}}work]
{{- if .Traffic.TLS}}
      tls: {options: bench}
{{- end}}
  middlewares:
{{- if .Traffic.RateLimit}}
    limit:
      rateLimit: {average: {{.Traffic.RateLimit}}, period: 1s, burst: {{.Traffic.RateBurst}}}
{{- end}}
    work:
      headers:
        customRequestHeaders:
          X-Request-Id: 00000000-0000-4000-8000-000000000000
{{- if .Traffic.AddHeaders}}
          {{.RequestHeader}}: {{.HeaderValue}}
        customResponseHeaders:
          {{.ResponseHeader}}: {{.HeaderValue}}
{{- end}}
  services:
    origin:
      loadBalancer:
        passHostHeader: true
        serversTransport: origin
        servers: [{url: "{{if .OriginHTTP2}}h2c{{else}}http{{end}}://{{.Origin}}"}]
  serversTransports:
    origin: {maxIdleConnsPerHost: {{.Pool}}}
{{- if .Traffic.TLS}}
tls:
  certificates: [{certFile: {{.Certificate}}, keyFile: {{.Key}}}]
  options:
    bench: {minVersion: VersionTLS13, curvePreferences: [{{.Curve}}]}
{{- end}}
{{- end}}
`))
)

func traefikLacks(t Traffic) string {
	switch {
	case t.managed() != "":
		return t.managed()
	case t.Routes > 0:
		return "is not compared on routes"
	}
	return ""
}

func configureTraefik(s Spec) (Launch, error) {
	task := struct {
		words
		Pool int
	}{s.words(), s.upstreamPool()}
	files := make(map[string]string)
	for _, t := range []*template.Template{traefikStatic, traefikDynamic} {
		var text strings.Builder
		if err := t.Execute(&text, task); err != nil {
			return Launch{}, err
		}
		files[t.Name()] = text.String()
	}
	return Launch{
		Files: files,
		Args:  []string{"--configFile=" + filepath.Join(s.Dir, "traefik.yml")},
		Env:   []string{"GOMAXPROCS=" + strconv.Itoa(s.workers())},
	}, nil
}
