package conformance

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCurl(t *testing.T) {
	curl := installed(t, "curl")
	p := startWithOrigin(t)
	path, body := upload(t)
	trailers := []string{"x-bytes: 1048576"}
	for name, test := range map[string]struct {
		args []string // the last one is a path
		body []byte
		want []string // lines of the head or the trailers, beside the status
	}{
		"GET":    {[]string{"/bytes/100000"}, pattern(100000), []string{"content-length: 100000"}},
		"HEAD":   {[]string{"--head", "/bytes/100000"}, nil, []string{"content-length: 100000"}},
		"POST":   {[]string{"--data-binary", "@" + path, "/echo"}, body, trailers},
		"PUT":    {[]string{"--upload-file", path, "/echo"}, body, trailers},
		"Expect": {[]string{"--data-binary", "@" + path, "--header", "Expect: 100-continue", "/echo"}, body, trailers},
	} {
		for protocol, prefix := range originPaths {
			t.Run(name+" to "+protocol, func(t *testing.T) {
				dir := t.TempDir()
				got, head := filepath.Join(dir, "body"), filepath.Join(dir, "head")
				args := []string{"--http2-prior-knowledge", "--silent", "--show-error", "--dump-header", head, "--output", got}
				last := len(test.args) - 1
				args = append(args, test.args[:last]...)
				mustOutput(t, curl, append(args, "http://"+p.Address()+prefix+test.args[last])...)
				fields := readFile(t, head)
				for _, line := range append([]string{"HTTP/2 200 "}, test.want...) {
					if !strings.Contains(fields, line+"\r\n") {
						t.Errorf("there is no line %q in\n%s", line, fields)
					}
				}
				if name == "HEAD" {
					return // --output has the head
				}
				if text := readFile(t, got); text != string(test.body) {
					t.Errorf("the body is not as it was sent; it has %d bytes, want %d", len(text), len(test.body))
				}
			})
		}
	}
}
