package bootstrap

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestForeign reads bootstraps as other programs write them, and compares what of them is in force, and what is said about the rest,
// with golden files. What is warned of there would be missed by somebody: more of it is worth a second look.
func TestForeign(t *testing.T) {
	for _, name := range []string{"marchproxy.yaml", "gateway.yaml", "istio.json"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			b, err := Load(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Check(); err != nil {
				t.Errorf("it cannot run: %v", err)
			}
			golden(t, path+".golden", inForce(b))
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is in force now (-update writes it):\n%s", path, got)
	}
}

// inForce describes a bootstrap, a line for each thing.
func inForce(b *Bootstrap) string {
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	line("node %s in %s, zone %q, one of cluster %q", b.Node.GetId(), b.Node.GetCluster(), b.Locality().Zone, b.LocalCluster)
	line("admin %s", b.Admin)
	for _, l := range b.Listeners {
		line("listener %s", l.Name)
	}
	for _, c := range b.Clusters {
		line("cluster %s", c.Name)
	}
	if b.ADS != nil {
		line("ads of %s at %v, incremental %t, pings every %s", b.ADS.Servers[0].Cluster, b.ADS.Servers[0].Targets, b.ADS.Incremental, b.ADS.Servers[0].KeepaliveInterval)
	}
	if b.LDS != nil {
		line("lds within %s", b.LDS.FetchTimeout)
	}
	if b.CDS != nil {
		line("cds within %s", b.CDS.FetchTimeout)
	}
	for _, tag := range b.Stats.Tags {
		line("tag %+v", tag)
	}
	line("default tags %t", b.Stats.UseDefaultTags)
	if m := b.Stats.Matcher; m != nil {
		line("statistics, inclusion %t: %d patterns", m.Inclusion, len(m.Patterns))
	}
	for _, h := range b.Stats.Buckets {
		line("buckets of %q: %v", h.Match.Value, h.Bounds)
	}
	for _, l := range b.Runtime {
		line("runtime layer %q, static %v, admin %t", l.Name, l.Static, l.Admin)
	}
	for _, w := range b.Warnings {
		line("warning %s", w)
	}
	return s.String()
}
