package layeredruntime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// fixture is a Loader and what it has published.
type fixture struct {
	t         *testing.T
	loader    *Loader
	store     *stats.Store
	published chan *config.Runtime
	refuse    error
}

func newFixture(t *testing.T, layers ...config.RuntimeLayer) *fixture {
	t.Helper()
	f := &fixture{t: t, store: stats.NewStore(stats.Options{}), published: make(chan *config.Runtime, 16)}
	loader, err := New(layers, Options{Stats: f.store, Logger: zap.NewNop(), ServiceCluster: "edge", Publish: f.publish})
	if err != nil {
		t.Fatal(err)
	}
	f.loader = loader
	t.Cleanup(loader.Close)
	if got := <-f.published; got != loader.Current() {
		t.Fatal("what was published at first is not what is current")
	}
	return f
}

func (f *fixture) publish(r *config.Runtime) error {
	if f.refuse != nil {
		return f.refuse
	}
	f.published <- r
	return nil
}

// want holds the current text of a key against want, "-" for none.
func (f *fixture) want(key, want string) {
	f.t.Helper()
	got := "-"
	for _, l := range f.loader.Current().Layers() {
		if v, ok := l.Values[key]; ok {
			got = v.Text
		}
	}
	if got != want {
		f.t.Errorf("%s is %q, want %q", key, got, want)
	}
}

func (f *fixture) wantStat(name string, want uint64) {
	f.t.Helper()
	if got, ok := f.store.Snapshot(context.Background()).Value("runtime." + name); got != want || !ok {
		f.t.Errorf("runtime.%s is %d, %t, want %d", name, got, ok, want)
	}
}

func static(name string, values map[string]string) config.RuntimeLayer {
	return config.RuntimeLayer{Name: name, Static: values}
}

