package peer

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func spec(dir string) Spec {
	return Spec{
		Listen: "127.0.0.1:20001", Origin: "127.0.0.1:20000", Admin: "127.0.0.1:20002", GRPC: "127.0.0.1:20003",
		Metrics: "127.0.0.1:20004", Health: "127.0.0.1:20005", MaxConnections: 10000, Dir: dir, Root: true,
	}
}

// text returns all of a launch in one readable piece.
func (l Launch) text() string {
	var b strings.Builder
	b.WriteString("args: " + strings.Join(l.Args, " ") + "\nenv: " + strings.Join(l.Env, " ") +
		"\nunset: " + strings.Join(l.Unset, " ") + "\n")
	for name, text := range l.Files {
		b.WriteString("--- " + name + "\n" + text)
	}
	return b.String()
}

func TestConfigureGolden(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			launch, err := kind.Configure(spec("/run/lab"))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", kind.Name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(launch.text()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := launch.text(); got != string(want) {
				t.Errorf("differs from %s (rewrite it with -update):\n%s", golden, got)
			}
		})
	}
}

func TestProxyALBConfigIsYAML(t *testing.T) {
	launch, err := configureProxyALB(spec("/run/lab"))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.UnmarshalStrict([]byte(launch.Files["envoy.yaml"]), &tree); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"admin", "static_resources"} {
		if tree[key] == nil {
			t.Errorf("no %s in %v", key, tree)
		}
	}
	bad := spec("/run/lab")
	bad.Origin = "nowhere"
	if _, err := configureProxyALB(bad); err == nil {
		t.Error("an address without port: want an error")
	}
}

func TestNginxUser(t *testing.T) {
	s := spec("/run/lab")
	s.Root = false
	launch, err := configureNginx(s)
	if err != nil || strings.Contains(launch.Files["nginx.conf"], "user ") {
		t.Errorf("user directive without root: %v\n%s", err, launch.Files["nginx.conf"])
	}
}

func TestEnviron(t *testing.T) {
	launch := Launch{Env: []string{"A=2", "C=3"}, Unset: []string{"B"}}
	got := launch.Environ([]string{"A=1", "B=1", "BB=1", "D=1"})
	if want := []string{"BB=1", "D=1", "A=2", "C=3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "lab-test-proxy")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	kind := Kind{Name: "test", Programs: []string{"lab-test-absent", "lab-test-proxy"}}
	for _, path := range []string{"", program} {
		if got, err := kind.Find(path); err != nil || got != program {
			t.Errorf("find %q: %q, %v, want %q", path, got, err, program)
		}
	}
	for _, path := range []string{plain, dir, filepath.Join(dir, "absent")} {
		if got, err := kind.Find(path); err == nil {
			t.Errorf("find %q: %q, want an error", path, got)
		}
	}
	if got, err := (Kind{Name: "test", Programs: []string{"lab-test-absent"}}).Find(""); err == nil {
		t.Errorf("find an absent program: %q, want an error", got)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := (Launch{Files: map[string]string{"a": "x"}}).Write(dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
}
