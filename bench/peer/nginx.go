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
// connection would measure reconnects.
var nginxTemplate = template.Must(template.New("nginx.conf").Parse(`{{if .Root}}user root;
{{end}}daemon off;
worker_processes 1;
worker_rlimit_nofile {{.Files}};
pid {{.Dir}}/nginx.pid;
error_log stderr error;

events {
    use epoll;
    worker_connections {{.Connections}};
    multi_accept on;
}

http {
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_header_buffer_size 4k;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;

    upstream origin {
        server {{.Origin}};
        keepalive {{.Pool}};
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }

    server {
        listen {{.Listen}} reuseport backlog=4096;
        location / {
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-Id $request_id;
            proxy_buffer_size 8k;
            proxy_buffers 16 16k;
            proxy_max_temp_file_size 0;
        }
    }
}
`))

func configureNginx(s Spec) (Launch, error) {
	var text strings.Builder
	connections := s.MaxConnections + nginxConnections
	err := nginxTemplate.Execute(&text, struct {
		Spec
		Connections, Files, Pool int
	}{s, connections, connections + nginxConnections, UpstreamPool})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Files: map[string]string{"nginx.conf": text.String()},
		Args:  []string{"-p", s.Dir, "-c", filepath.Join(s.Dir, "nginx.conf"), "-e", "stderr"},
	}, nil
}
