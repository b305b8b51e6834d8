// Package ratelimit holds token buckets that all workers share.
//
// golang.org/x/time/rate keeps every bucket. A worker does not ask it per request: it takes a small batch of tokens and
// spends them without a lock. What a worker does not spend stays within reach of the others, so a batch in the hands of an
// idle worker starves nobody.
//
// # Exactness
//
// Let burst and rate be those of the bucket, and held the tokens that lie unspent in all leases together, which is at most
// burst/8 and is 0 for a burst below 8.
//
//   - Never more: in any window of length t, all leases together allow at most burst + rate*t requests. A token that lies in
//     a lease is room that the bucket does not fill meanwhile, so the sum of both never exceeds burst.
//   - Hardly less: a request is refused only when neither the bucket nor any lease has a token. Tokens that a lease spends
//     are noticed when next some lease asks the bucket; until then a full bucket does not refill their room. So a bucket
//     that made the same decisions without leases would hold at most burst/8 tokens more at any time. Below a burst of 8
//     the decisions are those of x/time/rate.
//
// Time is what callers pass as now. Where two workers' clocks differ, the bucket goes by the one that is ahead.
package ratelimit
