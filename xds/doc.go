// Package xds keeps the configuration in step with a control plane. A [Manager] subscribes to listeners, clusters, route
// configurations and endpoints over ADS, decodes them (package resource), lets them warm, and turns them into changes of a
// config.Store.
//
// Listeners and clusters are asked for by wildcard. In the state of the world each response names all of them, and what is
// absent is removed; in the incremental variant it names what is new, changed or removed. They
// are applied one by one: good ones take effect, bad ones do not, and the response is refused with the reasons of all bad
// ones. A route configuration and a cluster's endpoints are asked for by name while a listener or cluster refers to them;
// their absence from a response means nothing, their removal that nobody waits for them, and they are dropped with their last referrer. A refused resource leaves the
// one before it in force, and so does the loss of the control plane.
//
// A cluster that gets its endpoints by EDS, and a listener that gets its routes by RDS, warms: it is applied once what it
// refers to is held, or once its initial_fetch_timeout has passed. Endpoints and routes that are held already count, so an
// updated cluster does not wait for a server to repeat itself. Meanwhile the version before it stays in force.
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
