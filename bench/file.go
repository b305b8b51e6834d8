package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/nghttpd"
	"github.com/penguintechinc/marchproxy-alb/bench/origin"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

const (
	// MaxScenarioFile bounds a file of scenarios in bytes, and maxFileScenarios how many there are in it.
	MaxScenarioFile  = 1 << 20
	maxFileScenarios = 100
	// maxConfigured bounds routes and clusters of a scenario: configurations of all proxies are made with so many.
	maxConfigured = 100_000
)

// scenarioName is what a scenario may be called: the name goes into tables and on command lines.
var scenarioName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// fileScenario is a scenario as it is written in a file. What is left out is 0 or false but where it says so.
type fileScenario struct {
	Name           string   `yaml:"name"`
	About          string   `yaml:"about"`
	Downstream     string   `yaml:"downstream"` // h1 or h2, left out h1
	Upstream       string   `yaml:"upstream"`   // as Downstream
	TLS            bool     `yaml:"tls"`
	GRPC           bool     `yaml:"grpc"`
	Connections    int      `yaml:"connections"` // left out 64, or 8 of h2
	Streams        int      `yaml:"streams"`     // left out 64 of h2
	Answer         *int     `yaml:"answer"`      // bytes, left out 16
	Also           []int    `yaml:"also"`        // bytes of further answers, by turns
	Headers        []string `yaml:"headers"`
	Call           int      `yaml:"call"` // bytes of the message of a gRPC call, left out as Answer
	NewConnections bool     `yaml:"new_connections"`
	Resume         bool     `yaml:"resume"`
	Pipeline       int      `yaml:"pipeline"`
	Slow           int      `yaml:"slow"`
	Rate           float64  `yaml:"rate"`
	Routes         int      `yaml:"routes"`
	Clusters       int      `yaml:"clusters"`
}

