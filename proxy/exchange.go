package proxy

import (
	"net/netip"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// bytesPerTurn is what an exchange moves in a step before it lets the others run.
	bytesPerTurn = 256 << 10
	// arenaSize is the room for fields that the proxy adds; what does not fit moves to a larger array.
	arenaSize = 1 << 10
	// maxInformational bounds the 1xx responses before a final one.
	maxInformational = 16
)

// exchange is one request and its response, from the head to the last byte. It goes on in steps, each as far as it gets
// without waiting: called by the task of an HTTP/1 connection, or as a job of its own for an HTTP/2 stream. It is pooled: clear
// makes it new.
type exchange struct {
	worker *worker

	request  message.Request
	trailers message.Fields   // of the response, where they are to be logged
	arena    []byte           // what the proxy adds to the messages
	replay   []byte           // the request body that was sent upstream, with replayable
	tried    []*upstream.Host // that failed, where the next attempt is to avoid them
	timer    eventloop.Timer  // it stays set from one use to the next
	armed    int64            // when it fires, in nanoseconds on the loop's clock; 0 is unset
	job      eventloop.Job    // of an HTTP/2 stream
	filters  filter.Chain
	shadows  []*shadow // whose requests are not whole

	redirects []route.Redirected // that were followed in place of the client

	*attempt            // the one at hand
	rivals   []*attempt // that were at hand and go on
	exchangeState
}

// exchangeState is the part of an exchange that begins as zero.
type exchangeState struct {
	stage  stage
	waker  eventloop.Waker // of who calls step
	conn   *httpConnection
	down   downstream
	stream http2.ServerStream // when the client speaks HTTP/2

	// What the exchange pinned when it began; later configurations do not touch it.
	chain    *chainState
	manager  *compiledManager
	counts   []*stats.Block // of the manager's filters
	logs     *logUse        // nil without access logs
	table    *tableState
	scopes   []*tableState // table is one of them when the manager has scoped routes
	clusters []*upstream.Cluster
	// What clusters, by their index, have in place of what the route says, nil for nothing; nil when none has anything.
	policies []*route.ClusterPolicies

	random     uint64
	route      *route.Route
	routeState *routeState
	// virtualCluster is what the virtual host counts the request in, nil for nothing.
	virtualCluster *route.StatGroup
	target         *route.Target
	hash           route.Hash        // made for a cluster of consistent hashing
	overrides      int               // addresses that attempts have taken from the fields for override_host
	routed         *upstream.Cluster // where the target leads
	named          route.Target      // by the request (cluster_header)
	authority      []byte            // of the request before it had that of a host (auto_host_rewrite), nil while it has not

	retry retry

	detected     netip.AddrPort // the client, as original_ip_detection_extensions have found
	webSocketKey []byte         // of a handshake that is made of another protocol's

	// Time, in nanoseconds on the loop's clock; 0 is unset.
	started      int64
	requestEnd   int64 // the whole request was received
	lastActivity int64
	timeout      time.Duration // route timeout, counted from requestEnd
	maxDuration  time.Duration // of the stream, counted from started
	streamIdle   time.Duration

	// Progress.
	hostAsked     bool // a connection to a host was there, in some attempt
	hostHTTP2     bool // and spoke HTTP/2, in the last
	requestDone   bool // the request was read to its end
	requestSent   bool // and handed to the upstream connection to its end
	continued     bool // 100 (Continue) was sent
	bodySent      bool // some of the request body went upstream
	replayable    bool // and all that did is in replay
	headRead      bool // a final response head has come
	responded     bool // and was written, or one of our own
	responseDone  bool
	finished      bool // nothing is held and everything is counted
	upgraded      bool // both sides are a tunnel
	abandon       bool // the client must see that the response is not whole
	grpc          bool // the client expects errors as gRPC status
	internal      bool // the request comes from inside (internal_address_config)
	healthCheck   bool // the request is one of this proxy
	grouped       bool // it is counted in the statistics of a virtual cluster or of its route
	verdict       verdict
	refused       refusal       // with verdictCodecError, and the status of verdictNoOriginalIP
	filterReplied *filter.Reply // with verdictFilterReply
	routeVerdict  verdict       // what finding the route has come to
	resumeAt      int64         // when the filters go on, with stageFilters
	timeoutStatus int           // the answer to a route timeout that the client asked for, 0 for the usual
	informational int
	attempts      int  // to get a response
	resent        bool // one of them followed from a connection that was of no use, whatever the retry policy

	moved         int // bytes in this step
	bytesReceived int64
	bytesSent     int64
	flags         Flags
	details       string

	transportFailure string // why the last connection to a host could not be made, empty for no reason
}

// Outcome is what is known of a stream when it has ended. Its slices are borrowed for the call it is handed to.
type Outcome struct {
	Request       *message.Request
	Status        int // 0 when no response was sent
	Flags         Flags
	Details       string
	Route         string
	Cluster       string
	UpstreamHost  string
	BytesReceived int64
	BytesSent     int64
	Duration      time.Duration
}

