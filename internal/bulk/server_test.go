package bulk

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

func TestMain(m *testing.M) { process.Main(m) }

const bootstrap = `
node: {id: bulk, cluster: test}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: ads}}]}
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: ads
    type: STATIC
    connect_timeout: 5s
    http2_protocol_options: {}
    load_assignment:
      cluster_name: ads
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
`

// TestSteps takes every step with a proxy, and asks that for the first and the last cluster after each.
func TestSteps(t *testing.T) {
	size := Size{Clusters: 30, Endpoints: 2, Routes: 4}
	main := netip.MustParseAddrPort(process.FreeAddress(t))
	xds, steps := listen(t), listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := New(size, main).Serve(ctx, xds, steps); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	setup := &harness.Setup{Workers: 1, SystemClock: true}
	setup.StartBootstrap(t, fmt.Sprintf(bootstrap, xds.Addr().(*net.TCPAddr).Port))

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Guard}
	take := func(step string) {
		t.Helper()
		if got := do(t, client, http.MethodPost, steps.Addr().String(), "", step); got != "200 " {
			t.Fatalf("%s: %s", step, got)
		}
	}
	want := func(when string, cluster int, want string) {
		t.Helper()
		if got := do(t, client, http.MethodGet, main.String(), size.Host(cluster), size.Path(cluster)); got != want {
			t.Errorf("%s: cluster %d: got %q, want %q", when, cluster, got, want)
		}
	}
	last := size.Clusters - 1
	take(Small)
	want("small", 0, "200 "+Before)
	want("small", last, "404 ")
	take(Prepare)
	take(Large)
	want("large", 0, "200 "+Before)
	want("large", last, "200 "+Before)
	take(Move)
	for do(t, client, http.MethodGet, main.String(), size.Host(last), size.Path(last)) == "200 "+Before {
		if t.Context().Err() != nil {
			t.Fatal("the last cluster does not move")
		}
	}
	want("moved", last, "200 "+After)
	want("moved", 0, "200 "+Before)
	for range 4 {
		take(Churn)
		want("churned", 0, "200 "+Before)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func do(t *testing.T, client *http.Client, method, address, host, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}
