package ads_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
)

const (
	conversations = 40 // of each kind
	turnsEach     = 40
)

// TestRandomConversations has a control plane and a client do what they may in any order, and leaves it to the rules of adstest
// whether the client keeps to the protocol: on the aggregated stream and on one of a single type, in both variants.
func TestRandomConversations(t *testing.T) {
	for _, kind := range []struct{ own, delta bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		t.Run(fmt.Sprintf("own service %v, delta %v", kind.own, kind.delta), func(t *testing.T) {
			for seed := range uint64(conversations) {
				if !t.Run(fmt.Sprint(seed), func(t *testing.T) { randomConversation(t, seed, kind.own, kind.delta) }) {
					return
				}
			}
		})
	}
}

// peer is the control plane's end of one stream, in either variant.
type peer interface {
	send(url, version string, names, removed []string)
	Drain()
	Close(string)
}

type worldPeer struct {
	*adstest.Stream
	resource func(url, name string) proto.Message
}

func (p worldPeer) send(url, version string, names, _ []string) {
	var resources []proto.Message
	for _, name := range names {
		resources = append(resources, p.resource(url, name))
	}
	p.Send(url, version, resources...)
}

type deltaPeer struct {
	*adstest.DeltaStream
	resource func(url, name string) proto.Message
}

func (p deltaPeer) send(url, version string, names, removed []string) {
	var changed []adstest.Changed
	for _, name := range names {
		changed = append(changed, adstest.Changed{Name: name, Version: version, Message: p.resource(url, name)})
	}
	p.Send(url, version, removed, changed...)
}

func randomConversation(t *testing.T, seed uint64, ownService, delta bool) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	limited := seed%3 == 0
	urls := []string{worldURL, namedURL}
	change := func(_ *talk, o *ads.Options) {
		o.Incremental = delta
		o.NodeOnFirstMessageOnly = seed%2 == 0
		if limited {
			o.RateLimit = ads.RateLimit{MaxTokens: 3, FillRate: 2}
		}
	}
	if ownService {
		urls = []string{clusterURL}
		wildcard := seed%2 == 0
		inner := change
		change = func(c *talk, o *ads.Options) {
			inner(c, o)
			own(clusterURL, delta)(c, o)
			o.Types[0].Wildcard, o.Types[0].Decode = wildcard, decodeCluster
		}
	}
	converse(t, change, func(t *testing.T, c *talk) {
		if limited {
			c.server.Reasking() // what is given up and wanted again while a request waits for the rate limit is asked for anew
		}
		c.handle = func(_ string, r ads.Response) error {
			if strings.HasPrefix(r.Version, "bad") {
				return errors.New("it does not fit")
			}
			return nil
		}
		some := func() (names, others []string) {
			for _, name := range []string{"a", "b", "c", "d"} {
				switch rnd.IntN(3) {
				case 0:
					names = append(names, name)
				case 1:
					others = append(others, name)
				}
			}
			return names, others
		}
		subscribe := func() {
			url := urls[rnd.IntN(len(urls))]
			names, _ := some()
			if url == worldURL || (ownService && seed%2 == 0) {
				names = nil
			}
			c.Subscribe(url, names)
			synctest.Wait()
		}
		for _, url := range urls {
			c.Subscribe(url, nil)
			c.Subscribe(url, []string{"a"}[:rnd.IntN(2)])
		}
		s := acceptPeer(c, ownService, delta)
		for turn := range turnsEach {
			switch rnd.IntN(10) {
			case 0:
				s.Close("at random")
				s = acceptPeer(c, ownService, delta)
			case 1:
				time.Sleep(time.Duration(rnd.Int64N(int64(3 * time.Second))))
			case 2, 3, 4:
				subscribe()
			default:
				names, removed := some()
				version := fmt.Sprintf("%s%d", []string{"good", "good", "bad"}[rnd.IntN(3)], turn)
				s.send(urls[rnd.IntN(len(urls))], version, names, removed)
				time.Sleep(time.Minute) // so that the rate limit has let the answer through
			}
			synctest.Wait()
			s.Drain()
		}
	})
}

// acceptPeer waits for the stream of the kind that is expected, and for its first requests.
func acceptPeer(c *talk, ownService, delta bool) peer {
	defer synctest.Wait()
	resource := func(url, name string) proto.Message {
		switch url {
		case worldURL:
			return text(name)
		case namedURL:
			return named(name)
		}
		return &clusterv3.Cluster{Name: name}
	}
	methods := []string{
		"/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
		"/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
	}
	if ownService {
		methods = []string{
			clusterservice.ClusterDiscoveryService_StreamClusters_FullMethodName,
			clusterservice.ClusterDiscoveryService_DeltaClusters_FullMethodName,
		}
	}
	if delta {
		return deltaPeer{c.server.AcceptDeltaMethod(methods[1]), resource}
	}
	return worldPeer{c.server.AcceptMethod(methods[0]), resource}
}
