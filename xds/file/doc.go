// Package file is the source of xDS resources that path_config_source names: a file that holds a DiscoveryResponse. It is used as a
// client of package ads is.
//
// The file is read when resources of it are first asked for, when others are, and when it, or with watched_directory anything in
// that directory, is moved into place (package inotify). Writes are not looked at: half a file may have been written.
//
// There is nobody to answer to. A file that cannot be read or decoded, or whose resources are refused, leaves what was taken before
// in force, and shows in the statistics and the log.
package file
