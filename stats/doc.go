// Package stats keeps counters, gauges and histograms under Envoy's names and tags. They are kept in shards, one per
// worker thread, as plain memory that only its worker touches, and merged only when somebody reads.
//
// The names of a [Scope] ("cluster.foo.") are fixed by a [Schema]; a statistic is an index into that list, so that the
// request path pays one addition: shard.Block(scope).Inc(stats.ClusterUpstreamRqTotal).
//
// Three kinds of writers, three ways:
//
//   - a worker thread writes the [Block] of its [Shard];
//   - any other goroutine writes a [Scope] itself, whose methods are atomic, or the [AtomicCounter] and [AtomicGauge]
//     values of the [Store];
//   - what is computed when somebody reads is given as a function: [Store.GaugeFunc], [Store.Text], [Store.Collect].
//
// A reader takes a [Snapshot] and writes it as Envoy's /stats text or JSON, or as Prometheus families.
//
// Times are recorded in microseconds and shown in milliseconds.
package stats
