// Package orca makes weights of the load that hosts report with their answers (Open Request Cost Aggregation, as in Envoy's policy
// client_side_weighted_round_robin).
//
// A worker reads the report of an answer in place, makes a weight of it, and keeps that of the last report of each host. A Weigher
// asks the workers for these at each update period, on a goroutine beside them, and gives all of them the same weights.
package orca
