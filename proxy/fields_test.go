package proxy

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func TestEntryFromRight(t *testing.T) {
	tests := []struct {
		lines []string
		n     int
		want  string
	}{
		{nil, 1, ""},
		{[]string{"1.1.1.1"}, 1, "1.1.1.1"},
		{[]string{"1.1.1.1"}, 2, ""},
		{[]string{"1.1.1.1, 2.2.2.2,3.3.3.3"}, 1, "3.3.3.3"},
		{[]string{"1.1.1.1, 2.2.2.2,3.3.3.3"}, 2, "2.2.2.2"},
		{[]string{"1.1.1.1, 2.2.2.2,3.3.3.3"}, 3, "1.1.1.1"},
		{[]string{"1.1.1.1", "2.2.2.2 , 3.3.3.3"}, 3, "1.1.1.1"},
		{[]string{"1.1.1.1,"}, 1, ""},
	}
	for _, test := range tests {
		var fields message.Fields
		fields.AddRaw([]byte("via"), []byte("9.9.9.9"))
		for _, line := range test.lines {
			fields.Add(message.NameXForwardedFor, []byte(line))
		}
		fields.AddRaw([]byte("x-other"), []byte("8.8.8.8"))
		if got := string(entryFromRight(&fields, message.NameXForwardedFor, test.n)); got != test.want {
			t.Errorf("%q, %d from the right: %q, want %q", test.lines, test.n, got, test.want)
		}
	}
}
