// Package layeredruntime makes the runtime of its layers: values by key from the bootstrap, from a directory, from operators and
// from the control plane, of which later layers go over earlier ones. Whenever a layer changes, a new immutable
// [config.Runtime] is made of all of them and published; nobody reads a layer itself.
//
// Envoy's documentation calls this the layered runtime (bootstrap.v3.LayeredRuntime, RTDS, /runtime, /runtime_modify).
//
// # Limitations
//
// A value that a layer changes takes part in what is compiled of the configuration, so that a request looks up nothing. Keys
// that begin with "envoy.reloadable_features." are shown and have no effect: there are no such features.
package layeredruntime
