// Package xds keeps the configuration in step with control planes. A [Manager] asks for listeners, clusters, and what those
// refer to, decodes it (package resource), lets it warm, and turns it into changes of a config.Store.
//
// Listeners and clusters are asked for by wildcard. In the state of the world each response names all of them, and what is
// absent is removed; in the incremental variant it names what is new, changed or removed. They are applied one by one: good
// ones take effect, bad ones do not, and the response is refused with the reasons of all bad ones. What they refer to, such
// as a route configuration or a cluster's endpoints, is asked for by name while they do; its absence from a response means
// nothing, its removal in general that nobody waits for it, and it is dropped with its last referrer. A refused resource leaves the one
// before it in force, and so does the loss of a control plane.
//
// A cluster or listener that refers to something warms: it is applied once that is held, or once its initial_fetch_timeout
// has passed. What is held already counts, so an updated cluster does not wait for a server to repeat itself. A cluster whose
// names are to be looked up, or whose hosts are to be checked, then waits for that, too: the data plane does it ahead of traffic.
// Meanwhile the version before it stays in force.
//
// # Sources
//
// Each resource that refers to another says where it comes from, a config.ConfigSource: the aggregated stream, or a stream or
// polls of one type at some control plane, or a file. A source is opened when the first resource asks for something there, is shared by all
// that ask equal ones, and ends with the last. A name is a resource of its own in each source. Resources that ask for a
// source that cannot be are refused.
//
// Some resources come as collections, of which a server tells the parts: the virtual hosts of a route configuration (VHDS), and
// the scopes of a source (SRDS). A collection is held as one, with the last good state of each part.
//
// # Ownership
//
// One goroutine, that of [Manager.Run], handles the responses, disconnections and deadlines one after the other. It holds
// the Manager's lock for one of them at a time, so readers and [Manager.ReloadFile] see and make whole changes.
//
// # Limitations
//
// A resource of the control plane that was ignored because the bootstrap has one of its name comes into force only when it
// is sent again after a reload took the name out of the bootstrap.
package xds
