package filter

import (
	"bytes"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Chain is the filters that are at work on one request. The request passes them in order, the response in reverse. The zero
// value is a chain without filters.
type Chain struct {
	streams []Stream
	kept    []Stream // of earlier requests, by the place of their filters
	next    int      // place of the filter that the request comes to next
	holder  int      // the filter that holds the response head, with held
	held    bool
}

// Open makes c the chain of a request, and passes its head through the filters up to one that answers it, whose answer it
// returns. r is nil for a request without a route; count has a block for each filter that has a schema. An answer that has to be
// waited for is had from Resume, with the same arguments, when the time has passed.
func (c *Chain) Open(filters []*Entry, r *route.Route, o *Opening, count []*stats.Block) *Reply {
	o.Forwards = r != nil && r.Config.Forward != nil
	for c.next < len(filters) {
		i := c.next
		c.next++
		if s := c.open(filters[i], i, r, o, count[i]); s != nil {
			c.streams = append(c.streams, s)
			c.kept[i] = s
			if reply := s.RequestHead(o.Request); reply != nil {
				return reply
			}
		}
	}
	return nil
}

// Resume goes on with the filter that has had the request wait, and with those after it.
func (c *Chain) Resume(filters []*Entry, r *route.Route, o *Opening, count []*stats.Block) *Reply {
	if reply := c.streams[len(c.streams)-1].(Waiter).Waited(o.Request); reply != nil {
		return reply
	}
	return c.Open(filters, r, o, count)
}

// open opens the filter in place i, unless it is off.
func (c *Chain) open(f *Entry, i int, r *route.Route, o *Opening, count *stats.Block) Stream {
	o.Configs, o.Stats = nil, count
	disabled := f.Disabled
	if r != nil {
		if said := r.Filter(f.Name, o.Target); said != nil {
			o.Configs, disabled = said.Configs, said.Disabled
		}
	}
	if disabled {
		return nil
	}
	if _, ok := f.Filter.(corsFilter); ok && r != nil && len(o.Configs) == 0 {
		o.Configs = r.CORS()
	}
	return f.Open(o, c.keptAt(i))
}

// keptAt returns what the filter in place i returned for an earlier request, nil when there was none. Another chain had another
// filter there: filters know their own.
func (c *Chain) keptAt(i int) Stream {
	for len(c.kept) <= i {
		c.kept = append(c.kept, nil)
	}
	return c.kept[i]
}

// Close lets go of the filters.
func (c *Chain) Close() {
	for _, s := range c.streams {
		s.Close()
	}
	clear(c.streams)
	*c = Chain{streams: c.streams[:0], kept: c.kept}
}

// LeavesBodies reports whether bodies and trailers pass the filters as they are.
func (c *Chain) LeavesBodies() bool {
	for _, s := range c.streams {
		if _, ok := s.(interface{ leavesBodies() }); !ok {
			return false
		}
	}
	return true
}

// Empty reports whether no filter has anything to do with the request.
func (c *Chain) Empty() bool { return len(c.streams) == 0 }

// RequestBody returns what becomes of body bytes on their way to the host, valid until the next call. ok is false when a
// filter refuses them.
func (c *Chain) RequestBody(data []byte, end bool) (converted []byte, ok bool) {
	for _, s := range c.streams {
		if data, ok = s.RequestBody(data, end); !ok {
			return nil, false
		}
	}
	return data, true
}

// ResponseHead changes the head of the response on its way to the client. hold says that it waits for ResponseEnd.
func (c *Chain) ResponseHead(resp *message.Response) (hold bool) {
	return c.headFrom(len(c.streams)-1, resp)
}

// headFrom passes the head through the filters from i down to the first.
func (c *Chain) headFrom(i int, resp *message.Response) (hold bool) {
	for ; i >= 0; i-- {
		if c.streams[i].ResponseHead(resp) {
			c.holder, c.held = i, true
			return true
		}
	}
	c.held = false
	return false
}

// ResponseBody returns what becomes of body bytes on their way to the client, valid until the next call. While the head is
// held there is nothing to be sent.
func (c *Chain) ResponseBody(data []byte) []byte {
	for i := len(c.streams) - 1; i >= 0 && len(data) > 0; i-- {
		data = c.streams[i].ResponseBody(data)
		if c.held && i == c.holder {
			return nil
		}
	}
	return data
}

// ResponseEnd takes the end of the response, with trailers that may be nil. It returns the last of the body, valid until the
// next call, and what is left of the trailers; a head that was held can be sent then.
func (c *Chain) ResponseEnd(resp *message.Response, trailers *message.Fields) (data []byte, rest *message.Fields) {
	for i := len(c.streams) - 1; i >= 0; i-- {
		s := c.streams[i]
		if len(data) > 0 {
			data = bytes.Clone(s.ResponseBody(data)) // what follows is another call
		}
		var last []byte
		last, trailers = s.ResponseEnd(resp, trailers)
		if len(data) == 0 {
			data = last
		} else {
			data = append(data, last...)
		}
		if c.held && i == c.holder {
			c.headFrom(i-1, resp) // one of those may hold it next, and comes to its end in this loop
		}
	}
	return data, trailers
}
