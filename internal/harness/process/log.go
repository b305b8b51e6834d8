package process

import (
	"bytes"
	"strings"
	"sync"
)

// maxLog bounds what a process may write to its log. A proxy that reaches it lets whoever attacks it fill the disk.
const maxLog = 4 << 20

// log keeps what a process wrote.
type log struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
	over int // bytes that are not kept
}

// Write implements io.Writer.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fits := min(len(b), maxLog-l.text.Len())
	l.text.Write(b[:fits])
	l.over += len(b) - fits
	return len(b), nil
}

// String returns what is kept.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *log) overflown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over > 0
}

// alarms are what a healthy process never writes: Go's runtime about a crash, the race detector, and the proxy about a task
// that panicked.
var alarms = []string{"panic: ", "fatal error: ", "WARNING: DATA RACE", "panic on a worker"}

// alarm returns the first line of a log that must not be there.
func alarm(text string) (line string, found bool) {
	for line := range strings.Lines(text) {
		for _, a := range alarms {
			if strings.Contains(line, a) {
				return line, true
			}
		}
	}
	return "", false
}

// shownLog is how much of a log's end a failure shows.
const shownLog = 4 << 10

// tail returns the end of a log, or says that there is none.
func tail(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "it wrote nothing"
	}
	if cut := len(text) - shownLog; cut > 0 {
		text = "..." + text[cut:]
	}
	return text
}
