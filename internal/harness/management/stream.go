package management

import (
	"context"
	"maps"
	"strconv"
	"time"
)

// stream is one stream of the proxy. Server.mu guards it.
type stream struct {
	s          *Server
	wire       wire
	rules      *streamRules
	number     int
	nonces     int
	watches    map[string]*watch // by type, of those that were asked for
	queue      []*Response       // to be sent
	unanswered int
	sentAt     map[string]time.Time // by nonce
	wake       chan struct{}        // capacity 1: something was queued
}

// watch is what the proxy has asked for of a type.
type watch struct {
	wildcard bool
	names    map[string]bool
	fresh    map[string]bool   // names that it was not told of since it asked
	version  string            // sent last, of the state of the world
	known    map[string]string // versions by name, of the incremental variant
	answered bool              // anything was sent
}

func (s *Server) serve(ctx context.Context, w wire) error {
	s.mu.Lock()
	s.begun++
	st := &stream{
		s: s, wire: w, rules: s.rules.stream(w.incremental), number: s.begun,
		watches: make(map[string]*watch), sentAt: make(map[string]time.Time), wake: make(chan struct{}, 1),
	}
	s.streams[st] = true
	s.mu.Unlock()
	received := make(chan struct{})
	go func() {
		defer close(received)
		for {
			q, err := w.receive()
			if err != nil {
				return
			}
			st.receive(&q)
		}
	}()
	err := st.send(ctx)
	<-received
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	for url := range st.watches {
		s.rules.streamEnded(url)
	}
	s.changed.Broadcast()
	return err
}

// send sends what is queued until the stream ends.
func (st *stream) send(ctx context.Context) error {
	for {
		st.s.mu.Lock()
		var next *Response
		if len(st.queue) > 0 {
			next, st.queue = st.queue[0], st.queue[1:]
			st.sentAt[next.Nonce] = time.Now()
		}
		st.s.mu.Unlock()
		if next != nil {
			if err := st.wire.send(next); err != nil {
				return err
			}
			continue
		}
		select {
		case <-st.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// receive takes a request.
func (st *stream) receive(q *Request) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	if len(st.watches) == 0 {
		s.opened++
	}
	if answered := st.rules.receives(q); answered != nil {
		st.unanswered--
		a := Answer{
			TypeURL: q.TypeURL, Version: answered.Version, Removed: answered.Removed,
			Refusal: q.Refusal.GetMessage(), After: time.Since(st.sentAt[q.Nonce]),
		}
		for i := range answered.Resources {
			a.Names = append(a.Names, answered.Resources[i].Name)
		}
		delete(st.sentAt, q.Nonce)
		s.answers = append(s.answers, a)
	}
	w := st.watches[q.TypeURL]
	first := w == nil
	if first {
		w = &watch{
			names: make(map[string]bool), fresh: make(map[string]bool), known: make(map[string]string), version: q.Version,
			wildcard: wildcard[q.TypeURL] && len(q.Names)+len(q.Subscribe) == 0, answered: q.Version != "" || len(q.Held) > 0,
		}
		maps.Copy(w.known, q.Held)
		st.watches[q.TypeURL] = w
	}
	w.take(q, st.wire.incremental)
	if first && q.Version != "" {
		w.fresh = make(map[string]bool) // who has the version has what there is of it
	}
	st.push(q.TypeURL)
}

// take notes the names of a request.
func (w *watch) take(q *Request, incremental bool) {
	if incremental {
		for _, name := range q.Unsubscribe {
			delete(w.names, name)
			delete(w.fresh, name)
			delete(w.known, name)
		}
		for _, name := range q.Subscribe {
			w.names[name], w.fresh[name] = true, true
		}
		return
	}
	names := make(map[string]bool, len(q.Names))
	for _, name := range q.Names {
		names[name] = true
		if !w.names[name] {
			w.fresh[name] = true
		}
	}
	w.names = names
}

// push queues a response about a type when there is something to say. The caller holds the mutex.
func (st *stream) push(url string) {
	w, c := st.watches[url], st.s.types[url]
	if w == nil || c == nil {
		return
	}
	var next *Response
	if st.wire.incremental {
		next = w.changes(c)
	} else {
		next = w.world(c)
	}
	if next == nil {
		return
	}
	w.answered, w.fresh = true, make(map[string]bool)
	st.nonces++
	next.TypeURL, next.Version, next.Nonce = url, c.version, strconv.Itoa(st.number)+"-"+strconv.Itoa(st.nonces)
	st.rules.sends(next)
	st.unanswered++
	st.queue = append(st.queue, next)
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// world returns all that is asked for, nil when the proxy has it.
func (w *watch) world(c *collection) *Response {
	r := &Response{}
	news := w.version != c.version
	for _, name := range c.names {
		if !w.wildcard && !w.names[name] {
			continue
		}
		news = news || w.answered && w.fresh[name]
		r.Resources = append(r.Resources, c.byName[name])
	}
	if !news || len(r.Resources) == 0 && !w.wildcard {
		return nil
	}
	w.version = c.version
	return r
}

// changes returns what the proxy does not have as it is, nil when it has everything.
func (w *watch) changes(c *collection) *Response {
	r := &Response{}
	for _, name := range c.names {
		if resource := c.byName[name]; (w.wildcard || w.names[name]) && w.known[name] != resource.version {
			r.Resources = append(r.Resources, resource)
			w.known[name] = resource.version
		}
	}
	for name := range w.known {
		if _, there := c.byName[name]; !there {
			r.Removed = append(r.Removed, name)
			delete(w.known, name)
		}
	}
	for name := range w.fresh {
		if _, there := c.byName[name]; !there {
			r.Removed = append(r.Removed, name)
		}
	}
	first := w.wildcard && !w.answered
	if len(r.Resources)+len(r.Removed) == 0 && !first {
		return nil
	}
	return r
}
