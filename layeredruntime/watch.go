package layeredruntime

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// watch has changes of a directory's symbolic link noticed: what is moved to its place. The directory that the link is in must
// exist, the link need not.
func (l *Loader) watch(d *config.RuntimeDisk) error {
	if l.watcher == nil {
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return err
		}
		l.watcher = w
	}
	return l.watcher.Add(filepath.Dir(d.SymlinkRoot))
}

// Run reads directories again when their links are replaced, until ctx ends.
func (l *Loader) Run(ctx context.Context) {
	if l.watcher == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-l.watcher.Events:
			if !ok {
				return
			}
			if event.Has(fsnotify.Create) { // a move to the place is one
				l.reload(event.Name)
			}
		case err, ok := <-l.watcher.Errors:
			if !ok {
				return
			}
			l.options.Logger.Warn("watching the directories of the runtime", zap.Error(err))
		}
	}
}

// errNotALink says that nothing is read from a path.
var errNotALink = errors.New("no layer is at the path")

// reload reads the layers whose link is at path again, if there are any.
func (l *Loader) reload(path string) {
	err := l.update(func(layers []layer) error {
		err := errNotALink
		for i := range layers {
			if d := layers[i].Disk; d != nil && filepath.Clean(d.SymlinkRoot) == filepath.Clean(path) {
				l.load(&layers[i])
				err = nil
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, errNotALink) {
		l.options.Logger.Error("runtime values were not taken over", zap.String("path", path), zap.Error(err))
	}
}

// load reads the directory of a layer. One that cannot be read is no layer until it can.
func (l *Loader) load(x *layer) {
	path := l.directory(x.Disk)
	texts, found, err := readDisk(path)
	x.values, x.absent, x.err = parseAll(texts), !found, err
	if err != nil {
		l.options.Logger.Warn("runtime layer cannot be read and is left out", zap.String("layer", x.Name), zap.Error(err))
	}
}

// Close ends the watching.
func (l *Loader) Close() {
	if l.watcher != nil {
		_ = l.watcher.Close() // nothing is written to it
	}
}
