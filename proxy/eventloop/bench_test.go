package eventloop

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkParkResume is a task's way to the loop and back.
func BenchmarkParkResume(b *testing.B) {
	s := newSteppedLoop(b)
	task := s.Spawn(runnerFunc(func(task *Task) {
		for {
			task.Park()
		}
	}))
	s.resumeReady()
	b.ReportAllocs()
	for b.Loop() {
		task.Wake()
		s.resumeReady()
	}
}

// BenchmarkSpawn is the life of a task that does nothing, on a pooled coroutine.
func BenchmarkSpawn(b *testing.B) {
	s := newSteppedLoop(b)
	r := runnerFunc(func(*Task) {})
	b.ReportAllocs()
	for b.Loop() {
		s.Spawn(r)
		s.resumeReady()
	}
}

// BenchmarkTimer sets and stops a timer among many others, at the distances that a proxy's timeouts have.
func BenchmarkTimer(b *testing.B) {
	for _, d := range []time.Duration{5 * time.Millisecond, 15 * time.Second, time.Hour} {
		b.Run(d.String(), func(b *testing.B) {
			s := newSteppedLoop(b)
			others, owner := make([]Timer, 10_000), &wakeOnExpiry{}
			for i := range others {
				s.SetTimer(&others[i], time.Duration(i)*time.Second, owner)
			}
			var timer Timer
			b.ReportAllocs()
			for b.Loop() {
				s.SetTimer(&timer, d, owner)
				s.StopTimer(&timer)
			}
		})
	}
}

// BenchmarkPost is the way of another goroutine's function to the loop and back.
func BenchmarkPost(b *testing.B) {
	l := startLoop(b, Options{})
	ack := make(chan struct{})
	f := func() { ack <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		l.Post(f)
		<-ack
	}
}

// BenchmarkEcho is a round trip of a client on another thread.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{16, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := newPingPong(b, startLoop(b, Options{}), size, echoes["write"])
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := p.trip(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
