// Package management is a management server for tests, the control plane of a running proxy: it serves a world of
// resources over ADS, in both variants of the protocol, and holds the proxy to the rules of the conversation.
//
//	s := management.New(t)
//	p := harness.StartBootstrap(t, 1, s.Bootstrap("DELTA_GRPC"))
//	s.Set(management.Pack(cluster), management.Pack(listener))
//	s.Settle()
//	for _, a := range s.Answers() { ... }
//
// It serves resources in the order clusters, endpoints, secrets, listeners, routes, each type only when something of it changed for
// the one who asks, and sends nothing again that was refused. So it knows when the proxy has answered everything: a proxy asks for
// what follows from a response before it answers that.
//
// # Rules
//
// A request that breaks one of these fails the test (see [Rules]):
//
//   - each response is answered once, in order: accepted with its version, or refused with the version before, code 13 and a
//     text; an error detail is in no other request
//   - the state of the world: a request that answers nothing changes the names, and has the version accepted last and a nonce
//     that was sent; the first request of a stream has no nonce, and the version accepted last on the stream before
//   - the incremental variant: a request without a nonce subscribes or unsubscribes, only what was not or was subscribed; the first
//     request of a stream has all names, and the versions of all that is held
//   - the node is in every request, or with set_node_on_first_message_only in the first of a stream only
package management
