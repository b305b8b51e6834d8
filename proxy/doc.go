// Package proxy is the data plane: a Server with one Worker per core, the generation of the configuration that each
// serves, and the exchange, which carries every request from its head to the last byte of its response, whatever is spoken
// on either side.
//
// Start reading at exchange.step. docs/life-of-a-request.md tells the same story in prose.
package proxy
