package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// settings are everything that decides how the process runs.
type settings struct {
	flags     *flags
	env       *environment
	getenv    func(string) string
	bootstrap *bootstrap.Bootstrap
	stats     stats.Options // how statistics are shown
	// source says where the bootstrap came from: a path, or words in its place.
	source string
	// notes are to be logged once there is a log.
	notes []string
}

// loadSettings finds and reads the bootstrap: the file or text that the flags name, else the file of ENVOY_CONFIG_PATH if
// there is one, else what the environment describes. What a file leaves out comes from the environment.
func loadSettings(f *flags, env *environment, getenv func(string) string) (*settings, error) {
	s := &settings{flags: f, env: env, getenv: getenv}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *settings) load() error {
	b, source, err := s.readBootstrap()
	if err != nil {
		return err
	}
	s.overrideNode(b.Node)
	var notes []string
	if source != fromEnvironment {
		if notes, err = bootstrap.Complete(b, s.getenv); err != nil {
			return err
		}
	}
	if err := b.Check(); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	statistics, err := statsOptions(&b.Stats, s.flags.statsTags)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if s.flags.disabledExtensions != "" {
		notes = append(notes, "--disable-extensions has no effect: an extension runs where the configuration has it")
	}
	s.bootstrap, s.source, s.stats, s.notes = b, source, statistics, append(notes, b.Warnings...)
	return nil
}

// logLevel returns the name of the level of the log at the start, as Envoy writes it.
func (s *settings) logLevel() string {
	switch name := cmp.Or(s.flags.logLevel, s.env.logLevel); name {
	case "warn":
		return "warning"
	case "fatal":
		return "critical"
	default:
		return name
	}
}

// fromEnvironment stands for a path where there is no file.
const fromEnvironment = "environment"

func (s *settings) readBootstrap() (b *bootstrap.Bootstrap, source string, err error) {
	o := bootstrap.Options{MergeYAML: s.flags.configYAML, AllowUnknownFields: s.flags.allowUnknown}
	path := s.flags.configPath
	switch {
	case path != "":
		source = path
	case s.flags.configYAML != "":
		source = "--config-yaml"
	case s.hasConfigFile():
		path, source = s.env.configPath, s.env.configPath
	default:
		b, err = bootstrap.FromEnvironment(s.getenv)
		return b, fromEnvironment, err
	}
	b, err = bootstrap.Load(path, o)
	return b, source, err
}

// hasConfigFile reports whether the file of ENVOY_CONFIG_PATH exists. One that exists and cannot be read is an error of
// loading it, not a reason to do without.
func (s *settings) hasConfigFile() bool {
	_, err := os.Stat(s.env.configPath)
	return err == nil || !errors.Is(err, os.ErrNotExist)
}

// overrideNode lets the command line decide who this node is.
func (s *settings) overrideNode(n *corev3.Node) {
	if s.flags.node != "" {
		n.Id = s.flags.node
	}
	if s.flags.cluster != "" {
		n.Cluster = s.flags.cluster
	}
	if s.flags.zone != "" {
		if n.Locality == nil {
			n.Locality = &corev3.Locality{}
		}
		n.Locality.Zone = s.flags.zone
	}
}
