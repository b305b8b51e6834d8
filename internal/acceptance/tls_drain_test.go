package acceptance

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestHTTP2DrainWhileHandsAreShaken holds that a client is told to go which could not be told when its connection began to drain.
func TestHTTP2DrainWhileHandsAreShaken(t *testing.T) {
	for name, drain := range map[string]func(*harness.Proxy){
		"listening stops": func(p *harness.Proxy) { p.Server.StopListening() },
		"listener removed": func(p *harness.Proxy) {
			p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Replace: true}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := harness.NewAuthority(t)
			p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, nil).Start(t)
			raw, err := net.Dial("tcp", p.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			_ = raw.SetDeadline(time.Now().Add(harness.Guard))
			for p.ListenerStat("downstream_cx_active") == 0 {
				p.Sync()
			}
			drain(p)
			c := tls.Client(raw, &tls.Config{RootCAs: a.Pool(), ServerName: "proxy.test", NextProtos: []string{"h2"}})
			framer := http2.NewFramer(c, c)
			if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
				t.Fatal(err)
			}
			if err := framer.WriteSettings(); err != nil {
				t.Fatal(err)
			}
			for {
				frame, err := framer.ReadFrame()
				if err != nil {
					t.Fatalf("no GOAWAY: %v", err)
				}
				if goAway, ok := frame.(*http2.GoAwayFrame); ok {
					if goAway.ErrCode != http2.ErrCodeNo || goAway.LastStreamID != noLastStream {
						t.Errorf("%v", goAway)
					}
					return
				}
			}
		})
	}
}
