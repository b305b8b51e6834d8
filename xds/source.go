package xds

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/inotify"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/file"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// maxSources bounds how many sources there are at a time. Each has a connection or a watch and some goroutines; a
// configuration in which every cluster has a file of its own stays well below.
const maxSources = 1024

// transport brings resources from a source, of the types it was made with.
type transport interface {
	// Subscribe asks for the resources names of a type instead of those before. No names means all of a type that the server
	// tells all of, and none of another.
	Subscribe(url string, names []string)
	// Run works until ctx is done, and returns when nothing of it is left running.
	Run(ctx context.Context)
	// Restart gives up what there is of a conversation and begins a new one at once.
	Restart()
	State() ads.State
	Stats(url string) ads.Stats
}

// sourceKey names a source: the aggregated stream has all types, any other a single one.
type sourceKey struct {
	from config.ConfigSource
	url  string // empty for the aggregated stream
}

func keyOf(from config.ConfigSource, url string) sourceKey {
	if from.Aggregated() {
		url = ""
	}
	return sourceKey{from, url}
}

// source is a transport that is in use.
type source struct {
	transport
	closed bool               // what it still brings is ignored
	cancel context.CancelFunc // ends Run, nil before
}

// sources are the sources in use. The aggregated stream is one from the beginning, others come and go with what is asked of
// them. Manager.mu guards it.
type sources struct {
	m        *Manager
	dial     []grpc.DialOption
	outbound func(cluster string) *outbound.Cluster
	google   func(prefix string) *stats.Scope // nil counts nothing
	boot     *bootstrap.Bootstrap             // that the process was started with

	open map[sourceKey]*source
	// promised are those that resources ask for which were accepted since keep was called.
	promised map[sourceKey]bool
	ctx      context.Context  // of Run, nil before
	ended    bool             // nothing begins to run any more
	running  sync.WaitGroup   // of the transports
	watcher  *inotify.Watcher // of files, nil before the first
}

// newSources opens the aggregated stream if there is one.
func newSources(m *Manager, o *Options) (*sources, error) {
	s := &sources{
		m: m, dial: o.DialOptions, outbound: o.Outbound, google: o.GoogleGRPC, boot: o.Bootstrap,
		open: make(map[sourceKey]*source), promised: make(map[sourceKey]bool),
	}
	if s.outbound == nil {
		s.outbound = func(string) *outbound.Cluster { return nil }
	}
	if o.Bootstrap.ADS == nil {
		return s, nil
	}
	aggregated := &source{}
	var types []ads.Type
	for _, k := range m.kinds() {
		types = append(types, s.typeOf(aggregated, k, config.ConfigSource{}))
	}
	var err error
	aggregated.transport, err = s.stream(o.Bootstrap.ADS, types, config.ConfigSource{})
	if err != nil {
		return nil, err
	}
	s.open[sourceKey{}] = aggregated
	return s, nil
}

// aggregated returns the aggregated stream, nil when there is none.
func (s *sources) aggregated() *source { return s.open[sourceKey{}] }

// check reports why resources of type url cannot be asked of from. Until the next call of keep there is room for a source that
// can be.
func (s *sources) check(from config.ConfigSource, url string) error {
	key := keyOf(from, url)
	if s.open[key] != nil || s.promised[key] {
		return nil
	}
	if err := s.boot.CheckSource(from); err != nil {
		return err
	}
	if n := len(s.open) + len(s.promised); n >= maxSources {
		return fmt.Errorf("would be the config source number %d, at most %d are possible", n+1, maxSources)
	}
	s.promised[key] = true
	return nil
}

// get returns the source of type url, which it opens when need be; nil when that is not possible.
func (s *sources) get(from config.ConfigSource, url string) *source {
	key := keyOf(from, url)
	if found := s.open[key]; found != nil {
		return found
	}
	opened := &source{}
	err := s.check(from, url)
	if err == nil {
		opened.transport, err = s.own(opened, from, url)
	}
	if err != nil {
		s.m.log.Error("config source cannot be used", zap.String("type_url", url), zap.Error(err))
		return nil
	}
	s.open[key] = opened
	delete(s.promised, key)
	s.start(opened)
	return opened
}

// own makes the transport of a source that has the single type url.
func (s *sources) own(opened *source, from config.ConfigSource, url string) (transport, error) {
	types := []ads.Type{s.typeOf(opened, s.m.kind(url), from)}
	if from.API == "" {
		return s.file(from, types)
	}
	x, warnings, err := s.boot.ControlPlane(from)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		s.m.log.Warn(w)
	}
	if x.Polls != nil {
		return s.polls(x, types, from)
	}
	return s.stream(x, types, from)
}

