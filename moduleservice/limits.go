package moduleservice

import "time"

// What the contract of the service fixes.
const (
	// maxMessage bounds a message in either direction, in bytes.
	maxMessage = 16 << 20
	// pingInterval is how often clients ping a connection without streams.
	pingInterval = 10 * time.Second
	// maxConnectionAgeGrace is how long calls may go on when a connection has reached its age.
	maxConnectionAgeGrace = 10 * time.Second
)

// What is our choice.
const (
	// minPingInterval is the shortest interval of pings that is tolerated: half of what clients do, as pings that the
	// network bunches up must not count as abuse.
	minPingInterval = pingInterval / 2
	// idlePing and pingTimeout find peers that are gone: a connection without a word for the first gets a ping and is
	// closed without an answer within the second.
	idlePing    = 30 * time.Second
	pingTimeout = 10 * time.Second
	// maxStreams bounds the calls at once on a connection: clients make one at a time and watch health.
	maxStreams = 128
	// maxConnections bounds clients at once; more wait in the socket's backlog. There are a manager and a few tools.
	maxConnections = 1024
	// maxHeaderList bounds the metadata of a call, in bytes: clients send a few hundred.
	maxHeaderList = 16 << 10
	// handshakeTimeout bounds the time until a new connection speaks HTTP/2, with the handshake of TLS where there is one.
	handshakeTimeout = 10 * time.Second
	// healthPoll is how often a watched health is looked at.
	healthPoll = time.Second

	// maxOverlays bounds the routes with a limit, and those with weights. What is laid over routes that are gone stays,
	// so something has to.
	maxOverlays = 1 << 16
	// maxWeights bounds the clusters that one route is split over: a decision looks at them in order.
	maxWeights = 1000
	// maxListed is how many valid names a refusal lists, and maxQuoted how much of a wrong one it repeats, in bytes.
	maxListed = 10
	maxQuoted = 128
)
