package ads

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
)

// A resource may come with a time to live. When that has passed without the resource coming again, it is removed as if the server
// had removed it: a control plane that has gone silent does not leave behind what it only lent. A heartbeat is a resource without a
// body, in the version that is held; it begins the time anew and is nothing else. See
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#ttl.

// lifetime is what a response says of how long a resource lives.
type lifetime struct {
	name    string
	ttl     time.Duration
	bounded bool // there is a ttl
}

// holds reports whether a resource in a version is what is held, so that one without a body is a heartbeat.
func (c *Client) holds(s *subscription, name, version string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.opts.Incremental {
		return s.version != "" && s.version == version
	}
	held, ok := s.held[name]
	return ok && held == version
}

// live takes over the lifetimes of a response that has come at now. In a response that has all there is, what is missing is gone.
func (c *Client) live(s *subscription, lifetimes []lifetime, removed []string, all bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all {
		s.expiry = nil
	}
	for _, l := range lifetimes {
		switch {
		case !l.bounded || !s.wants(l.name):
			delete(s.expiry, l.name)
		case s.expiry == nil:
			s.expiry = make(map[string]time.Time)
			fallthrough
		default:
			s.expiry[l.name] = now.Add(l.ttl)
		}
	}
	for _, name := range removed {
		delete(s.expiry, name)
	}
	select {
	case c.expiries <- struct{}{}:
	default:
	}
}

// expire removes resources when their time has passed, until ctx is done. It has a goroutine of its own, for that has to happen
// whatever becomes of the stream.
func (c *Client) expire(ctx context.Context) {
	timer := time.NewTimer(0)
	timer.Stop()
	defer timer.Stop()
	for {
		if next := c.nextExpiry(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-c.expiries:
		case <-timer.C:
			c.removeExpired(ctx, time.Now())
		}
	}
}

// nextExpiry returns when the next resource expires, zero for none.
func (c *Client) nextExpiry() (next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.order {
		for _, at := range s.expiry {
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	return next
}

// removeExpired has each type handle the removal of what has expired by now.
func (c *Client) removeExpired(ctx context.Context, now time.Time) {
	c.handling.Lock()
	defer c.handling.Unlock()
	for _, s := range c.subscriptions() {
		r := c.takeExpired(s, now)
		if len(r.Removed) == 0 {
			continue
		}
		c.log.Info("resources have expired", zap.String("type_url", s.URL), zap.Strings("resources", r.Removed))
		if err := s.Handle(ctx, r); err != nil && ctx.Err() == nil {
			c.log.Warn("removal of expired resources failed", zap.String("type_url", s.URL), zap.Error(err))
		}
	}
}

// subscriptions returns those that there are.
func (c *Client) subscriptions() []*subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// takeExpired takes what has expired from what is held. A new stream is not told of it any more.
func (c *Client) takeExpired(s *subscription, now time.Time) Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Response{Version: s.version, Incremental: true}
	for name, at := range s.expiry {
		if !at.After(now) {
			r.Removed = append(r.Removed, name)
			delete(s.expiry, name)
			delete(s.held, name)
		}
	}
	slices.Sort(r.Removed)
	return r
}
