package stats

import (
	"fmt"
	"io"
	"testing"
)

// benchStore returns a store with 10,000 clusters of 60 statistics, written by one worker.
func benchStore(b *testing.B) *Store {
	s := NewStore(Options{Tags: []TagRule{FixedTag("module_type", "ALB")}})
	defs := make([]Def, 60)
	for i := range defs {
		defs[i] = Def{Name: fmt.Sprintf("upstream_stat_%02d_total", i)}
	}
	defs[58].Kind = Gauge
	defs[59] = Def{Name: "upstream_rq_time", Kind: Histogram, Unit: Milliseconds}
	schema := NewSchema(defs...)
	startWorker(b, s).do(func(sh *Shard) {
		for i := range 10_000 {
			block := sh.Block(s.Scope(fmt.Sprintf("cluster.c%d.", i), schema))
			block.Inc(i % 58)
			block.Record(59, uint64(i))
		}
	})
	return s
}

func BenchmarkBlockInc(b *testing.B) {
	s := NewStore(Options{})
	block := s.NewShard(func(func()) bool { return false }).Block(s.Scope("cluster.foo.", Cluster))
	for b.Loop() {
		block.Inc(ClusterUpstreamRqTotal)
	}
}

func BenchmarkBlockRecord(b *testing.B) {
	s := NewStore(Options{})
	block := s.NewShard(func(func()) bool { return false }).Block(s.Scope("cluster.foo.", Cluster))
	v := uint64(0)
	for b.Loop() {
		v = (v + 7919) % 1_000_000
		block.Record(ClusterUpstreamRqTime, v)
	}
}

func BenchmarkBlockIncStatus(b *testing.B) {
	s := NewStore(Options{})
	block := s.NewShard(func(func()) bool { return false }).Block(s.Scope("cluster.foo.", Cluster))
	for b.Loop() {
		block.IncStatus(200)
	}
}

func BenchmarkFirstRead10kClusters(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := benchStore(b)
		sn := s.Snapshot(b.Context())
		b.StartTimer()
		sn.Families(WriteOptions{})
	}
}

func BenchmarkRead10kClusters(b *testing.B) {
	s := benchStore(b)
	for name, read := range map[string]func(*Snapshot) error{
		"snapshot":   func(*Snapshot) error { return nil },
		"text":       func(sn *Snapshot) error { return sn.WriteText(io.Discard, WriteOptions{}) },
		"json":       func(sn *Snapshot) error { return sn.WriteJSON(io.Discard, WriteOptions{}) },
		"prometheus": func(sn *Snapshot) error { return sn.WritePrometheus(io.Discard, WriteOptions{}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(s.Snapshot(b.Context())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("flush", func(b *testing.B) {
		for b.Loop() {
			s.Flush()
		}
	})
}
