package admin

import (
	"fmt"
	"os"
	"runtime/pprof"
	"sync"

	"github.com/valyala/fasthttp"
)

// DefaultProfilePath is Envoy's admin.profile_path where the bootstrap has none.
const DefaultProfilePath = "/var/log/envoy/envoy.prof"

// profiler writes profiles of the process to a file, in the format of pprof.
type profiler struct {
	path string

	mu   sync.Mutex // guards what follows
	cpu  *os.File   // where the profile of CPU time goes, nil while there is none
	heap bool       // a profile of the heap is written at the next stop
}

// close ends a profile of CPU time, so that its file is whole.
func (p *profiler) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopCPU()
}

func (p *profiler) startCPU() error {
	if p.cpu != nil {
		return nil
	}
	f, err := os.Create(p.path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return err
	}
	p.cpu = f
	return nil
}

func (p *profiler) stopCPU() {
	if p.cpu == nil {
		return
	}
	pprof.StopCPUProfile()
	_ = p.cpu.Close()
	p.cpu = nil
}

// writeHeap writes what is on the heap, and what was.
func (p *profiler) writeHeap() error {
	f, err := os.Create(p.path)
	if err != nil {
		return err
	}
	if err := pprof.Lookup("heap").WriteTo(f, 0); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// enableParam is the parameter of the profilers.
func enableParam() param {
	return param{"enable", "begin or end", choiceParam, []string{"y", "n"}}
}

// enabled returns the value of the one parameter that profilers have, and answers 400 to anything else.
func enabled(r *request) (enable, ok bool) {
	value := r.value("enable")
	if len(r.names()) != 1 || value != "y" && value != "n" {
		r.bad("?enable=<y|n>\n")
		return false, false
	}
	return value == "y", true
}

// cpuProfiler is /cpuprofiler.
func (a *surface) cpuProfiler(r *request) {
	enable, ok := enabled(r)
	if !ok {
		return
	}
	a.profiler.mu.Lock()
	defer a.profiler.mu.Unlock()
	if !enable {
		a.profiler.stopCPU()
	} else if err := a.profiler.startCPU(); err != nil {
		r.failed(fmt.Errorf("failure to start the profiler: %w", err))
		return
	}
	r.ok("OK\n")
}

// heapProfiler is /heapprofiler. Go samples the heap at all times, so beginning is only a promise to write at the end.
func (a *surface) heapProfiler(r *request) {
	enable, ok := enabled(r)
	if !ok {
		return
	}
	p := a.profiler
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case enable && p.heap:
		r.bad("Fail to start heap profiler: already started")
	case enable:
		p.heap = true
		r.ok("Starting heap profiler")
	case !p.heap:
		r.bad("Fail to stop heap profiler: not started")
	default:
		p.heap = false
		if err := p.writeHeap(); err != nil {
			r.failed(fmt.Errorf("failure to write the profile: %w", err))
			return
		}
		r.ok(fmt.Sprintf("Heap profiler stopped and data written to %s.", p.path))
	}
}

// heapDump is /heap_dump: a profile of the heap as it is.
func (a *surface) heapDump(r *request) {
	if err := pprof.Lookup("heap").WriteTo(r.ctx.Response.BodyWriter(), 0); err != nil {
		r.ctx.Response.ResetBody()
		r.failed(err)
		return
	}
	setHeader(r.ctx, fasthttp.StatusOK, binaryData)
}
