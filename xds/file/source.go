package file

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/inotify"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// Options describe a Source. Path, Types, Watcher and Logger are required.
type Options struct {
	// Path is the file. Its extension tells what is in it (protofile.FormatOf).
	Path string
	// WatchedDirectory is the directory in which any move makes Path be read again. When it is empty, it is moves to Path that do.
	WatchedDirectory string
	// Types is the one type whose resources the file holds.
	Types []ads.Type
	// RejectUnknownFields refuses a file with fields that the API does not have, instead of passing them over.
	RejectUnknownFields bool
	// OnUnknownFields, when not nil, is told of such fields otherwise, by their paths. It is called by the goroutine of Run.
	OnUnknownFields func([]string)
	// Watcher tells of moves. It outlives the Source.
	Watcher *inotify.Watcher
	// OnFailure, when not nil, is told why a file could not be read or decoded. It is called by the goroutine of Run.
	OnFailure func(error)
	Logger    *zap.Logger
}

// Source is a file of resources. All methods may be called from any goroutine.
type Source struct {
	opts  Options
	log   *zap.Logger
	unary *ads.Unary
	watch *inotify.Watch
}

// New checks opts and begins to watch. The file must exist, and is read once resources are asked for. Who does not call Run must
// call Close.
func New(opts Options) (*Source, error) {
	switch {
	case opts.Path == "":
		return nil, errors.New("file: path must not be empty")
	case len(opts.Types) != 1:
		return nil, fmt.Errorf("file: %d types for %q, want exactly one", len(opts.Types), opts.Path)
	case opts.Watcher == nil || opts.Logger == nil:
		return nil, errors.New("file: watcher and logger must both be given")
	}
	if _, err := os.Stat(opts.Path); err != nil {
		return nil, fmt.Errorf("file: paths must refer to an existing path in the system: %w", err)
	}
	s := &Source{
		opts:  opts,
		log:   opts.Logger.With(zap.String("path", opts.Path), zap.String("type_url", opts.Types[0].URL)),
		unary: ads.NewUnary(opts.Types[0], opts.Path),
	}
	var err error
	if opts.WatchedDirectory == "" {
		s.watch, err = opts.Watcher.File(opts.Path)
	} else {
		s.watch, err = opts.Watcher.Directory(opts.WatchedDirectory)
	}
	if err != nil {
		return nil, fmt.Errorf("file: %q cannot be watched: %w", opts.Path, err)
	}
	return s, nil
}

// Close ends the watch. It is for a Source that does not run.
func (s *Source) Close() { s.watch.Close() }

// Run reads the file whenever there is a reason to until ctx is done, and ends the watch. It is called once.
func (s *Source) Run(ctx context.Context) {
	defer s.watch.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.unary.Changed():
		case <-s.watch.Moved():
		}
		if _, _, ok := s.unary.Wanted(); ok {
			s.refresh(ctx)
		}
	}
}

// refresh reads the file and has it taken.
func (s *Source) refresh(ctx context.Context) {
	s.unary.Attempted()
	r, notes, err := load(s.opts.Path, s.opts.RejectUnknownFields)
	if err != nil {
		s.unary.Failed(err)
		s.log.Warn("file of resources cannot be used", zap.Error(err))
		if s.opts.OnFailure != nil {
			s.opts.OnFailure(err)
		}
		return
	}
	for _, note := range notes.Dropped {
		s.log.Warn("file of resources: " + note)
	}
	if s.opts.OnUnknownFields != nil && len(notes.Unknown) > 0 {
		s.opts.OnUnknownFields(notes.Unknown)
	}
	if err := s.unary.Take(ctx, r); err != nil && ctx.Err() == nil {
		s.log.Warn("file of resources is refused", zap.String("version", r.GetVersionInfo()), zap.Error(err))
	}
}

// Subscribe asks for the resources names of the file's type, instead of those asked for before, and has the file read again. No names
// means all resources for a Wildcard type, and none for another. Resources that are not asked for are passed over.
func (s *Source) Subscribe(url string, names []string) { s.unary.Subscribe(url, names) }

// Restart has the file read again.
func (s *Source) Restart() { s.unary.Again() }

// State returns what is known about the file, which is the Target. It is Connected when it could be read and decoded last.
func (s *Source) State() ads.State { return s.unary.State() }

// Stats returns the counters of the file's type, zero ones for another.
func (s *Source) Stats(url string) ads.Stats { return s.unary.Stats(url) }
