package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/inotify"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/file"
)

const (
	clusterURL = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	// patience is how long a test waits for the kernel or a goroutine before it fails.
	patience = 10 * time.Second
)

// source is a Source that runs, and what it gave.
type source struct {
	*file.Source
	t       *testing.T
	dir     string
	handled chan string // version and names of each response
	failed  chan error
	refuse  string // a version
}

// run starts a source of the file in dir, which is changed by change before.
func run(t *testing.T, dir string, wildcard bool, change func(*file.Options)) *source {
	t.Helper()
	watcher, err := inotify.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Close)
	s := &source{t: t, dir: dir, handled: make(chan string, 16), failed: make(chan error, 16), refuse: "bad"}
	opts := file.Options{
		Path:      filepath.Join(dir, "cds.yaml"),
		Types:     []ads.Type{s.typ(wildcard)},
		Watcher:   watcher,
		OnFailure: func(err error) { s.failed <- err },
		Logger:    zap.NewNop(),
	}
	if change != nil {
		change(&opts)
	}
	s.Source, err = file.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

func (s *source) typ(wildcard bool) ads.Type {
	return ads.Type{
		URL:      clusterURL,
		Wildcard: wildcard,
		Decode: func(packed *anypb.Any) (string, proto.Message, error) {
			c := &clusterv3.Cluster{}
			err := packed.UnmarshalTo(c)
			return c.GetName(), c, err
		},
		Handle: func(_ context.Context, r ads.Response) error {
			line := r.Version + ":"
			for _, res := range r.Resources {
				line += " " + res.Name
			}
			s.handled <- line
			if r.Version == s.refuse {
				return errors.New("it does not fit")
			}
			return nil
		},
	}
}

func (s *source) wantHandled(want string) {
	s.t.Helper()
	select {
	case got := <-s.handled:
		if got != want {
			s.t.Fatalf("handled %q, want %q", got, want)
		}
	case err := <-s.failed:
		s.t.Fatalf("the file was refused: %v", err)
	case <-time.After(patience):
		s.t.Fatalf("nothing was handled, want %q", want)
	}
}

func (s *source) wantFailure(want string) {
	s.t.Helper()
	select {
	case err := <-s.failed:
		if !strings.Contains(err.Error(), want) {
			s.t.Fatalf("failed with %v, want %q in it", err, want)
		}
	case got := <-s.handled:
		s.t.Fatalf("handled %q, want a failure with %q", got, want)
	case <-time.After(patience):
		s.t.Fatalf("no failure, want one with %q", want)
	}
}

// waitStats waits until the counters, of which the last change comes after what a test sees, are as wanted.
func (s *source) waitStats(want ads.Stats) {
	s.t.Helper()
	var got ads.Stats
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = s.Stats(clusterURL)
		got.UpdateTime = time.Time{}
		if got == want {
			return
		}
	}
	s.t.Fatalf("stats are %+v, want %+v", got, want)
}

// clusters is a file of clusters in YAML.
func clusters(version string, names ...string) string {
	text := "version_info: " + version + "\nresources:\n"
	for _, name := range names {
		text += fmt.Sprintf("- \"@type\": %s\n  name: %s\n", clusterURL, name)
	}
	return text
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// move moves a file with a text into place.
func (s *source) move(name, text string) {
	s.t.Helper()
	put(s.t, filepath.Join(s.dir, name+".tmp"), text)
	if err := os.Rename(filepath.Join(s.dir, name+".tmp"), filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// TestMoves holds that a file is read when it is moved into place and not when it is written, and what is counted.
func TestMoves(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "cds.yaml"), clusters("v1", "a", "b"))
	s := run(t, dir, true, nil)
	s.Subscribe(clusterURL, nil)
	s.wantHandled("v1: a b")
	s.waitStats(ads.Stats{UpdateAttempt: 1, UpdateSuccess: 1, Version: ads.VersionHash("v1"), VersionText: "v1"})

	put(t, filepath.Join(dir, "cds.yaml"), clusters("v3"))
	s.move("other.yaml", "")
	s.move("cds.yaml", clusters("v4", "c"))
	s.wantHandled("v4: c")

	s.move("cds.yaml", clusters("bad", "d"))
	s.wantHandled("bad: d")
	s.waitStats(ads.Stats{UpdateAttempt: 3, UpdateSuccess: 2, UpdateRejected: 1, Version: ads.VersionHash("v4"), VersionText: "v4"})
	if st := s.State(); !st.Connected || !st.Heard || st.Target != filepath.Join(dir, "cds.yaml") {
		t.Errorf("state = %+v", st)
	}

	s.move("cds.yaml", clusters("v5", "a", "a"))
	s.waitStats(ads.Stats{UpdateAttempt: 4, UpdateSuccess: 2, UpdateRejected: 2, Version: ads.VersionHash("v4"), VersionText: "v4"})

	s.move("cds.yaml", "resources: 5")
	s.wantFailure("DiscoveryResponse")
	s.waitStats(ads.Stats{UpdateAttempt: 5, UpdateSuccess: 2, UpdateRejected: 2, UpdateFailure: 1, Version: ads.VersionHash("v4"), VersionText: "v4"})
	if st := s.State(); st.Connected || !st.Heard || !strings.Contains(st.LastError, "cds.yaml") {
		t.Errorf("state = %+v", st)
	}

	s.move("cds.yaml", clusters("v6"))
	s.wantHandled("v6:")
	s.Restart()
	s.wantHandled("v6:")
}

func TestOnlyWhatIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "cds.yaml"), clusters("v1", "a", "b", "c"))
	s := run(t, dir, false, nil)
	s.Subscribe(clusterURL, nil)
	s.Subscribe(clusterURL, []string{"b", "none", "b"})
	s.wantHandled("v1: b")
	s.Subscribe(clusterURL, []string{"none", "b"})
	s.Subscribe(clusterURL, []string{"c", "b"})
	s.wantHandled("v1: b c")
	s.Subscribe(clusterURL, nil)
	s.move("cds.yaml", clusters("v2", "a", "b"))
	s.Subscribe(clusterURL, []string{"a"})
	s.wantHandled("v2: a")
}

