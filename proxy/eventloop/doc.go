// Package eventloop runs connections and straight-line code on one thread.
//
// A Loop is one operating system thread with one epoll instance. Everything a Loop owns (connections, tasks, timers,
// buffers) is touched by its thread only; other goroutines reach it with Loop.Post. A Task is a coroutine: it reads like
// blocking code, and where it would block it parks and gives the thread back until it is woken.
//
// A turn of the loop is: wait for events, run what was posted, expire timers, resume the tasks that were woken, write what
// the connections gathered. Time is read once per turn. A loop that is busy with connections of many messages lets a moment
// pass before it takes the next events: see Gather.
//
// # Rules
//
// A task never blocks its thread: no file, no name lookup, no contended lock, no channel. Task.Await runs such a thing on
// an ordinary goroutine. A task with a lot to do calls Task.Yield after a bounded amount of it.
//
// A Layer, such as TLS, may be between a connection and its bytes on the wire: Conn.Handshake.
//
// # Limitations
//
// Linux only. Descriptors are assumed to be stream sockets.
package eventloop
