// Package inotify tells when files are moved into place, with the kernel's inotify(7).
//
// Moves are what is watched, and not writes: a file that is renamed to its place is whole, while one that is being written is not. So
// do the tools that replace configurations while programs read them: Kubernetes swaps the symbolic link "..data" of a volume, others
// write beside the file and rename. A file is watched by way of its directory, because each version of it is another inode.
//
// One [Watcher] serves a process: the kernel allows a user few instances (fs.inotify.max_user_instances, 128) and many watches.
//
// # Limitations
//
// A directory that is removed or moved away takes its watches with it: they tell of that once, and of nothing after. Network file
// systems do not tell of what other machines do.
package inotify
