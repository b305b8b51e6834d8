package credentials_test

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/credentials"
)

func TestHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	put(t, path, []byte("one\n"))
	sign := credentials.Header(&bootstrap.Credential{Header: "authorization", Prefix: "Bearer ", Value: config.DataSource{File: path}})
	given := metadata.Pairs("other", "x")
	want := func(sent metadata.MD, value string) {
		t.Helper()
		got, err := sign(sent)
		if err != nil {
			t.Fatal(err)
		}
		if header := strings.Join(got.Get("authorization"), ","); header != value {
			t.Errorf("the header is %q, want %q", header, value)
		}
	}
	want(given, "Bearer one")
	if len(given) != 1 {
		t.Errorf("the metadata given was changed to %v", given)
	}
	put(t, path, []byte("two"))
	want(given, "Bearer two")
	want(metadata.Pairs("authorization", "own"), "own")

	t.Setenv("TEST_CREDENTIAL", "three")
	sign = credentials.Header(&bootstrap.Credential{Header: "authorization", Value: config.DataSource{Variable: "TEST_CREDENTIAL"}, Overwrite: true})
	want(metadata.Pairs("authorization", "own"), "three")

	sign = credentials.Header(&bootstrap.Credential{Header: "authorization", Value: config.DataSource{File: "/no/such"}, Optional: true})
	want(given, "")
}

// TestHeaderWithoutValue holds that a stream is not opened without what it needs, and that no error has any of it.
func TestHeaderWithoutValue(t *testing.T) {
	dir := t.TempDir()
	in := func(name, text string) config.DataSource {
		put(t, filepath.Join(dir, name), []byte(text))
		return config.DataSource{File: filepath.Join(dir, name)}
	}
	for name, tt := range map[string]struct {
		value config.DataSource
		want  string
	}{
		"missing":  {config.DataSource{File: "/no/such"}, "no such file"},
		"empty":    {in("empty", "\n"), `empty" is empty`},
		"lines":    {in("lines", "XYZZY\nXYZZY"), "want printable ASCII"},
		"large":    {in("large", strings.Repeat("XYZZY", 16<<10)), "is larger than 65536 bytes"},
		"variable": {config.DataSource{Variable: "NO_SUCH_VARIABLE"}, "environment variable NO_SUCH_VARIABLE is empty"},
		"inline":   {config.DataSource{Inline: []byte("XYZZY\x00")}, "secret in the bootstrap has characters"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := credentials.Header(&bootstrap.Credential{Header: "authorization", Value: tt.value})(nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `header "authorization"`) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			} else if strings.Contains(err.Error(), "XYZZY") {
				t.Errorf("the error has the value: %v", err)
			}
		})
	}
}
