package health

import (
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// EventLog is a file of events.
type EventLog interface {
	// WriteLine adds a line, with its line feed. It does not wait or keep the line.
	WriteLine(line []byte)
	Close()
}

// OpenEventLog opens the file of a path. It does not wait.
type OpenEventLog func(path string) (EventLog, error)

// events are the logs of one cluster's events. They are guarded by Checker.mu.
type events struct {
	paths []string
	logs  []EventLog
}

// reopen makes the logs those of the cluster. A file that cannot be opened is left out with a warning: hosts are checked all the same.
func (e *events) reopen(c *Checker, cluster *config.Cluster) {
	if slices.Equal(e.paths, cluster.HealthCheck.EventLogs) {
		return
	}
	before := *e
	*e = events{paths: cluster.HealthCheck.EventLogs}
	for _, path := range e.paths {
		log, err := c.openLog(path)
		if err != nil {
			c.log.Warn("log of health check events could not be opened",
				zap.String("cluster", cluster.Name), zap.String("path", path), zap.Error(err))
			continue
		}
		e.logs = append(e.logs, log)
	}
	before.close()
}

func (e *events) close() {
	for _, log := range e.logs {
		log.Close()
	}
	*e = events{}
}

// tell writes what an outcome did to a host whose flags were before. first tells that it is that of the first probe.
func (e *events) tell(s *session, r result, before config.HostHealth, first bool) {
	if len(e.logs) == 0 {
		return
	}
	now := s.state.flags
	failed, hadFailed := now.Has(config.FailedActiveHC), before.Has(config.FailedActiveHC)
	well := r.outcome == passed || r.outcome == degraded
	if failed && !hadFailed {
		e.write(s, &event{EjectUnhealthyEvent: &ejection{FailureType: r.outcome.failureType(), Status: r.status}})
	}
	if !failed && hadFailed {
		e.write(s, &event{AddHealthyEvent: &addition{FirstCheck: first}})
	}
	if !well && (first || s.check.LogFailures) {
		e.write(s, &event{HealthCheckFailureEvent: &failure{FailureType: r.outcome.failureType(), FirstCheck: first, Status: r.status}})
	}
	if well && s.check.LogSuccesses {
		e.write(s, &event{SuccessfulHealthCheckEvent: &struct{}{}})
	}
	switch is, was := now.Has(config.DegradedActiveHC), before.Has(config.DegradedActiveHC); {
	case is && !was:
		e.write(s, &event{DegradedHealthyHost: &struct{}{}})
	case was && !is:
		e.write(s, &event{NoLongerDegradedHost: &struct{}{}})
	}
}

// event is envoy.data.core.v3.HealthCheckEvent in JSON: one of the pointers is set.
type event struct {
	HealthCheckerType          string    `json:"health_checker_type"`
	Host                       any       `json:"host"`
	ClusterName                string    `json:"cluster_name"`
	EjectUnhealthyEvent        *ejection `json:"eject_unhealthy_event,omitempty"`
	AddHealthyEvent            *addition `json:"add_healthy_event,omitempty"`
	SuccessfulHealthCheckEvent *struct{} `json:"successful_health_check_event,omitempty"`
	HealthCheckFailureEvent    *failure  `json:"health_check_failure_event,omitempty"`
	DegradedHealthyHost        *struct{} `json:"degraded_healthy_host,omitempty"`
	NoLongerDegradedHost       *struct{} `json:"no_longer_degraded_host,omitempty"`
	Timestamp                  time.Time `json:"timestamp"`
}

type ejection struct {
	FailureType string `json:"failure_type"`
	Status      int    `json:"http_status_code"`
}

type addition struct {
	FirstCheck bool `json:"first_check"`
}

type failure struct {
	FailureType string `json:"failure_type"`
	FirstCheck  bool   `json:"first_check"`
	Status      int    `json:"http_status_code"`
}

// write completes an event and writes it as a line of JSON.
func (e *events) write(s *session, told *event) {
	told.HealthCheckerType = checkerType(s.check)
	told.Host = hostAddress(s.endpoint.Address)
	told.ClusterName = s.cluster
	told.Timestamp = time.Now().UTC()
	line, err := json.Marshal(told)
	if err != nil {
		s.checker.log.Warn("health check event could not be written", zap.String("cluster", s.cluster), zap.Error(err))
		return
	}
	line = append(line, '\n')
	for _, log := range e.logs {
		log.WriteLine(line)
	}
}

// hostAddress returns what is envoy.config.core.v3.Address in JSON.
func hostAddress(a config.Address) any {
	if a.Path != "" {
		return map[string]any{"pipe": map[string]any{"path": a.Path, "mode": 0}}
	}
	return map[string]any{"socket_address": map[string]any{"protocol": "TCP", "address": a.IP, "port_value": a.Port}}
}

func (o outcome) failureType() string {
	switch o {
	case networkFailure:
		return "NETWORK"
	case timedOut:
		return "NETWORK_TIMEOUT"
	case reported:
		return "PASSIVE"
	default:
		return "ACTIVE"
	}
}

func checkerType(check *config.HealthCheck) string {
	switch {
	case check.GRPC != nil:
		return "GRPC"
	case check.TCP != nil:
		return "TCP"
	default:
		return "HTTP"
	}
}
