package proxy

import (
	"io"
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/inspect"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// inspection is a connection that listener filters look at: it has no filter chain yet. What was read and is nobody's to keep
// is given back to the connection when it gets one. It has no coroutine, and while it waits no buffer but for what has come.
type inspection struct {
	connection

	filters []compiledFilter // those of when it was accepted
	counts  []*stats.Block   // of the filters, nil for one that has none
	next    int              // the filter that looks
	held    []byte           // bytes that have come and were not consumed
	skip    int              // bytes to come that are to be dropped
	timer   eventloop.Timer
	over    bool

	seen  match.Connection
	hello inspect.Hello
	http  inspect.HTTP
}

// maxInspected bounds the bytes that are held of a connection. Each filter gives up at a limit of its own, which is lower.
const maxInspected = 64<<10 + eventloop.ReadBufferSize

// inspect has the listener's filters look at a connection, of which seen is known already.
func (l *listenerState) inspect(accepted connection, seen *match.Connection) {
	i := &inspection{connection: accepted, filters: l.compiled.filters, counts: l.filterCounts, seen: *seen}
	i.server = i
	l.inspections.link(&i.connection)
	l.stats.Inc(stats.ListenerDownstreamPreCxActive)
	i.raw.SetIdleHandler(i)
	if limit := l.compiled.config.FiltersTimeout; limit > 0 {
		l.worker.loop.SetTimer(&i.timer, limit, i)
	}
	i.advance()
}

// Ready implements eventloop.IdleHandler.
func (i *inspection) Ready(raw *eventloop.Conn) {
	loop := raw.Loop()
	buf := loop.AcquireBuffer(eventloop.ReadBufferSize)
	defer loop.ReleaseBuffer(buf)
	for !i.over {
		n, err := raw.Read(buf)
		switch err {
		case nil:
		case eventloop.ErrWouldBlock:
			return
		default:
			i.clientGone(err)
			return
		}
		dropped := min(n, i.skip)
		i.skip -= dropped
		i.held = append(i.held, buf[dropped:n]...)
		i.advance()
	}
}

// advance has one filter after the other look, until one needs more bytes.
func (i *inspection) advance() {
	for ; i.next < len(i.filters); i.next++ {
		if i.skip > 0 {
			return // what is to be looked at is behind that
		}
		switch i.filters[i.next].inspect(i, i.counts[i.next], i.held) {
		case filterWaits:
			if len(i.held) > maxInspected {
				i.end()
			}
			return
		case filterClose:
			i.end()
			return
		}
	}
	i.choose()
}

// consume takes n bytes off what has come, and off what is still to come.
func (i *inspection) consume(n int) {
	here := min(n, len(i.held))
	i.held = i.held[here:]
	i.skip = n - here
	i.counted.read += uint64(n)
}

// assert notes what the ends of the connection are said to be. restored tells that local is where the client wanted to connect to.
func (i *inspection) assert(remote, local netip.AddrPort, restored bool) {
	i.asserted = &assertedAddresses{remote, local, restored}
}

// choose gives the connection to the filter chain that is for it.
func (i *inspection) choose() {
	l, raw := i.listener, i.raw
	if i.skip > 0 {
		return
	}
	i.leaveList()
	raw.SetIdleHandler(nil)
	raw.Unread(i.held)
	i.connection.server = nil
	if to := l.meant(&i.connection); to != nil {
		l.handOff(i.connection, to, &i.seen)
	} else {
		l.give(i.connection, &i.seen)
	}
	if raw.Readable() {
		raw.Wake()
	}
}

// clientGone closes a connection that its client has closed, or that broke.
func (i *inspection) clientGone(err error) {
	statistic := stats.ListenerDownstreamListenerFilterError
	if err == io.EOF {
		statistic = stats.ListenerDownstreamListenerFilterRemoteClose
	}
	i.listener.stats.Inc(statistic)
	if i.next < len(i.filters) && i.counts[i.next] != nil {
		i.filters[i.next].gone(i.counts[i.next])
	}
	i.end()
}

// Expired implements eventloop.Expirer: the filters have not come to an end in time.
func (i *inspection) Expired(*eventloop.Timer) {
	i.listener.stats.Inc(stats.ListenerDownstreamPreCxTimeout)
	if i.listener.compiled.config.ContinueOnTimeout {
		i.skip = 0
		i.choose()
		return
	}
	i.end()
}

// end closes the connection.
func (i *inspection) end() {
	i.leaveList()
	i.logEnd(0, "", "")
	i.raw.Close()
	i.via.forget(i.listener)
}

// leaveList ends what an inspection is counted by.
func (i *inspection) leaveList() {
	i.over = true
	i.raw.Loop().StopTimer(&i.timer)
	i.listener.inspections.unlink(&i.connection)
	i.listener.stats.Dec(stats.ListenerDownstreamPreCxActive)
}

// leave implements connectionServer: nothing has been asked of the connection yet.
func (i *inspection) leave() { i.end() }

// drain implements connectionServer. It is not called: an inspection has no filter chain.
func (i *inspection) drain() {}

// cut implements connectionServer. It is not called either.
func (i *inspection) cut() { i.end() }
