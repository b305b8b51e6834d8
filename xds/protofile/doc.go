// Package protofile reads messages of Envoy's API from files and texts: YAML, JSON, and protobuf's binary and text formats.
//
// YAML and JSON are read as leniently as Envoy reads them. Its YAML parser turns every plain scalar that looks like one into
// a boolean or a number, and the JSON parser behind it accepts much that proto3's JSON mapping does not have. What that is,
// with a case for each, is in the tests; what Envoy drops without a word is dropped with a note here.
//
// A text becomes a tree ([parseTree]), the tree is brought into the canonical form of protobuf's JSON by the descriptor of
// its message (canonical.go), and protojson decodes that. So an error names the field, by its path from the root.
package protofile