// begin readies x for a request that came in on c.
func (x *exchange) begin(c *httpConnection, down downstream, waker eventloop.Waker) {
	chain, w := c.chain, c.listener.worker
	x.waker, x.conn, x.down, x.chain = waker, c, down, chain
	x.manager, x.table, x.scopes, x.clusters = &chain.compiled.manager, chain.table, chain.scopes, w.clusters
	x.counts, x.logs = chain.filters, chain.logs.join()
	x.policies = w.serving.policies
	x.started = w.loop.Now()
	x.lastActivity = x.started
	x.streamIdle = x.manager.config.StreamIdle
	x.maxDuration = x.manager.config.MaxStreamDuration
	x.random = w.random.Uint64()
	if x.arena == nil {
		x.arena = make([]byte, 0, arenaSize)
	}
	chain.http.Inc(stats.HTTPDownstreamRqTotal)
	chain.http.Inc(c.protocol.rqTotal)
	chain.http.Inc(stats.HTTPDownstreamRqActive)
	if down.BodyDone() || x.wantsTunnel() {
		x.requestComplete()
	}
}

// clear makes x ready for reuse. The messages are emptied by whoever fills them next; what they borrowed belongs to
// pools by now.
func (x *exchange) clear() {
	if cap(x.arena) > arenaSize {
		x.arena = nil
	}
	x.arena = x.arena[:0]
	x.worker.replays.put(x.replay)
	x.replay = nil
	clear(x.tried)
	x.tried = x.tried[:0]
	clear(x.redirects)
	x.redirects = x.redirects[:0]
	x.attempt.clear()
	if x.trailers.Len() > 0 {
		x.trailers.Reset()
	}
	x.filters.Close()
	x.job.Stop()
	x.exchangeState = exchangeState{}
}

// refusal is how a request is answered that a codec has refused.
type refusal struct {
	status        int
	body, details string
}

// refusalOf returns the answer to what the HTTP/1 codec has refused.
func refusalOf(e http1.Error) refusal { return refusal{e.Status(), e.Body(), e.Details()} }

// refuse answers a request that its codec has refused.
func (x *exchange) refuse(r refusal) {
	x.refused = r
	x.replyVerdict(verdictCodecError)
	x.finish()
}

// end closes an exchange that failed with v: with an answer when none has begun, by breaking the response off otherwise.
func (x *exchange) end(v verdict) {
	if v.unanswerable() || x.responded {
		x.verdict, x.details = v, v.detailsAfter()
		x.flags |= answers[v].flags
		x.abandon = true
		x.conn.cutsOff = x.conn.cutsOff || x.stream.Stream == nil && v == verdictClientGone
		if !v.unanswerable() {
			x.chain.http.Inc(stats.HTTPDownstreamRqTxReset)
		}
		return
	}
	x.replyVerdict(v)
}

// finish releases what the exchange holds and counts it.
func (x *exchange) finish() {
	w, http := x.worker, x.chain.http
	x.finished = true
	x.releaseRetry()
	x.cancelShadows()
	x.cancelRivals()
	x.lease.Release(x.outcome(), x.responseDone && x.requestSent && !x.wantsTunnel())
	micros := uint64(w.loop.Now()-x.started) / uint64(time.Microsecond)
	http.Dec(stats.HTTPDownstreamRqActive)
	http.Record(stats.HTTPDownstreamRqTime, micros)
	status := 0
	if x.responded {
		status = x.response.Status
		http.IncStatusOf(stats.HTTPDownstreamRqStatus, status)
	}
	if !x.responded || x.verdict.unanswerable() {
		http.Inc(stats.HTTPDownstreamRqRxReset)
	}
	if x.routeState != nil {
		x.countRoute(micros, status)
	}
	x.tellEnd(status)
	x.logs.leave()
}

// tellEnd tells the access logs, and who else wants to know, how the request has ended.
func (x *exchange) tellEnd(status int) {
	if x.logs != nil {
		x.log(status)
	}
	if observe := x.worker.server.options.Observe; observe != nil {
		x.observe(observe, status)
	}
}

// drop releases what an exchange holds that cannot go on to its end.
func (x *exchange) drop() {
	x.releaseRetry()
	x.cancelShadows()
	x.cancelRivals()
	x.lease.Release(upstream.ServerError, false)
	x.logs.leave()
	x.chain.http.Dec(stats.HTTPDownstreamRqActive)
	x.chain.http.Inc(stats.HTTPDownstreamRqTxReset)
}

// observe tells of the end of the stream. The Outcome is the worker's, so that being told costs no allocation.
func (x *exchange) observe(observe func(*Outcome), status int) {
	o := &x.worker.outcome
	*o = Outcome{
		Request: &x.request, Status: status, Flags: x.flags, Details: x.details,
		Route: x.routeName(), Cluster: x.clusterName(), UpstreamHost: x.upstreamHost(),
		BytesReceived: x.bytesReceived, BytesSent: x.bytesSent,
		Duration: time.Duration(x.worker.loop.Now() - x.started),
	}
	observe(o)
}

func (x *exchange) countRoute(micros uint64, status int) {
	b := x.routeState.block
	b.Inc(stats.RouteRequests)
	b.Record(stats.RouteTime, micros)
	if status == 0 || status >= 500 {
		b.Inc(stats.RouteErrors)
	}
}

// outcome tells the host how the request ended.
func (x *exchange) outcome() upstream.Outcome {
	if x.verdict == verdictNone && x.response.Status < 500 {
		return upstream.Success
	}
	return x.verdict.outcome()
}

func (x *exchange) routeName() string {
	if x.route == nil {
		return ""
	}
	return x.route.Name
}

func (x *exchange) clusterName() string {
	if x.target == nil {
		return ""
	}
	return x.target.Name
}

func (x *exchange) upstreamHost() string {
	if h := x.lease.Host(); h != nil {
		return h.Address
	}
	return ""
}

// requestComplete notes that the whole request was received: the route timeout runs from here.
func (x *exchange) requestComplete() {
	x.requestDone = true
	x.requestEnd = x.worker.loop.Now()
}
