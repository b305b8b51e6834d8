package stats

import "testing"

func TestEveryConstantHasADefinition(t *testing.T) {
	for _, test := range []struct {
		name   string
		schema *Schema
		last   int
	}{
		{"Cluster", Cluster, ClusterCanaryUpstreamRqTime},
		{"ClusterZone", ClusterZone, ClusterZoneUpstreamRqTime},
		{"OutlierDetection", OutlierDetection, OutlierEjectionsActive},
		{"HealthCheck", HealthCheck, HealthCheckHealthy},
		{"RingHash", RingHash, RingHashMaxHashesPerHost},
		{"Maglev", Maglev, MaglevMaxEntriesPerHost},
		{"Host", Host, HostRqActive},
		{"HTTP", HTTP, HTTPTracingServiceForced},
		{"HTTP1Codec", HTTP1Codec, HTTP1ResponseFlood},
		{"HTTP2Codec", HTTP2Codec, HTTP2StreamsActive},
		{"Virtual", Virtual, VirtualUpstreamRqStatus},
		{"Route", Route, RouteTime},
		{"Listener", Listener, ListenerDownstreamCxLengthMs},
		{"ListenerWorker", ListenerWorker, ListenerWorkerDownstreamCxActive},
		{"ListenerHTTP", ListenerHTTP, ListenerHTTPDownstreamRqStatus},
		{"SSL", SSL, SSLSigAlgRSAPkcs1Sha512},
		{"SSLSocketFactory", SSLSocketFactory, SSLSocketFactoryUpstreamContextSecretsNotReady},
		{"CORS", CORS, CORSOriginValid},
		{"Fault", Fault, FaultActive},
		{"Server", Server, ServerInitializationTimeMs},
		{"Runtime", Runtime, RuntimeNumLayers},
		{"Filesystem", Filesystem, FilesystemWriteTotalBuffered},
		{"Watchdog", Watchdog, WatchdogMiss},
		{"ListenerManager", ListenerManager, ListenerManagerWorkersStarted},
		{"ClusterManager", ClusterManager, ClusterManagerWarmingClusters},
		{"Subscription", Subscription, SubscriptionUpdateDuration},
		{"ControlPlane", ControlPlane, ControlPlanePendingRequests},
	} {
		if test.schema.Len() != test.last+1 {
			t.Errorf("%s has %d definitions for %d constants", test.name, test.schema.Len(), test.last+1)
		}
	}
}

func TestSchemaRefusesMistakes(t *testing.T) {
	for name, defs := range map[string][]Def{
		"no name":           {{Name: "a"}, {}},
		"name twice":        {{Name: "a"}, {Name: "a", Kind: Gauge}},
		"name of a status":  {{Name: "rq_", Kind: StatusCode}, {Name: "rq_completed"}},
		"not a number":      {{Name: "a", Kind: TextReadout}},
		"two status groups": {{Name: "rq_", Kind: StatusCode}, {Name: "rq_", Kind: StatusClass}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			NewSchema(defs...)
		})
	}
}
