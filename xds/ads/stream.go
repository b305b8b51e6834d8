package ads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// received is what one Recv gave.
type received struct {
	response *response
	err      error
}

// serve opens a stream to a target and keeps it until it ends. It reports whether any response came, and why it ended.
func (c *Client) serve(ctx context.Context, at *place) (heard bool, err error) {
	sent, err := c.opts.Servers[at.server].sent()
	if err != nil {
		return false, err
	}
	conn, err := grpc.NewClient(at.target, at.dial...)
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, sent))
	defer cancel()
	rpc, err := c.openStream(ctx, conn)
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	var receiver sync.WaitGroup
	responses := make(chan received)
	receiver.Go(func() { receive(ctx, rpc, responses) })
	defer receiver.Wait()
	defer cancel()

	c.streamOpened()
	defer c.streamEnded()
	resume := time.NewTimer(0) // for when the rate limit lets the next request through
	resume.Stop()
	defer resume.Stop()
	for {
		wait, err := c.flush(rpc)
		if err != nil {
			return heard, err
		}
		if wait > 0 {
			resume.Reset(wait)
		}
		select {
		case <-c.wake:
		case <-resume.C:
		case r := <-responses:
			if r.err != nil {
				return heard, endOf(r.err)
			}
			heard = true
			c.take(ctx, r.response)
		case <-ctx.Done():
			return heard, context.Cause(ctx)
		}
	}
}

// receive passes on what comes until the stream ends or ctx is done.
func receive(ctx context.Context, rpc stream, out chan<- received) {
	for {
		r, err := rpc.receive()
		select {
		case out <- received{r, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// endOf words the end of a stream.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("closed by the server")
	}
	return err
}

// streamOpened makes a request of every subscribed type due, in order of first subscription.
func (c *Client) streamOpened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream++
	c.open, c.nodeSent, c.state.Connected = true, false, true
	for _, s := range c.order {
		c.enqueue(s)
	}
}

func (c *Client) streamEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.queue, c.state.Connected = false, nil, false
	for _, s := range c.order {
		s.streamEnded()
	}
}

// flush sends the requests that are due. When the rate limit lets no more through, it returns how long that lasts.
func (c *Client) flush(rpc stream) (wait time.Duration, err error) {
	for {
		wait, next, ok := c.due(time.Now())
		if !ok {
			return wait, nil
		}
		err := rpc.send(next)
		if errors.Is(err, io.EOF) {
			// The stream has ended, and only receiving says why: serve gets to know it from there.
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("send: %w", err)
		}
	}
}

// due takes the first request with something to say off the queue. ok is false when there is none, or when it has to wait.
func (c *Client) due(now time.Time) (wait time.Duration, next request, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return 0, request{}, false
	}
	var token *rate.Reservation
	if c.limit != nil {
		token = c.limit.ReserveN(now, 1)
		if wait = token.DelayFrom(now); wait > 0 {
			token.CancelAt(now)
			c.state.RateLimitEnforced++
			return wait, request{}, false
		}
	}
	for len(c.queue) > 0 && !ok {
		next, ok = c.queue[0].request(c.opts.Incremental)
		c.queue = c.queue[1:]
	}
	switch {
	case !ok && token != nil:
		token.CancelAt(now) // nothing is sent for it
	case ok && (!c.opts.NodeOnFirstMessageOnly || !c.nodeSent):
		next.node, c.nodeSent = c.opts.Node, true
	}
	return 0, next, ok
}

// take handles a response and makes its answer due.
func (c *Client) take(ctx context.Context, r *response) {
	s, wanted := c.noteResponse(r)
	if s == nil {
		c.log.Warn("response of a type that was not asked for is dropped", zap.String("type_url", r.typeURL))
		return
	}
	if !wanted {
		c.answerUnwanted(s, r)
		return
	}
	c.handling.Lock()
	defer c.handling.Unlock()
	defer s.taking(r)()
	found, err := s.decode(r, func(name, version string) bool { return c.holds(s, name, version) })
	if err != nil {
		if s.Refused != nil {
			s.Refused(ctx, err)
		}
		c.refuse(s, r, err)
		return
	}
	// A heartbeat tells nothing of the resources that are not in the response, so it does not have all there is.
	incremental := c.opts.Incremental || found.heartbeats > 0
	c.live(s, found.lifetimes, r.removed, s.Wildcard && !incremental, time.Now())
	decoded := Response{Version: r.version, Resources: found.resources, Incremental: incremental, Removed: r.removed}
	if onlyHeartbeats := found.heartbeats > 0 && len(found.resources)+len(r.removed) == 0; !onlyHeartbeats {
		err = s.Handle(ctx, decoded)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.refuse(s, r, err)
	default:
		c.accept(s, &decoded)
	}
}

// noteResponse notes the nonce. It returns no subscription for a type that this stream was not asked for, and wanted false
// when no resource of it is wanted any more.
func (c *Client) noteResponse(r *response) (s *subscription, wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Heard, c.state.LastError = true, ""
	if r.identifier != "" {
		c.state.Identifier = r.identifier
	}
	s = c.byURL[r.typeURL]
	if s == nil || !s.asked {
		return nil, false
	}
	s.nonce, s.unanswered = r.nonce, true
	return s, s.Wildcard || len(s.names) > 0
}

// answerUnwanted answers a response that came after the last name was unsubscribed. Its version is not taken while it holds
// resources: the server would think that they are known here, and not send them when they are asked for again. But some
// servers take a request without names for one of all resources, and repeat themselves until the version is taken. The
// incremental variant has no such version: a server knows from unsubscribing what is held here.
func (c *Client) answerUnwanted(s *subscription, r *response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	version := r.version
	if again := s.wasRefused && s.refused == version; again || len(r.world) == 0 {
		s.version, s.wasRefused = version, false
	} else {
		s.refused, s.wasRefused = version, true
	}
	c.enqueue(s)
}

func (c *Client) accept(s *subscription, r *Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.accepted(r, time.Now())
	c.enqueue(s)
}

// refuse answers r with why it is refused.
func (c *Client) refuse(s *subscription, r *response, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := s.rejected(r.identity(), why)
	c.log.Warn("response is refused", zap.String("type_url", s.URL), zap.String("version", r.version),
		zap.String("error", s.refusal.GetMessage()))
	if !again {
		c.enqueue(s)
		return
	}
	c.answerLater(s)
}

// answerLater makes the answer due after RepeatedRefusalDelay, unless a change of the subscription carries it before. The
// caller holds mu.
func (c *Client) answerLater(s *subscription) {
	stream := c.stream
	time.AfterFunc(RepeatedRefusalDelay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.stream == stream && s.refusal != nil {
			c.enqueue(s)
		}
	})
}
