// Package outbound counts what the process does on its own behalf with the hosts of a cluster, as the workers count what they do there
// for clients: connections to control planes and log servers, and what is asked on them. They are clusters like others in the
// statistics and in /clusters, although none of that goes through a worker.
package outbound
