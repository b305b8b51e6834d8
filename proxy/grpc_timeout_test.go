package proxy

import (
	"testing"
	"time"
)

// TestAppendGRPCTimeout holds that a host is never told more time than there is, in at most eight digits.
func TestAppendGRPCTimeout(t *testing.T) {
	const most = 99_999_999
	for d, want := range map[time.Duration]string{
		0: "0m", time.Millisecond - 1: "0m", time.Millisecond: "1m", most * time.Millisecond: "99999999m",
		most*time.Millisecond + time.Millisecond: "100000S", most * time.Second: "99999999S",
		most*time.Second + time.Second: "1666666M", most * time.Minute: "99999999M", 1<<63 - 1: "2562047H",
	} {
		if got := string(appendGRPCTimeout([]byte("x"), d)); got != "x"+want {
			t.Errorf("%v is %q, want %q", d, got[1:], want)
		}
	}
}

func FuzzGRPCTimeout(f *testing.F) {
	for _, s := range []string{"", "1S", "99999999H", "1n", "5001u", "00000000m", "-1S", "1x", "2562047H"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, ok := parseGRPCTimeout(value)
		if !ok && d != 0 || d < 0 || d%time.Millisecond != 0 {
			t.Fatalf("%q is %v, %v", value, d, ok)
		}
		told, ok := parseGRPCTimeout(appendGRPCTimeout(nil, d))
		if !ok || told > d || d-told >= time.Minute {
			t.Fatalf("%q is %v and told as %v, %v", value, d, told, ok)
		}
	})
}
