package peer

import (
	"path/filepath"
	"strings"
	"text/template"
)

// nghttpxTemplate is what nghttpx reads in place of its default file. A request id is
// a constant, as it can make none. Its windows towards the origin are raised to what a
// connection of many streams or a large download can use; nothing is pushed, and no
// timeout ends what the lab holds. It asks nobody about the certificate: the process that it starts for that would end in the
// middle of a measurement.
var nghttpxTemplate = template.Must(template.New("nghttpx.conf").Parse(`frontend={{.Front.Host}},{{.Front.Port}}{{if not .Traffic.TLS}};no-tls{{end}}
{{- if .Traffic.TLS}}
certificate-file={{.Certificate}}
private-key-file={{.Key}}
tls-min-proto-version=TLSv1.3
tls-max-proto-version=TLSv1.3
tls13-ciphers={{.Suite}}
ecdh-curves={{.Curve}}
no-ocsp=yes
{{- end}}
backend={{.Back.Host}},{{.Back.Port}};;proto={{if .OriginHTTP2}}h2{{else}}http/1.1{{end}}
workers={{.Threads}}
no-server-push=yes
no-via=yes
add-x-forwarded-for=yes
add-request-header=x-request-id: 00000000-0000-4000-8000-000000000000
{{- if .Traffic.AddHeaders}}
add-request-header={{.RequestHeader}}: {{.HeaderValue}}
add-response-header={{.ResponseHeader}}: {{.HeaderValue}}
{{- end}}
frontend-http2-max-concurrent-streams={{.Streams}}
{{- with .Traffic.Buffers}}
frontend-http2-window-size={{.StreamWindow}}
frontend-http2-connection-window-size={{.ConnectionWindow}}
backend-http2-window-size={{.StreamWindow}}
backend-http2-connection-window-size={{.ConnectionWindow}}
backend-request-buffer={{.Data}}
backend-response-buffer={{.Data}}
{{- else}}
backend-http2-window-size=1M
{{- end}}
{{- if .Traffic.Bulk}}
backend-response-buffer=1M
{{- end}}
frontend-http2-read-timeout=1h
frontend-write-timeout=1h
stream-write-timeout=1h
backend-read-timeout=1h
backend-write-timeout=1h
backend-keep-alive-timeout=1h
`))

// nghttpxLacks leaves HTTP/1.1 clients out: it is there as the peer to beat on HTTP/2,
// and a run has only so much time.
func nghttpxLacks(t Traffic) string {
	if lacks := t.managed(); lacks != "" {
		return lacks
	}
	if t.Routes > 0 {
		return "is not compared on routes"
	}
	if t.Downstream != HTTP2 { // TCP and WebSocket with it
		return "is compared on HTTP/2 only"
	}
	return ""
}

func configureNghttpx(s Spec) (Launch, error) {
	at, err := splitAll(s.Listen, s.Origin)
	if err != nil {
		return Launch{}, err
	}
	var text strings.Builder
	err = nghttpxTemplate.Execute(&text, struct {
		words
		Front, Back hostPort
	}{s.words(), at[0], at[1]})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Files: map[string]string{"nghttpx.conf": text.String()},
		Args:  []string{"--conf=" + filepath.Join(s.Dir, "nghttpx.conf")},
	}, nil
}
