// Package config holds what was asked of the proxy: listeners, routes, clusters and endpoints as plain Go values, the
// immutable Snapshot that ties one consistent set of them together, and the Store through which every change goes.
//
// It knows no protobuf and does no I/O. Decoders (package xds) produce these values; the data plane (package proxy) reads
// them. Whatever has been handed to a Store is read-only from then on, for everybody.
package config
