package peer

import (
	"path/filepath"
	"strings"
	"text/template"
)

// nginxConnections is added to the client connections of a task for nginx's own
// count, which upstream connections and listeners share.
const nginxConnections = 2048

// nginxTemplate keeps buffers in memory and header sections of a few KiB in the
// first buffer; temporary files would measure the disk. A request limit per
// connection would measure reconnects. Large requests go on as they come, which is what the others do anyway. It speaks HTTP/2 upstream for gRPC only, with
// a connection per call in flight.
var nginxTemplate = template.Must(template.New("nginx.conf").Parse(`{{if .Root}}user root;
{{end}}{{with .Module}}load_module {{.}};
{{end}}daemon off;
worker_processes {{.Threads}};
worker_rlimit_nofile {{.Files}};
pid {{.Dir}}/nginx.pid;
error_log stderr error;

events {
    use epoll;
    worker_connections {{.Connections}};
    multi_accept on;
}
{{- if .Traffic.TCP}}

stream {
    tcp_nodelay on;
    proxy_timeout 1h;
    proxy_connect_timeout 5s;
    server {
        listen {{.Listen}} reuseport backlog=4096;
        proxy_pass {{.Origin}};
    }
}
{{- else}}

http {
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
{{- if .HTTP2}}
    http2_max_concurrent_streams {{.Streams}};
    http2_chunk_size 16k;
    send_timeout 1h;
{{- end}}
    client_header_buffer_size 4k;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
{{- if .Traffic.RateLimit}}
    limit_req_zone $server_port zone=bench:32k rate={{.Traffic.RateLimit}}r/s;
    limit_req_status 429;
    limit_req_log_level info;
{{- end}}
{{- if .Traffic.WebSocket}}
    map $http_upgrade $upgraded {
        default upgrade;
        "" "";
    }
{{- end}}
{{range .Clusters}}
    upstream {{.}} {
        server {{$.Origin}};
        keepalive {{$.Pool}};
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }
{{end}}
    server {
        listen {{.Listen}} {{if .Traffic.TLS}}ssl {{end}}{{if .HTTP2}}http2 {{end}}reuseport backlog=4096;
{{- if .Traffic.TLS}}
        ssl_certificate {{.Certificate}};
        ssl_certificate_key {{.Key}};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {{.Suite}};
        ssl_ecdh_curve {{.Curve}};
        ssl_session_tickets on;
{{- end}}
{{- range .Routes}}
        location {{.Prefix}} {
{{- if $.Traffic.RateLimit}}
            limit_req zone=bench burst={{$.Traffic.RateBurst}} nodelay;
{{- end}}
{{- if $.Traffic.Uploads}}
            client_max_body_size 0;
            client_body_buffer_size 256k;
            proxy_request_buffering off;
{{- end}}
{{- if $.Traffic.GRPC}}
            grpc_pass grpc://{{.Cluster}};
            grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            grpc_set_header X-Forwarded-Proto $scheme;
            grpc_set_header X-Request-Id $request_id;
            grpc_buffer_size 8k;
{{- if $.Traffic.AddHeaders}}
            grpc_set_header {{$.RequestHeader}} {{$.HeaderValue}};
{{- end}}
{{- else}}
            proxy_pass http://{{.Cluster}};
            proxy_http_version 1.1;
{{- if $.Traffic.WebSocket}}
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgraded;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
{{- else}}
            proxy_set_header Connection "";
{{- end}}
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-Id $request_id;
{{- if $.Traffic.AddHeaders}}
            proxy_set_header {{$.RequestHeader}} {{$.HeaderValue}};
{{- end}}
{{- if $.Traffic.Buffers}}
            proxy_buffer_size 4k;
            proxy_buffers {{$.DataPages}} 4k;
            proxy_busy_buffers_size 8k;
            proxy_read_timeout 1h;
{{- else if $.Traffic.Bulk}}
            proxy_buffer_size 256k;
            proxy_buffers 4 256k;
{{- else}}
            proxy_buffer_size 8k;
            proxy_buffers 16 16k;
{{- end}}
            proxy_max_temp_file_size 0;
{{- end}}
{{- if $.Traffic.AddHeaders}}
            add_header {{$.ResponseHeader}} {{$.HeaderValue}};
{{- end}}
        }
{{- end}}
    }
}
{{- end}}
`))

func nginxLacks(t Traffic) string {
	if lacks := t.managed(); lacks != "" {
		return lacks
	}
	if t.Upstream == HTTP2 && !t.GRPC {
		return "has no HTTP/2 upstreams but for gRPC"
	}
	return ""
}

func configureNginx(s Spec) (Launch, error) {
	const page = 4 << 10
	var text strings.Builder
	connections := s.MaxConnections + nginxConnections
	pages := 0
	if b := s.Traffic.Buffers; b != nil {
		pages = b.Data / page
	}
	err := nginxTemplate.Execute(&text, struct {
		words
		Connections, Files, Pool, DataPages int
	}{s.words(), connections, connections + nginxConnections, s.upstreamPool(), pages})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Files: map[string]string{"nginx.conf": text.String()},
		Args:  []string{"-p", s.Dir, "-c", filepath.Join(s.Dir, "nginx.conf"), "-e", "stderr"},
	}, nil
}
