package layeredruntime

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// The bounds of what operators set: they set a few keys by hand.
const (
	maxOverrides     = 1000
	maxOverrideBytes = 4 << 10 // of a key and of a value
)

// ErrNoAdminLayer says that operators cannot set values because no layer is for them. The text is Envoy's.
var ErrNoAdminLayer = errors.New("No admin layer specified") //lint:ignore ST1005 it is shown as it is

// Options are what a Loader needs from outside.
type Options struct {
	Stats  *stats.Store
	Logger *zap.Logger
	// ServiceCluster is node.cluster, for append_service_cluster.
	ServiceCluster string
	// Publish is given each new Runtime; when it refuses one, the layers are as before. Calls do not overlap.
	Publish func(*config.Runtime) error
}

// Loader holds the layers. Its methods may be called from any goroutine.
type Loader struct {
	options Options
	scope   *stats.Scope
	watcher *fsnotify.Watcher // nil when no layer is a directory

	mu      sync.Mutex // guards all below
	layers  []layer
	current *config.Runtime
}

// layer is a layer with its values, which are replaced and never changed.
type layer struct {
	config.RuntimeLayer
	values map[string]config.RuntimeValue
	absent bool  // a directory that does not exist is no layer for now
	err    error // why a directory could not be read
}

// New reads the layers and publishes what they say. Close ends what it has begun.
func New(layers []config.RuntimeLayer, o Options) (*Loader, error) {
	l := &Loader{options: o, scope: o.Stats.Scope("runtime.", stats.Runtime)}
	for i := range layers {
		next := layer{RuntimeLayer: layers[i], values: parseAll(layers[i].Static)}
		if next.Disk != nil {
			if err := l.watch(next.Disk); err != nil {
				l.Close()
				return nil, fmt.Errorf("runtime layer %q: %w", next.Name, err)
			}
			l.load(&next)
		}
		l.layers = append(l.layers, next)
	}
	if err := l.publish(l.layers); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Current returns what the layers say now.
func (l *Loader) Current() *config.Runtime {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// Merge sets values of the admin layer, as /runtime_modify does. An empty text removes a value.
func (l *Loader) Merge(texts map[string]string) error {
	return l.update(func(layers []layer) error {
		i := slices.IndexFunc(layers, func(x layer) bool { return x.Admin })
		if i < 0 {
			return ErrNoAdminLayer
		}
		values := maps.Clone(layers[i].values)
		for key, text := range texts {
			if len(key) > maxOverrideBytes || len(text) > maxOverrideBytes {
				return fmt.Errorf("key and value may be %d bytes long each: %.64q has %d and %d", maxOverrideBytes, key, len(key), len(text))
			}
			if text == "" {
				delete(values, key)
			} else {
				values[key] = Parse(text)
			}
		}
		if len(values) > maxOverrides {
			return fmt.Errorf("at most %d keys can be set", maxOverrides)
		}
		layers[i].values = values
		return nil
	})
}

// SetRTDS replaces the values of the layers that the Runtime resource of that name has: what resource.Runtime has decoded, or nil
// when the control plane has removed it.
func (l *Loader) SetRTDS(resource string, texts map[string]string) error {
	values := parseAll(texts)
	return l.update(func(layers []layer) error {
		found := false
		for i := range layers {
			if r := layers[i].RTDS; r != nil && r.Name == resource {
				layers[i].values, found = values, true
			}
		}
		if !found {
			return fmt.Errorf("no runtime layer is of the resource %q", resource)
		}
		return nil
	})
}

// update makes a change of a copy of the layers and publishes it.
func (l *Loader) update(change func([]layer) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := slices.Clone(l.layers)
	if err := change(next); err != nil {
		return err
	}
	return l.publish(next)
}

// publish makes layers the ones in force. It is called with mu held, or before anybody else has l.
func (l *Loader) publish(layers []layer) error {
	var values []config.RuntimeValues
	failed := false
	for i := range layers {
		failed = failed || layers[i].err != nil
		if !layers[i].absent && layers[i].err == nil {
			values = append(values, config.RuntimeValues{Layer: layers[i].Name, Values: layers[i].values})
		}
	}
	next := config.NewRuntime(values)
	if err := l.options.Publish(next); err != nil {
		l.scope.Inc(stats.RuntimeLoadError)
		return err
	}
	if failed {
		l.scope.Inc(stats.RuntimeLoadError)
	} else {
		l.scope.Inc(stats.RuntimeLoadSuccess)
	}
	l.layers, l.current = layers, next
	l.scope.Set(stats.RuntimeNumLayers, uint64(len(values)))
	l.scope.Set(stats.RuntimeNumKeys, uint64(next.Keys()))
	l.countOverrides()
	return nil
}

// countOverrides notes whether operators have set something, and whether there is a second directory, which goes over the first:
// that Envoy counts at every load.
func (l *Loader) countOverrides() {
	directories, set := 0, uint64(0)
	for i := range l.layers {
		if l.layers[i].Disk != nil && !l.layers[i].absent && l.layers[i].err == nil {
			directories++
		}
		if l.layers[i].Admin && len(l.layers[i].values) > 0 {
			set = 1
		}
	}
	l.scope.Set(stats.RuntimeAdminOverridesActive, set)
	if directories > 1 {
		l.scope.Inc(stats.RuntimeOverrideDirExists)
	} else {
		l.scope.Inc(stats.RuntimeOverrideDirNotExists)
	}
}
