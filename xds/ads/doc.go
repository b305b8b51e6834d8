// Package ads is the transport of xDS over gRPC: a client of the aggregated discovery service, or of the service that one
// type has to itself, in either of their variants, the state of the world and the incremental one (delta), over one stream.
// It follows https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol.
//
// It knows no resource type. A caller describes each with a [Type]: its URL, how a resource is decoded, and what becomes
// of a response. The client keeps the conversation: per type one version and one nonce, one answer to every response,
// subscriptions sent again in their first order on a new stream, with the versions of what is held where the variant has them,
// reconnection with jittered exponential back-off.
//
// # Order and coalescing
//
// One goroutine, that of [Client.Run], owns the stream: it takes a response, hands it to the type's Handle, and sends all
// that is due before it takes the next. A subscription changed from inside Handle is queued before the answer to that
// response, so a server sees the EDS request that a CDS response caused first, and the acknowledgement of CDS after it.
// There is at most one request per type in the queue, made when it is sent: it carries the names of then, and the answer
// if one is due. [Client.Subscribe] takes the whole list, so a batch of changes is one call and one request.
//
// # Time to live
//
// A resource that comes with a time to live and does not come again within it, whole or as a heartbeat, is handled as one that the
// server has removed, whether there is a stream at that time or not. Expiry has a goroutine of its own within Run; what it and the
// stream hand to the types never overlaps.
//
// # Limitations
//
// There are no xdstp names.
package ads
