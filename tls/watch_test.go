package tls

import (
	"context"
	"crypto/elliptic"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t, "ca")
		key, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
		first, second, third := ca.issue(key), ca.issue(other), ca.issue(key)
		f := newFolder(t, certPEM(first.cert), keyPEM(t, key), nil)
		s := f.context()
		reported := make(chan string, 10)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Watch(ctx, func(err error) {
			if err == nil {
				reported <- "reloaded"
			} else {
				reported <- err.Error()
			}
		})
		time.Sleep(pollInterval / 2) // so that looks are between the steps
		steps := []struct {
			name   string
			change func()
			looks  int
			want   string // what is reported; "" for nothing
			serial *issued
		}{
			{"nothing changed", func() {}, 5, "", &first},
			{"half of a rotation", func() { f.write(f.Cert, certPEM(second.cert)) }, 1, "", &first},
			{"the other half", func() { f.write(f.Key, keyPEM(t, other)) }, 1, "", &first},
			{"held still", func() {}, 1, "reloaded", &second},
			{"nothing more", func() {}, 5, "", &second},
			{"bad pair", func() { f.write(f.Key, keyPEM(t, key)) }, 2, "does not match the certificate", &second},
			{"still bad", func() {}, 5, "", &second},
			{"gone", func() { _ = os.Remove(f.Key) }, 2, "no such file or directory", &second},
			{"back as it was", func() { f.pair(second) }, 5, "", &second},
			{"gone again", func() { _ = os.Remove(f.Key) }, 2, "no such file or directory", &second},
			{"rotated", func() { f.pair(third) }, 2, "reloaded", &third},
		}
		for _, step := range steps {
			step.change()
			time.Sleep(time.Duration(step.looks) * pollInterval)
			synctest.Wait()
			var reports []string
			for len(reported) > 0 {
				reports = append(reports, <-reported)
			}
			if got := strings.Join(reports, "; "); !strings.Contains(got, step.want) || (got == "") != (step.want == "") || len(reports) > 1 {
				t.Errorf("%s: reports %q, want %q", step.name, reports, step.want)
			}
			if got := s.current.Load().chain[0].SerialNumber; got.Cmp(step.serial.cert.SerialNumber) != 0 {
				t.Errorf("%s: serial number %v, want %v", step.name, got, step.serial.cert.SerialNumber)
			}
		}
	})
}
