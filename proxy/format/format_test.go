package format

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"plain", "'plain'"},
		{"100%%", "'100%'"},
		{"%%A%%", "'%A%'"},
		{"a%%b%X_9%%%c", "'a%b' X_9()0 '%c'"},
		{"%REQ(x?y):12%%RESP(a(b))%", "REQ(x?y)12 RESP(a(b))0"},
		{"%START_TIME(%s.%3f)% ", "START_TIME(%s.%3f)0 ' '"},
	}
	for _, test := range tests {
		parts, err := Parse(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		var got []string
		for _, p := range parts {
			if p.Name == "" {
				got = append(got, fmt.Sprintf("'%s'", p.Literal))
				continue
			}
			got = append(got, fmt.Sprintf("%s(%s)%d", p.Name, p.Arguments, p.MaxLength))
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%s: got %s, want %s", test.text, got, test.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, s := range []string{
		"%", "100%", "%A", "%A(", "%A(x", "%A(x)", "%A(x):%", "%A(x):a%", "%a(x)%", "% %", "%A(x):99999999999999999999%",
		strings.Repeat("%A%", MaxParts+1),
	} {
		if parts, err := Parse(s); err == nil {
			t.Errorf("%q: got %+v, want an error", s, parts)
		}
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2016, 4, 5, 20, 17, 0, 310_456_789, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"": "2016-04-05T19:17:00.310Z", "%s.%3f": "1459883820.310", "2006 %F": "2006 2016-04-05", "%9f%%": "310456789%",
	} {
		f, err := ParseTime(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Append([]byte("<"), at)); got != "<"+want {
			t.Errorf("%s: got %s, want <%s", text, got, want)
		}
		if got := f.Append(nil, time.Time{}); got != nil {
			t.Errorf("%s: got %q for no time", text, got)
		}
	}
	if f, err := ParseTime("%Q"); err == nil {
		t.Errorf("got %+v, want an error", f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("t=%START_TIME(%s.%3f)% %REQ(x-a?x-b):3%%%")
	f.Add("%REQ(x")
	f.Add("%()%")
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := Parse(s)
		if err != nil {
			return
		}
		if len(parts) > MaxParts+1 {
			t.Errorf("%q has %d parts", s, len(parts))
		}
		for i, p := range parts {
			if (p.Name == "") != (len(p.Literal) > 0) || i > 0 && p.Name == "" && parts[i-1].Name == "" {
				t.Errorf("%q: part %d is %+v", s, i, p)
			}
		}
	})
}
