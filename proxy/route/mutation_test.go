package route

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// levelMutations adds to x-order at each level and overrides x-last, for requests and responses alike.
func levelMutations(level string) config.HeaderMutations {
	add := []config.HeaderValue{
		{Name: "x-order", Value: level},
		{Name: "x-last", Value: level, Action: config.OverwriteIfExistsOrAdd},
		{Name: "x-first", Value: level, Action: config.AddIfAbsent},
	}
	remove := []string{"x-remove-" + level}
	return config.HeaderMutations{RequestAdd: add, RequestRemove: remove, ResponseAdd: add, ResponseRemove: remove}
}

func levelsConfig(mostSpecificWins bool) *config.RouteConfiguration {
	rc := newRoute("r", prefixMatch("/"))
	rc.HeaderMutations = levelMutations("route")
	rc.Forward.Clusters[0].HeaderMutations = levelMutations("cluster")
	all := configOf(rc)
	all.HeaderMutations = levelMutations("table")
	all.VirtualHosts[0].HeaderMutations = levelMutations("vhost")
	all.MostSpecificMutationsWins = mostSpecificWins
	return all
}

func TestMutationOrder(t *testing.T) {
	received := []string{"x-remove-cluster", "1", "x-remove-route", "1", "x-remove-vhost", "1", "x-remove-table", "1", "x-keep", "1", "x-order", "got"}
	tests := []struct {
		name             string
		mostSpecificWins bool
		target           bool
		want             string
	}{
		{"by default", false, true,
			"x-keep=1;x-order=got;x-order=cluster;x-first=cluster;x-order=route;x-order=vhost;x-last=table;x-order=table;"},
		{"most specific wins", true, true,
			"x-keep=1;x-order=got;x-order=table;x-first=table;x-order=vhost;x-order=route;x-last=cluster;x-order=cluster;"},
		{"without target", false, false,
			"x-remove-cluster=1;x-keep=1;x-order=got;x-order=route;x-first=route;x-order=vhost;x-last=table;x-order=table;"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := mustCompile(t, levelsConfig(test.mostSpecificWins)).Routes()[0]
			var target *Target
			if test.target {
				target = r.PickCluster(0)
			}
			if !r.HasRequestMutations() || !r.HasResponseMutations() {
				t.Error("the route says that it has no mutations")
			}
			var arena []byte
			ctx := &MutationContext{Request: newRequest("h", "/", received...), Response: &message.Response{}}
			ctx.Response.Fields.CopyFrom(&ctx.Request.Fields)
			r.MutateRequest(ctx, target, &arena)
			r.MutateResponse(ctx, target, &arena)
			if got := dump(&ctx.Request.Fields); got != test.want {
				t.Errorf("request: got\n%s, want\n%s", got, test.want)
			}
			if got := dump(&ctx.Response.Fields); got != test.want {
				t.Errorf("response: got\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestNoMutations(t *testing.T) {
	r := mustCompile(t, configOf(newRoute("r", prefixMatch("/")))).Routes()[0]
	if r.HasRequestMutations() || r.HasResponseMutations() {
		t.Error("the route says that it has mutations")
	}
	r.MutateRequest(nil, nil, nil)
	r.MutateResponse(nil, nil, nil)
}

// mutateOne applies one addition to a request with the fields x-a: 1, x-a: 2.
func mutateOne(t *testing.T, v config.HeaderValue) (*message.Request, string) {
	t.Helper()
	rc := newRoute("r", prefixMatch("/"))
	rc.RequestAdd = []config.HeaderValue{v}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	request := newRequest("h", "/", "x-a", "1", "x-a", "2")
	var arena []byte
	r.MutateRequest(&MutationContext{Request: request}, r.PickCluster(0), &arena)
	return request, dump(&request.Fields)
}

func TestAppendActions(t *testing.T) {
	const before = "x-a=1;x-a=2;"
	tests := []struct {
		v    config.HeaderValue
		want string
	}{
		{config.HeaderValue{Name: "x-a", Value: "v", Action: config.AppendIfExistsOrAdd}, before + "x-a=v;"},
		{config.HeaderValue{Name: "x-b", Value: "v", Action: config.AppendIfExistsOrAdd}, before + "x-b=v;"},
		{config.HeaderValue{Name: "x-a", Value: "v", Action: config.AddIfAbsent}, before},
		{config.HeaderValue{Name: "x-b", Value: "v", Action: config.AddIfAbsent}, before + "x-b=v;"},
		{config.HeaderValue{Name: "x-a", Value: "v", Action: config.OverwriteIfExistsOrAdd}, "x-a=v;"},
		{config.HeaderValue{Name: "x-b", Value: "v", Action: config.OverwriteIfExistsOrAdd}, before + "x-b=v;"},
		{config.HeaderValue{Name: "x-a", Value: "v", Action: config.OverwriteIfExists}, "x-a=v;"},
		{config.HeaderValue{Name: "x-b", Value: "v", Action: config.OverwriteIfExists}, before},
		{config.HeaderValue{Name: "via", Value: "v", Action: config.AddIfAbsent}, before + "via=v;"},
		{config.HeaderValue{Name: "x-b", Value: ""}, before},
		{config.HeaderValue{Name: "x-b", Value: "", KeepEmpty: true}, before + "x-b=;"},
		{config.HeaderValue{Name: "x-b", Value: "%REQ(x-none)%"}, before},
		{config.HeaderValue{Name: "x-b", Value: "%REQ(x-none)%", KeepEmpty: true}, before + "x-b=;"},
		{config.HeaderValue{Name: "X-B", Value: "v"}, before + "x-b=v;"},
	}
	for _, test := range tests {
		if _, got := mutateOne(t, test.v); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.v, got, test.want)
		}
	}
}

func TestHostIsTheAuthority(t *testing.T) {
	for action, want := range map[config.AppendAction]string{
		config.AppendIfExistsOrAdd: "n", config.OverwriteIfExistsOrAdd: "n", config.OverwriteIfExists: "n", config.AddIfAbsent: "h",
	} {
		request, fields := mutateOne(t, config.HeaderValue{Name: "Host", Value: "n", Action: action})
		if got := string(request.Authority); got != want || strings.Contains(fields, "host") {
			t.Errorf("action %d: host %q and fields %q, want host %q and no field of that name", action, got, fields, want)
		}
	}
}

// Values of one level see the fields before its additions, and overwrites come before additions.
func TestValuesAreMadeFirst(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	rc.RequestRemove = []string{"x-gone"}
	rc.RequestAdd = []config.HeaderValue{
		{Name: "x-a", Value: "added"},
		{Name: "x-copy", Value: "<%REQ(x-a)%%REQ(x-gone)%>"},
		{Name: "x-a", Value: "overwritten", Action: config.OverwriteIfExistsOrAdd},
	}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	request := newRequest("h", "/", "x-a", "old", "x-gone", "old")
	var arena []byte
	r.MutateRequest(&MutationContext{Request: request}, nil, &arena)
	if got, want := dump(&request.Fields), "x-a=overwritten;x-a=added;x-copy=<old>;"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every value makes the arena move; those made before must not change.
func TestGrowingArenaKeepsValues(t *testing.T) {
	rc := newRoute("r", prefixMatch("/"))
	want := ""
	for i := range 3 * maxStackAdditions {
		rc.RequestAdd = append(rc.RequestAdd, config.HeaderValue{Name: fmt.Sprintf("x-%d", i), Value: fmt.Sprintf("%d %%REQ(x-long)%%", i)})
		want += fmt.Sprintf("x-%d=%d %s;", i, i, strings.Repeat("v", 100))
	}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	request := newRequest("h", "/", "x-long", strings.Repeat("v", 100))
	arena := make([]byte, 0, 1)
	r.MutateRequest(&MutationContext{Request: request}, nil, &arena)
	if got := dump(&request.Fields); got != "x-long="+strings.Repeat("v", 100)+";"+want {
		t.Errorf("got %q", got)
	}
	for _, field := range request.Fields.All()[1:] {
		if cap(field.Value) != len(field.Value) {
			t.Fatalf("field %s can be appended to over the next value", field.Name)
		}
	}
}

func TestControlCharactersDoNotReachFields(t *testing.T) {
	rc := newRoute("name\r\nx-evil: 1", prefixMatch("/"))
	rc.RequestAdd = []config.HeaderValue{{Name: "x-route", Value: "%ROUTE_NAME%"}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	request := newRequest("h", "/")
	var arena []byte
	r.MutateRequest(&MutationContext{Request: request}, nil, &arena)
	if got := dump(&request.Fields); got != "" {
		t.Errorf("got %q, want no field", got)
	}
}

func TestMutationErrors(t *testing.T) {
	tests := []struct {
		name string
		m    config.HeaderMutations
		want string
	}{
		{"pseudo-header", config.HeaderMutations{RequestAdd: []config.HeaderValue{{Name: ":path"}}}, "pseudo-headers"},
		{"empty name", config.HeaderMutations{RequestAdd: []config.HeaderValue{{}}}, "empty"},
		{"bad name", config.HeaderMutations{ResponseAdd: []config.HeaderValue{{Name: "x y"}}}, "not allowed"},
		{"name with a NUL", config.HeaderMutations{ResponseAdd: []config.HeaderValue{{Name: "x\x00"}}}, "not allowed"},
		{"framing", config.HeaderMutations{RequestAdd: []config.HeaderValue{{Name: "Transfer-Encoding", Value: "chunked"}}}, "codec"},
		{"line break", config.HeaderMutations{ResponseAdd: []config.HeaderValue{{Name: "x", Value: "a\r\nb: c"}}}, "control character"},
		{"operator", config.HeaderMutations{ResponseAdd: []config.HeaderValue{{Name: "x", Value: "%NONE%"}}}, "NONE"},
		{"action", config.HeaderMutations{ResponseAdd: []config.HeaderValue{{Name: "x", Action: 9}}}, "append action 9"},
		{"remove host", config.HeaderMutations{RequestRemove: []string{"Host"}}, "cannot be removed"},
		{"remove pseudo-header", config.HeaderMutations{ResponseRemove: []string{":status"}}, "cannot be removed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			route, cluster := newRoute("r", prefixMatch("/")), newRoute("r", prefixMatch("/"))
			route.HeaderMutations = test.m
			cluster.Forward.Clusters[0].HeaderMutations = test.m
			vhost, table := configOf(), configOf()
			vhost.VirtualHosts[0].HeaderMutations = test.m
			table.HeaderMutations = test.m
			for _, rc := range []*config.RouteConfiguration{configOf(route), configOf(cluster), vhost, table} {
				if _, err := Compile(rc, Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
			}
		})
	}
}