// ReadScenarios reads a file of scenarios, all of which are of throughput.
func ReadScenarios(text []byte) ([]Scenario, error) {
	if len(text) > MaxScenarioFile {
		return nil, fmt.Errorf("the file has more than %d bytes", MaxScenarioFile)
	}
	var file struct {
		Scenarios []fileScenario `yaml:"scenarios"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(typeName.ReplaceAllString(err.Error(), ""))
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one document")
	}
	if n := len(file.Scenarios); n == 0 || n > maxFileScenarios {
		return nil, fmt.Errorf("scenarios: there are %d, want 1 to %d in a list", n, maxFileScenarios)
	}
	var all []Scenario
	seen := make(map[string]bool)
	for i, f := range file.Scenarios {
		s, err := f.scenario()
		if err == nil && seen[f.Name] {
			err = errors.New("there is another of this name")
		}
		if err != nil {
			return nil, fmt.Errorf("scenario %d, %q: %w", i+1, f.Name, err)
		}
		seen[f.Name] = true
		all = append(all, s)
	}
	return all, nil
}

// typeName is what the decoder adds that is of no use to who wrote the file.
var typeName = regexp.MustCompile(` in type \S+`)

func (f fileScenario) scenario() (Scenario, error) {
	if !scenarioName.MatchString(f.Name) {
		return Scenario{}, fmt.Errorf("name: want 1 to 40 lower-case letters, digits and hyphens, of which the first is no hyphen")
	}
	if _, err := FindScenarios([]string{f.Name}); err == nil {
		return Scenario{}, errors.New("name: the lab has a scenario of this name")
	}
	s := Scenario{
		Name: f.Name, About: f.About, Measure: Throughput, Headers: f.Headers, NewConnections: f.NewConnections, Resume: f.Resume,
		Pipeline: f.Pipeline, Slow: f.Slow, Rate: f.Rate, Connections: f.Connections, Streams: f.Streams,
	}
	s.Traffic.TLS, s.Traffic.GRPC, s.Traffic.Routes, s.Traffic.Clusters = f.TLS, f.GRPC, f.Routes, f.Clusters
	var err error
	if s.Traffic.Downstream, err = protocol("downstream", f.Downstream, peer.HTTP1); err != nil {
		return Scenario{}, err
	}
	if s.Traffic.Upstream, err = protocol("upstream", f.Upstream, s.Traffic.Downstream); err != nil {
		return Scenario{}, err
	}
	s.Traffic.AddHeaders = s.http2()
	s.fillIn()
	if err := f.answers(&s); err != nil {
		return Scenario{}, err
	}
	return s, s.check()
}

func protocol(field, name string, otherwise peer.Protocol) (peer.Protocol, error) {
	switch name {
	case "":
		return otherwise, nil
	case "h1":
		return peer.HTTP1, nil
	case "h2":
		return peer.HTTP2, nil
	}
	return "", fmt.Errorf("%s: %q, want h1 or h2", field, name)
}

// fillIn puts in what was left out.
func (s *Scenario) fillIn() {
	if s.About == "" {
		s.About = "of a file"
	}
	if s.Connections == 0 {
		s.Connections = loadConnections
		if s.http2() {
			s.Connections = http2Connections
		}
	}
	if s.Streams == 0 && s.http2() {
		s.Streams = http2Streams
	}
}

// answers sets what is asked for and how large the answers are.
func (f fileScenario) answers(s *Scenario) error {
	s.Body = smallBody
	if f.Answer != nil {
		s.Body = *f.Answer
	}
	for _, size := range append(f.Also, s.Body) {
		if size < 0 || size > origin.MaxBody {
			return fmt.Errorf("answer: %d bytes, want 0 to %d", size, origin.MaxBody)
		}
	}
	if f.GRPC {
		return f.calls(s)
	}
	if f.Call != 0 {
		return errors.New("call: want grpc with it")
	}
	path := func(size int) string {
		p := "/bytes/" + strconv.Itoa(size)
		if f.Routes > 0 {
			p = peer.RoutePath(f.Routes-1, p)
		}
		return p
	}
	s.Path = path(s.Body)
	for _, size := range f.Also {
		s.Also = append(s.Also, path(size))
	}
	return nil
}

// calls makes the requests gRPC calls.
func (f fileScenario) calls(s *Scenario) error {
	const least, most = 5, 1 << 20 // with the prefix
	s.Path, s.Message = nghttpd.CallPath, f.Call
	if s.Message == 0 {
		s.Message = s.Body
	}
	s.Headers = append([]string{"content-type: application/grpc", "te: trailers"}, s.Headers...)
	switch {
	case !s.http2() || !s.http2Origin():
		return errors.New("grpc: want h2 on both sides")
	case s.Body < least || s.Body > most || s.Message < least || s.Message > most:
		return fmt.Errorf("grpc: messages of %d and %d bytes, want %d to %d", s.Message, s.Body, least, most)
	case len(f.Also) > 0:
		return errors.New("also: want answers that are no gRPC")
	}
	return nil
}

// check is about what fits together. What the load can be is package load's to say.
func (s Scenario) check() error {
	t := s.Traffic
	switch {
	case t.Routes < 0 || t.Routes > maxConfigured || t.Clusters < 0 || t.Clusters > maxConfigured:
		return fmt.Errorf("routes and clusters: %d and %d, want 0 to %d", t.Routes, t.Clusters, maxConfigured)
	case t.Clusters > t.Routes:
		return fmt.Errorf("clusters: %d of %d routes, want at most one for each", t.Clusters, t.Routes)
	case t.Routes > 0 && s.http2Origin():
		return errors.New("routes: want upstream h1 with them")
	case len(s.Also) > 0 && s.http2Origin():
		return errors.New("also: want upstream h1 with it")
	case t.TLS && s.NewConnections && s.http2():
		return errors.New("new_connections: want downstream h1 with it")
	}
	for _, h := range s.Headers {
		if name, value, ok := strings.Cut(h, ":"); !ok || name == "" || strings.ContainsAny(name+value, "\r\n\x00") || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("headers: %q, want name: value", h)
		}
	}
	return load.Check(s.load("127.0.0.1:1"))
}