// TestWatchedDirectory replaces the file as Kubernetes replaces those of a volume: by a swap of the symbolic link that leads to it.
func TestWatchedDirectory(t *testing.T) {
	dir := t.TempDir()
	swap := func(version string) {
		t.Helper()
		data := filepath.Join(dir, ".."+version)
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(data, "cds.yaml"), clusters(version, "a"))
		if err := os.Symlink(".."+version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("v1")
	if err := os.Symlink(filepath.Join("..data", "cds.yaml"), filepath.Join(dir, "cds.yaml")); err != nil {
		t.Fatal(err)
	}
	s := run(t, dir, true, func(o *file.Options) { o.WatchedDirectory = dir })
	s.Subscribe(clusterURL, nil)
	s.wantHandled("v1: a")
	for _, version := range []string{"v2", "v3"} {
		swap(version)
		s.wantHandled(version + ": a")
	}
}

func TestFormats(t *testing.T) {
	packed, err := anypb.New(&clusterv3.Cluster{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	r := &discoveryv3.DiscoveryResponse{VersionInfo: "v1", Resources: []*anypb.Any{packed}}
	binary, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	json := `{"version_info": "v1", "resources": [{"@type": "` + clusterURL + `", "name": "a"}]}`
	for name, text := range map[string]string{
		"cds.pb":      string(binary),
		"cds.pb_text": prototext.Format(r),
		"cds.json":    json,
		"cds.yaml":    clusters("v1", "a"),
		"cds.yml":     clusters("v1", "a"),
		"cds":         json, // JSON is YAML
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, name), text)
			s := run(t, dir, true, func(o *file.Options) { o.Path = filepath.Join(dir, name) })
			s.Subscribe(clusterURL, nil)
			s.wantHandled("v1: a")
		})
	}
}

func TestUnusableFiles(t *testing.T) {
	for _, tt := range []struct {
		name, file, text, want string
		reject                 bool
	}{
		{"not binary", "cds.pb", "\xff\xff", "DiscoveryResponse", false},
		{"not text format", "cds.pb_text", "resources {", "DiscoveryResponse", false},
		{"not JSON", "cds.json", "version_info: v1", "is not JSON", false},
		{"empty", "cds.yaml", "", "is not an object", false},
		{"unknown field", "cds.yaml", "versoin_info: v1", "versoin_info: unknown field", true},
		{"unknown field of a resource", "cds.yaml", clusters("v1", "a\n  colour: red"), "colour: unknown field", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, tt.file), tt.text)
			s := run(t, dir, true, func(o *file.Options) {
				o.Path, o.RejectUnknownFields = filepath.Join(dir, tt.file), tt.reject
			})
			s.Subscribe(clusterURL, nil)
			s.wantFailure(tt.want)
		})
	}
	t.Run("unknown fields are passed over", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "cds.yaml"), clusters("v1", "a\n  colour: red"))
		s := run(t, dir, true, nil)
		s.Subscribe(clusterURL, nil)
		s.wantHandled("v1: a")
	})
	t.Run("too large", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "cds.pb"), "")
		if err := os.Truncate(filepath.Join(dir, "cds.pb"), ads.DefaultMaxReceiveBytes+1); err != nil {
			t.Fatal(err)
		}
		s := run(t, dir, true, func(o *file.Options) { o.Path = filepath.Join(dir, "cds.pb") })
		s.Subscribe(clusterURL, nil)
		s.wantFailure("is larger than")
	})
	t.Run("removed", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "cds.yaml"), "")
		s := run(t, dir, true, nil)
		if err := os.Remove(filepath.Join(dir, "cds.yaml")); err != nil {
			t.Fatal(err)
		}
		s.Subscribe(clusterURL, nil)
		s.wantFailure("no such file")
		s.move("cds.yaml", clusters("v1"))
		s.wantHandled("v1:")
	})
	t.Run("not a file", func(t *testing.T) {
		dir := t.TempDir()
		s := run(t, dir, true, func(o *file.Options) { o.Path = dir })
		s.Subscribe(clusterURL, nil)
		s.wantFailure("is not a regular file")
	})
}

func TestNewRefuses(t *testing.T) {
	watcher, err := inotify.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Close)
	dir := t.TempDir()
	path := filepath.Join(dir, "cds.yaml")
	put(t, path, "")
	good := file.Options{Path: path, Types: []ads.Type{{URL: clusterURL}}, Watcher: watcher, Logger: zap.NewNop()}
	s, err := file.New(good)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, tt := range []struct {
		name   string
		change func(*file.Options)
		want   string
	}{
		{"no path", func(o *file.Options) { o.Path = "" }, "path must not be empty"},
		{"missing file", func(o *file.Options) { o.Path = filepath.Join(dir, "none") }, "none: no such file"},
		{"missing directory", func(o *file.Options) { o.WatchedDirectory = filepath.Join(dir, "none") }, "cannot be watched"},
		{"no type", func(o *file.Options) { o.Types = nil }, "0 types"},
		{"two types", func(o *file.Options) { o.Types = make([]ads.Type, 2) }, "2 types"},
		{"no watcher", func(o *file.Options) { o.Watcher = nil }, "watcher"},
		{"no logger", func(o *file.Options) { o.Logger = nil }, "logger"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			if _, err := file.New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}