// file makes the transport of a path_config_source.
func (s *sources) file(from config.ConfigSource, types []ads.Type) (transport, error) {
	if s.watcher == nil {
		var err error
		if s.watcher, err = inotify.New(); err != nil {
			return nil, err
		}
	}
	opened, err := file.New(file.Options{
		Path:                from.Path,
		WatchedDirectory:    from.WatchedDirectory,
		Types:               types,
		Watcher:             s.watcher,
		RejectUnknownFields: s.m.unknown.policy == RejectUnknownFields,
		OnUnknownFields:     func(fields []string) { s.m.unknown.note(from.Path, fields) },
		OnFailure:           func(error) { s.lost(keyOf(from, types[0].URL), true) },
		Logger:              s.m.log,
	})
	if err != nil {
		return nil, err // not opened: a nil one would be a transport
	}
	return opened, nil
}

// typeOf describes a resource type to the transport of by: its responses become events.
func (s *sources) typeOf(by *source, k *kind, from config.ConfigSource) ads.Type {
	return ads.Type{
		URL:        k.url,
		Wildcard:   s.m.tables[k.url] == nil || k.wildcard,
		Namespaces: k.url == resource.HostType,
		Take:       s.m.take,
		Decode:     func(packed *anypb.Any) (string, proto.Message, error) { return s.m.unknown.decode(k.url, packed) },
		Handle: func(ctx context.Context, r ads.Response) error {
			return s.m.await(ctx, func() error {
				if by.closed {
					return nil
				}
				return s.m.apply(from, k.url, r, time.Now())
			})
		},
		Refused: func(ctx context.Context, why error) {
			_ = s.m.await(ctx, func() error {
				if !by.closed {
					s.m.refused(from, k.url, why)
				}
				return nil
			})
		},
	}
}

// lost takes the loss of a stream, or of a file, into the counters. With final there is nothing to be waited for in a new
// attempt. It is called by the transport, which Run waits for, so the queue is being emptied meanwhile.
func (s *sources) lost(key sourceKey, final bool) {
	s.m.events <- event{do: func() error {
		for _, t := range s.m.tables {
			if keyOf(key.from, t.url) == key {
				t.lost(key.from, final)
			}
		}
		for _, w := range s.m.worlds() {
			if final && w.from != nil && keyOf(w.from.Source, w.url) == key {
				w.answered = true
			}
		}
		return s.m.proceed(time.Now())
	}}
}

// run begins to run what is open and what is opened from here on, until ctx is done.
func (s *sources) run(ctx context.Context) {
	s.ctx = ctx
	for _, opened := range s.open {
		s.start(opened)
	}
}

func (s *sources) start(opened *source) {
	if s.ctx == nil || s.ended {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	opened.cancel = cancel
	s.running.Go(func() { opened.Run(ctx) })
}

// keep ends every source that is not in use, except for the aggregated stream.
func (s *sources) keep(used map[sourceKey]bool) {
	clear(s.promised)
	for key, opened := range s.open {
		if used[key] || key == (sourceKey{}) {
			continue
		}
		opened.closed = true
		if opened.cancel != nil {
			opened.cancel()
		}
		delete(s.open, key)
	}
}

// close gives back what sources had in common. None runs any more.
func (s *sources) close() {
	if s.watcher != nil {
		s.watcher.Close()
	}
}

// restart has every source begin anew.
func (s *sources) restart() {
	for _, opened := range s.open {
		opened.Restart()
	}
}

// subscribeAll asks every source for the children of each table, and returns the sources in use.
func (s *sources) subscribeAll(tables []*table) map[sourceKey]bool {
	used := make(map[sourceKey]bool)
	for _, t := range tables {
		wanted := t.bySource()
		_, wants := wanted[config.ConfigSource{}]
		if opened := s.aggregated(); opened != nil && (wants || !t.wildcard) {
			opened.Subscribe(t.url, wanted[config.ConfigSource{}])
		}
		for _, from := range slices.SortedFunc(maps.Keys(wanted), compareSources) {
			if from.Aggregated() {
				continue
			}
			if opened := s.get(from, t.url); opened != nil {
				opened.Subscribe(t.url, wanted[from])
				used[keyOf(from, t.url)] = true
			}
		}
	}
	return used
}

func compareSources(a, b config.ConfigSource) int {
	return cmp.Or(cmp.Compare(a.API, b.API), cmp.Compare(a.Path, b.Path), cmp.Compare(a.WatchedDirectory, b.WatchedDirectory))
}
