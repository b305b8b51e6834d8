package harness

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// workerProcs is how many of Go's processors there are for the workers of proxies in the process of a test, beside those that
// the test itself has. A worker that waits for events keeps its own until the runtime takes it back, up to 10 ms later: with
// none besides, clients and origins of the test stand still that long, again and again.
const workerProcs = 2

// Main runs the tests of a package, and then what is to be done after them, and fails the package when goroutines or
// descriptors are left. It is what TestMain calls.
func Main(m *testing.M, after ...func()) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + workerProcs)
	goroutines, descriptors := runtime.NumGoroutine(), countDescriptors()
	code := m.Run()
	for _, do := range after {
		do()
	}
	if code == 0 && !settled(goroutines, descriptors) {
		fmt.Fprintf(os.Stderr, "leak: %d goroutines and %d descriptors at the end, %d and %d before\n",
			runtime.NumGoroutine(), countDescriptors(), goroutines, descriptors)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// settled waits until no more goroutines and descriptors are there than before. Those that are told to end do so a moment
// after whoever told them goes on.
func settled(goroutines, descriptors int) bool {
	for end := time.Now().Add(Guard); time.Now().Before(end); runtime.Gosched() {
		if runtime.NumGoroutine() <= goroutines && countDescriptors() <= descriptors+pollDescriptors {
			return true
		}
	}
	return false
}

// pollDescriptors are those that Go's own network poller opens when it is first used and keeps: an epoll instance and an
// eventfd.
const pollDescriptors = 2

func countDescriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
