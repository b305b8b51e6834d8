// Package moduleservice serves marchproxy.ModuleService: the state of this process over gRPC, and the limits and traffic
// weights that are laid over the configuration while it runs.
//
// It reads the running [config.Snapshot] and writes nothing but its Overlay, which survives updates by file and xDS. An
// entry for a route that an update takes away stays and applies again when the route comes back.
//
// Calls whose response has a success field answer bad input there, with gRPC status OK: old clients look nowhere else. The
// others answer INVALID_ARGUMENT or NOT_FOUND.
package moduleservice
