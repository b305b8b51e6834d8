//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"path/filepath"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	sinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_check/event_sinks/file/v3"
)

// maxEventLogs bounds the files that the events of one health check are written to: each is a copy of every event.
const maxEventLogs = 8

const eventSinkMessage = "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"

var eventSinkFields = fields{"event_log_path": decoded}

// eventLogs decodes the files that events of a health check are written to, each once.
func (a *at) eventLogs(h *corev3.HealthCheck) []string {
	var paths []string
	add := func(path string) {
		if path = filepath.Clean(path); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if h.GetEventLogPath() != "" {
		add(h.GetEventLogPath())
	}
	for i, sink := range h.GetEventLogger() {
		place := a.item("event_logger", i)
		packed := sink.GetTypedConfig()
		if packed == nil || messageName(packed) != eventSinkMessage {
			place.errorf("%sis not supported, only %s", describe(sink.ProtoReflect()), typePrefix+eventSinkMessage)
			continue
		}
		var c sinkv3.HealthCheckEventFileSink
		if place = place.in("typed_config"); place.unpack(packed, &c) {
			place.only(&c, eventSinkFields)
			if c.GetEventLogPath() == "" {
				place.in("event_log_path").errorf("must be set")
				continue
			}
			add(c.GetEventLogPath())
		}
	}
	if len(paths) > maxEventLogs {
		a.in("event_logger").errorf("%d files are too many, at most %d are allowed", len(paths), maxEventLogs)
	}
	return paths
}
