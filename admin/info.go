package admin

import (
	"runtime/metrics"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/types/known/durationpb"
)

// HotRestartVersion is what Envoy says when it cannot be hot restarted.
const HotRestartVersion = "disabled"

// ready is /ready.
func (a *surface) ready(r *request) {
	state, _ := a.State()
	status := fasthttp.StatusOK
	if state != adminv3.ServerInfo_LIVE {
		status = fasthttp.StatusServiceUnavailable
	}
	reply(r.ctx, status, plainText, state.String()+"\n")
}

// uptime is in whole seconds, as Envoy's.
func (a *surface) uptime() time.Duration {
	return max(a.Now().Sub(a.Info.Start), 0).Truncate(time.Second)
}

// serverInfo is /server_info.
func (a *surface) serverInfo(r *request) {
	state, _ := a.State()
	r.json(&adminv3.ServerInfo{
		Version:            a.Info.Version,
		State:              state,
		UptimeCurrentEpoch: durationpb.New(a.uptime()),
		UptimeAllEpochs:    durationpb.New(a.uptime()),
		HotRestartVersion:  HotRestartVersion,
		CommandLineOptions: a.Info.CommandLine,
		Node:               a.Info.Node,
	}, printDefaults)
}

// certs is /certs.
func (a *surface) certs(r *request) {
	m := &adminv3.Certificates{}
	if a.Certificates != nil {
		m.Certificates = a.Certificates()
	}
	r.json(m, printDefaults)
}

// memory is /memory, of Go's heap instead of TCMalloc's.
func (a *surface) memory(r *request) {
	r.json(readMemory(), printDefaults)
}

func readMemory() *adminv3.Memory {
	read := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(read)
	value := func(i int) uint64 {
		if read[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a metric that this version of Go does not have
		}
		return read[i].Value.Uint64()
	}
	objects, unused, free, released, total := value(0), value(1), value(2), value(3), value(4)
	return &adminv3.Memory{
		Allocated:          objects,
		HeapSize:           objects + unused + free,
		PageheapUnmapped:   released,
		PageheapFree:       free,
		TotalPhysicalBytes: total - min(released, total),
	}
}
