// Package upstream holds clusters as they are on one worker: hosts, connections to them, requests in flight, breakers.
//
// A Cluster outlives the configuration it came from: an update that does not name a host leaves its connections and
// counters alone. Everything but Shared and Resolver belongs to the thread of one worker's loop.
package upstream
