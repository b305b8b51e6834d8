package tls

import (
	"crypto/elliptic"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestRotationLooks takes a file over when it is not what contexts are made of and has held still, and tells of that once.
func TestRotationLooks(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var made []File // what the contexts are made of
	take := func(paths ...string) {
		made = made[:0]
		for _, path := range paths {
			made = append(made, File{path, observe(path)})
		}
	}
	write(a, "1")
	write(b, "1")
	var r Rotation
	steps := []struct {
		what string
		do   func()
		want []string
	}{
		{"the first look", func() { take(a, b) }, nil},
		{"nothing changes", func() {}, nil},
		{"one changes", func() { write(a, "2") }, nil},
		{"and again", func() { write(a, "3") }, nil},
		{"it holds still", func() {}, []string{a}},
		{"it cannot be used", func() {}, nil},
		{"nor later", func() {}, nil},
		{"another changes", func() { write(b, "3") }, nil},
		{"it holds still", func() {}, []string{b}},
		{"both are taken", func() { take(a, b) }, nil},
		{"it changes and changes back", func() { write(a, "4") }, nil},
		{"back", func() { write(a, "3") }, nil},
		{"as it was", func() {}, nil},
		{"both", func() { write(a, "5"); write(b, "5") }, nil},
		{"together", func() {}, []string{a, b}},
		{"back to what they are made of", func() { write(a, "3"); write(b, "3") }, nil},
		{"and to what was told", func() { write(a, "5"); write(b, "5") }, nil},
		{"that is told again", func() {}, []string{a, b}},
		{"one goes", func() { take(a, b); _ = os.Remove(b) }, nil},
		{"and stays away", func() {}, []string{b}},
		{"a context is made, and its file changes before the next look", func() { take(a); write(a, "6") }, nil},
		{"it is seen", func() {}, []string{a}},
		{"one of two contexts could be made of it", func() { made = []File{{a, observe(a)}, made[0]} }, nil},
		{"a file that is not looked at is forgotten", func() { take() }, nil},
		{"and is new", func() { take(b) }, nil},
	}
	for _, step := range steps {
		step.do()
		if got := r.Look(made); !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
}

// TestFilesOfContexts has a context say what its files were when it was made.
func TestFilesOfContexts(t *testing.T) {
	ours := newAuthority(t, "ours", signsLists)
	one := ours.issue(ecKey(t, elliptic.P256()))
	f := newFolder(t, certPEM(one.cert), keyPEM(t, one.key), certPEM(ours.cert))
	file := func(path string) config.DataSource { return config.DataSource{File: path} }
	common := config.TLS{
		Certificates: []config.TLSCertificate{{Chain: file(f.Cert), Key: file(f.Key)}, {Chain: file(f.Cert), Key: file(f.Key)}},
		Validation:   &config.TLSValidation{CA: file(f.ClientCA), MaxDepth: -1},
	}
	d := downstreamOf(t, &config.DownstreamTLS{TLS: common})
	u := upstreamOf(t, &config.UpstreamTLS{TLS: common})
	f.pair(ours.issue(ecKey(t, elliptic.P256())))
	for _, files := range [][]File{d.Files(), u.Files()} {
		var paths []string
		for _, file := range files {
			paths = append(paths, file.Path)
		}
		if want := []string{f.Cert, f.Key, f.ClientCA}; !slices.Equal(paths, want) {
			t.Fatalf("%q, want %q", paths, want)
		}
		var r Rotation
		r.Look(files)
		if got, want := r.Look(files), []string{f.Cert, f.Key}; !slices.Equal(got, want) {
			t.Errorf("%q have changed, want %q", got, want)
		}
	}
}