func TestLaterLayersGoOverEarlierOnes(t *testing.T) {
	f := newFixture(t,
		static("base", map[string]string{"a": "1", "b": "1", "c": "1"}),
		config.RuntimeLayer{Name: "rtds", RTDS: &config.RuntimeRTDS{Name: "r"}},
		config.RuntimeLayer{Name: "admin", Admin: true})
	if err := f.loader.SetRTDS("r", map[string]string{"b": "2", "c": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := f.loader.Merge(map[string]string{"c": "3", "d": "3"}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]uint64{"a": 1, "b": 2, "c": 3, "d": 3, "e": 9} {
		if got := f.loader.Current().Integer(key, 9); got != want {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
	}
	f.wantStat("num_layers", 3)
	f.wantStat("num_keys", 4)
	f.wantStat("admin_overrides_active", 1)
	f.wantStat("load_success", 3)
	if err := f.loader.Merge(map[string]string{"c": "", "d": ""}); err != nil {
		t.Fatal(err)
	}
	f.want("c", "2")
	f.want("d", "-")
	f.wantStat("admin_overrides_active", 0)
	if err := f.loader.SetRTDS("r", nil); err != nil {
		t.Fatal(err)
	}
	f.want("c", "1")
}

func TestChangesThatAreRefused(t *testing.T) {
	f := newFixture(t, static("base", map[string]string{"a": "1"}), config.RuntimeLayer{Name: "admin", Admin: true})
	if err := f.loader.SetRTDS("r", nil); err == nil || err.Error() != `no runtime layer is of the resource "r"` {
		t.Errorf("a resource of no layer: %v", err)
	}
	if err := f.loader.Merge(map[string]string{"a": strings.Repeat("x", maxOverrideBytes+1)}); err == nil {
		t.Error("a value over the limit was taken")
	}
	many := make(map[string]string)
	for i := range maxOverrides + 1 {
		many[strings.Repeat("k", i+1)] = "1"
	}
	if err := f.loader.Merge(many); err == nil {
		t.Error("keys over the limit were taken")
	}
	f.refuse = errors.New("no")
	if err := f.loader.Merge(map[string]string{"a": "2"}); !errors.Is(err, f.refuse) {
		t.Errorf("got %v, want what Publish returned", err)
	}
	f.want("a", "1")
	f.wantStat("load_error", 1)
	f.wantStat("admin_overrides_active", 0)
}

func TestNoAdminLayer(t *testing.T) {
	f := newFixture(t)
	if err := f.loader.Merge(map[string]string{"a": "2"}); !errors.Is(err, ErrNoAdminLayer) {
		t.Errorf("got %v, want ErrNoAdminLayer", err)
	}
	if got := f.loader.Current().Layers(); len(got) != 0 {
		t.Errorf("got layers %v, want none", got)
	}
}

// write makes files below dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirectoryIsReadAgainWhenItsLinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"v1/envoy/health/interval": "# seconds\n5\n",
		"v1/envoy/empty":           "# nothing yet\n",
		"v1/envoy/share":           "numerator: 1\ndenominator: MILLION\n",
		"v1/edge/envoy/here":       "1",
		"v2/envoy/health/interval": "6",
	})
	root := filepath.Join(dir, "current")
	if err := os.Symlink("v1", root); err != nil {
		t.Fatal(err)
	}
	layer := config.RuntimeLayer{Name: "disk", Disk: &config.RuntimeDisk{SymlinkRoot: root, Subdirectory: "envoy"}}
	own := config.RuntimeLayer{Name: "own", Disk: &config.RuntimeDisk{SymlinkRoot: root, Subdirectory: ".", AppendServiceCluster: true}}
	f := newFixture(t, layer, own)
	f.want("health.interval", "5")
	f.want("empty", "")
	f.want("share", "numerator: 1\ndenominator: MILLION")
	f.want("envoy.here", "1")
	f.wantStat("num_layers", 2)
	f.wantStat("override_dir_exists", 1)

	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); f.loader.Run(ctx) }()
	next := filepath.Join(dir, "next")
	if err := errors.Join(os.Symlink("v2", next), os.Rename(next, root)); err != nil {
		t.Fatal(err)
	}
	<-f.published
	f.want("health.interval", "6")
	f.want("share", "-")
	f.wantStat("num_layers", 1) // v2 has no directory of the service cluster
	f.wantStat("override_dir_not_exists", 1)
	f.wantStat("load_success", 2) // not for the other link, which is none of a layer's
	cancel()
	<-ran
}

func TestDirectoryThatCannotBeRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"deep":  {strings.Repeat("d/", maxDiskDepth) + "key": "1"},
		"large": {"key": strings.Repeat("x", maxDiskValue+1)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "root"), files)
			f := newFixture(t, static("base", map[string]string{"a": "1"}),
				config.RuntimeLayer{Name: "disk", Disk: &config.RuntimeDisk{SymlinkRoot: filepath.Join(dir, "root")}})
			f.want("a", "1")
			f.wantStat("load_error", 1)
			f.wantStat("load_success", 0)
			f.wantStat("num_layers", 1)
		})
	}
}

func TestDirectoryOfAVolume(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"root/..2026/key": "1"})
	root := filepath.Join(dir, "root")
	if err := errors.Join(os.Symlink("..2026", filepath.Join(root, "..data")), os.Symlink("..data/key", filepath.Join(root, "key"))); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, config.RuntimeLayer{Name: "disk", Disk: &config.RuntimeDisk{SymlinkRoot: root}})
	f.want("key", "1")
	f.wantStat("num_keys", 1)
}

func TestDirectoryWhoseParentIsMissing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "missing", "root")
	_, err := New([]config.RuntimeLayer{{Name: "disk", Disk: &config.RuntimeDisk{SymlinkRoot: root}}},
		Options{Stats: stats.NewStore(stats.Options{}), Logger: zap.NewNop(), Publish: func(*config.Runtime) error { return nil }})
	if err == nil || !strings.HasPrefix(err.Error(), `runtime layer "disk": `) {
		t.Errorf("got %v, want an error that names the layer", err)
	}
}
