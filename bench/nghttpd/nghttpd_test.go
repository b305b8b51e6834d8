package nghttpd

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestServer(t *testing.T) {
	dir := t.TempDir()
	s, err := NewServer(dir, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int{"/16": 16, "/1m": 1 << 20, "/1g": 1 << 30, "/bytes/3": 3} {
		if err := s.AddDocument(path, size); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "documents", path))
		if err != nil || info.Size() != int64(size) {
			t.Errorf("%s: %v, %v, want %d bytes", path, info, err, size)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "documents", "16")); string(text) != "xxxxxxxxxxxxxxxx" {
		t.Errorf("%q, %v", text, err)
	}
	if err := s.AddAnswer(CallPath, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "documents", CallPath)); string(text) != "answer" {
		t.Errorf("%q, %v", text, err)
	}
	if err := s.AddAnswer("/call", nil); err == nil {
		t.Error("a path without a content type: want an error")
	}
	if _, err := NewServer(dir, 1000); err == nil {
		t.Error("a second server in the same directory: want an error")
	}
}

func TestArgs(t *testing.T) {
	s := Server{dir: "/lab", streams: 1000}
	want := []string{"--no-tls", "--workers=1", "--address=127.0.0.1", "--htdocs=/lab/documents",
		"--max-concurrent-streams=1000", "--mime-types-file=/lab/mime.types", "20000"}
	if got, err := s.Args("127.0.0.1:20000", false); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	want = slices.Insert(want, 6, "--trailer=grpc-status: 0")
	if got, err := s.Args("127.0.0.1:20000", true); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	if got, err := s.Args("nowhere", false); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}
