// Package credentials is the TLS of connections to control planes, as the transport socket of their cluster says it: certificates
// that are in the bootstrap, in files, in its static secrets, or in secrets that are in files (an sds_config with path_config_source).
//
// Everything is read anew for each connection. Those are few, and certificates are replaced while the process runs: the next
// connection shows what the files have then, and established ones go on. Where the files cannot be used, as while they are
// written, the connection is made with what could be used last.
//
// # Limitations
//
// Secrets come from files only. A secret of a control plane would have to be there before the first connection to it.
package credentials
