package health

import (
	"context"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// tcpProber connects to a host, and where the check says so sends bytes and waits for others.
type tcpProber struct {
	keeper
	check *config.TCPHealthCheck
}

var errTooMuch = fmt.Errorf("%d bytes came and what is expected is not among them", config.MaxHealthResponseBytes)

func (p *tcpProber) probe(ctx context.Context) result { return p.keeper.probe(ctx, p.speak) }

// speak makes a probe. Where nothing is to be received a connection is enough, and it is not kept: whether the host is still
// there is what the next one asks.
func (p *tcpProber) speak(c *conn) attempt {
	if len(p.check.Send) > 0 {
		if _, err := c.Write(p.check.Send); err != nil {
			return broken(fmt.Errorf("send: %w", err), true)
		}
	}
	if len(p.check.Receive) == 0 {
		return attempt{result: result{outcome: passed}}
	}
	var received []byte
	buffer := make([]byte, 4<<10)
	for {
		n, err := c.Read(buffer)
		received = append(received, buffer[:n]...)
		switch {
		case found(p.check.Receive, received):
			return attempt{result: result{outcome: passed}, reusable: true}
		case len(received) > config.MaxHealthResponseBytes:
			return broken(errTooMuch, false)
		case err != nil:
			return broken(fmt.Errorf("receive, after %d bytes: %w", len(received), err), len(received) == 0)
		}
	}
}
