// Package resource decodes xDS v3 resources: a protobuf message in, a config type or an error out.
//
// Nothing that changes traffic is dropped silently. Each message has a table of the fields that are decoded and of those
// that can be accepted without effect; every other field that is set is refused by its name. Extensions are found by the
// type URL of their configuration, never by their name.
//
// An error has one line for each thing that is wrong, at most maxErrors of them, of the form
//
//	listener "l": filter_chains[0].filters[0]: what is wrong and what would be valid
//
// with the path as the .proto files write it. The decoders keep no reference to the message they are given.
package resource
