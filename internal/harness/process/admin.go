package process

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// adminClient keeps no connection, which would count with those of the test.
var adminClient = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Guard}

// TryGet asks the admin server for a path, with its query. It may be called on any goroutine.
func (p *Proxy) TryGet(path string) (string, error) { return p.ask(http.MethodGet, path) }

// Get is TryGet that must succeed.
func (p *Proxy) Get(path string) string {
	p.t.Helper()
	answer, err := p.TryGet(path)
	if err != nil {
		p.t.Fatalf("%v; %s", err, tail(p.Output()))
	}
	return answer
}

// Post has the admin server do something, which must succeed.
func (p *Proxy) Post(path string) string {
	p.t.Helper()
	answer, err := p.ask(http.MethodPost, path)
	if err != nil {
		p.t.Fatalf("%v; %s", err, tail(p.Output()))
	}
	return answer
}

func (p *Proxy) ask(method, path string) (string, error) {
	req, err := http.NewRequest(method, "http://"+p.admin+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := adminClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, body)
	}
	return string(body), err
}

// Stats returns the counters and gauges whose names match the regular expression.
func (p *Proxy) Stats(filter string) map[string]uint64 {
	p.t.Helper()
	var answer struct {
		Stats []struct {
			Name  string
			Value any
		}
	}
	if err := json.Unmarshal([]byte(p.Get("/stats?format=json&filter="+url.QueryEscape(filter))), &answer); err != nil {
		p.t.Fatalf("statistics: %v", err)
	}
	all := make(map[string]uint64)
	for _, s := range answer.Stats {
		if value, ok := s.Value.(float64); ok {
			all[s.Name] = uint64(value)
		}
	}
	return all
}

// Stat returns the value of a counter or gauge.
func (p *Proxy) Stat(name string) uint64 {
	p.t.Helper()
	value, ok := p.Stats("^" + regexp.QuoteMeta(name) + "$")[name]
	if !ok {
		p.t.Fatalf("there is no statistic %q", name)
	}
	return value
}

// HTTPStat returns the value of a statistic of the connection manager.
func (p *Proxy) HTTPStat(name string) uint64 {
	p.t.Helper()
	return p.Stat("http." + harness.StatPrefix + "." + name)
}

// ClusterStat returns the value of a statistic of the cluster of NewSetup.
func (p *Proxy) ClusterStat(name string) uint64 {
	p.t.Helper()
	return p.Stat("cluster." + harness.ClusterName + "." + name)
}

// statEvery is the pause between two looks at a statistic: gathering all of them is work, which shows where CPU time is measured.
const statEvery = 20 * time.Millisecond

// WaitStat waits until a counter or gauge has a value.
func (p *Proxy) WaitStat(name string, want uint64) {
	p.t.Helper()
	var got uint64
	for deadline := time.Now().Add(harness.Guard); ; time.Sleep(statEvery) {
		if got = p.Stat(name); got == want {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is %d, want %d", name, got, want)
		}
	}
}
