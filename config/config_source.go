package config

import "time"

// ConfigSource tells where resources come from (envoy.config.core.v3.ConfigSource). The zero value is the aggregated stream
// of the process. It is comparable: what comes from equal sources shares what brings it.
type ConfigSource struct {
	// API is an envoy.config.core.v3.ApiConfigSource in deterministic wire encoding, empty for the other kinds.
	API string
	// Path is a file with a DiscoveryResponse (path_config_source), empty for the other kinds.
	Path string
	// WatchedDirectory is the directory whose moves lead to a new look at Path, empty when Path itself is watched.
	WatchedDirectory string
}

// Aggregated reports whether s is the aggregated stream of the process.
func (s ConfigSource) Aggregated() bool { return s == ConfigSource{} }

// Key returns the name under which a Snapshot holds what comes from s as name. It is the name itself for the aggregated
// stream. Names do not contain NUL, which decoders see to, so keys of different sources differ.
func (s ConfigSource) Key(name string) string {
	if s.Aggregated() {
		return name
	}
	return name + "\x00" + s.Path + "\x00" + s.WatchedDirectory + "\x00" + s.API
}

// Discovery tells where resources are asked for and how long the first answer is waited for.
type Discovery struct {
	Source ConfigSource
	// FetchTimeout bounds the wait for the first answer (initial_fetch_timeout); 0 waits for ever.
	FetchTimeout time.Duration
}
