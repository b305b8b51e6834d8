package resource_test

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// parse decodes YAML into a message.
func parse[M proto.Message](t testing.TB, text string, m M) M {
	t.Helper()
	if _, err := protofile.Unmarshal([]byte(text), protofile.YAML, m, protofile.Options{}); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m
}

// indent puts n spaces before every line but the first.
func indent(n int, text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", n))
}

func checkEqual(t *testing.T, got, want any, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %s", want)
	}
	if got := err.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
